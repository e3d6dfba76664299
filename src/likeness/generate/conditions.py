"""The prompts of a batch -> the tensors that diffusers' pipelines take for them: weighted, and of any length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..models.conditioning import Conditioner
from ..records import ImageRequest
from . import weighting


def windows(conditioner: Conditioner, request: ImageRequest) -> int:
    """How many windows of 75 tokens the longer of prompt and negative prompt fills; the other is padded to it."""
    return max(conditioner.windows(weighting.parse(t)) for t in (request.prompt, request.negative_prompt))


def settings(pipeline: Any, conditioner: Conditioner, requests: Sequence[ImageRequest]) -> dict[str, Any]:
    """Arguments of a pipeline's call for requests that agree on everything but the words and the seed."""
    count = max(windows(conditioner, request) for request in requests)

    def encode(texts: list[str]) -> Any:
        return conditioner.encode_tokens(conditioner.tokenize([weighting.parse(text) for text in texts], count))

    said = encode([request.prompt for request in requests])
    found = {"prompt_embeds": said.hidden, "pooled_prompt_embeds": said.pooled}
    if (requests[0].guidance or 0) > 1:  # below, pipelines do not ask what is not wanted
        if conditioner.two and pipeline.config.force_zeros_for_empty_prompt and not requests[0].negative_prompt:
            hidden, pooled = torch.zeros_like(said.hidden), torch.zeros_like(said.pooled)
        else:
            unwanted = encode([request.negative_prompt for request in requests])
            hidden, pooled = unwanted.hidden, unwanted.pooled
        found |= {"negative_prompt_embeds": hidden, "negative_pooled_prompt_embeds": pooled}
    return {name: tensor for name, tensor in found.items() if tensor is not None}
