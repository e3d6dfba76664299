"""Prompts -> what the UNet is conditioned on, as the stock pipelines do it; one road for training and generation.

Prompts longer than the encoder's window (75 tokens and two marks) are read in several windows whose hidden states are
concatenated, as A1111 does. Emphasis scales what words add to the rest of the prompt (see `emphasise`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

# a text in pieces with their weights: [("a man with ", 1.0), ("glasses", 1.3)]
Segments = Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Conditioning:
    """Hidden states (B, L, D), and for SDXL the pooled text (B, P). L is 77 for each window."""

    hidden: Tensor
    pooled: Tensor | None = None


@dataclass(frozen=True)
class Tokens:
    """Ids and weights of a batch for one encoder, both (B, n, 77): n windows."""

    ids: Tensor
    weights: Tensor


class Conditioner:
    """The tokenizers and text encoders of a pipeline. `parts` are its components by their diffusers names.

    Gradients flow, so that text encoders can be trained through it. `device` is where ids go when the encoders'
    own device does not tell, as under offloading.
    """

    def __init__(self, parts: Mapping[str, Any], family: str, device: torch.device | str | None = None) -> None:
        self.two = family == "sdxl"
        names = ("", "_2") if self.two else ("",)
        self.tokenizers = [parts["tokenizer" + n] for n in names]
        self.encoders = [parts["text_encoder" + n] for n in names]
        self.device = device
        self.room = min(t.model_max_length for t in self.tokenizers) - 2  # words in a window

    def encode(self, texts: Sequence[str], windows: int = 1) -> Conditioning:
        """Plain texts, cut after `windows` windows. With one, bit for bit what the stock pipeline computes."""
        return self.encode_tokens(self.tokenize([[(text, 1.0)] for text in texts], windows))

    def windows(self, segments: Segments) -> int:
        """How many windows a text fills: 1 for up to 75 tokens."""
        longest = max(len(_ids(tokenizer, segments)[0]) for tokenizer in self.tokenizers)
        return max(1, -(-longest // self.room))

    def tokenize(self, batch: Sequence[Segments], windows: int = 1) -> list[Tokens]:
        """Ids for each encoder, padded (or cut) to so many windows; each window has its own start and end mark."""
        return [self._tokens(tokenizer, batch, windows) for tokenizer in self.tokenizers]

    def encode_tokens(self, tokens: Sequence[Tokens]) -> Conditioning:
        """What `tokenize` gave -> hidden states and pooled text; the pooled text is the first window's."""
        hidden, pooled = [], None
        for tokenizer, encoder, one in zip(self.tokenizers, self.encoders, tokens, strict=True):
            whole, gist = self._states(encoder, one.ids)
            states, pooled = whole, gist
            for weight in sorted(set(one.weights.flatten().tolist()) - {1.0}):
                rows = (one.weights == weight).flatten(1).any(1).to(whole.device)  # a masked kernel may round otherwise
                without, less = self._without(tokenizer, encoder, one, weight)
                states = torch.where(rows[:, None, None], emphasise(states, whole, without, weight), states)
                if pooled is not None and gist is not None and less is not None:
                    pooled = torch.where(rows[:, None], emphasise(pooled, gist, less, weight), pooled)
            hidden.append(states)
        joined = torch.cat(hidden, -1) if self.two else hidden[0]  # SDXL: side by side, (B, L, D1 + D2)
        return Conditioning(joined.to(self.encoders[-1].dtype), pooled)

    def _without(self, tokenizer: Any, encoder: Any, tokens: Tokens, weight: float) -> tuple[Tensor, Tensor | None]:
        """The states of a prompt whose words of this weight nobody attends to; in their place, those of no prompt."""
        named = tokens.weights == weight  # (B, n, 77)
        states, pooled = self._states(encoder, tokens.ids, ~named)
        nothing, _ = self._states(encoder, self._tokens(tokenizer, [[]], 1).ids)  # (1, 77, D)
        place = named.flatten(1)[..., None].to(states.device)  # (B, n, 77) -> (B, n * 77, 1)
        return torch.where(place, nothing.repeat(1, named.shape[1], 1), states), pooled

    def _states(self, encoder: Any, ids: Tensor, seen: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(B, n, 77) -> (B, n * 77, D) and the first window's pooled text (B, P); `seen` masks the attention."""
        batch, windows, length = ids.shape
        device = self.device if self.device is not None else encoder.device
        mask = None if seen is None else seen.reshape(-1, length).long().to(device)
        out = encoder(ids.reshape(-1, length).to(device), attention_mask=mask, output_hidden_states=self.two)
        states = out.hidden_states[-2] if self.two else out[0]  # SDXL reads the last layer but one, without its norm
        # the first output is the pooled text of an encoder with projection, and the hidden states of one without
        pooled = out[0].reshape(batch, windows, -1)[:, 0] if self.two and out[0].ndim == 2 else None
        return states.reshape(batch, windows * length, -1), pooled

    def _tokens(self, tokenizer: Any, batch: Sequence[Segments], windows: int) -> Tokens:
        rows, scales = [], []
        for segments in batch:
            ids, weights = _ids(tokenizer, segments)
            for start in range(0, windows * self.room, self.room):
                said, scale = ids[start : start + self.room], weights[start : start + self.room]
                rest = self.room - len(said)
                rows.append([tokenizer.bos_token_id, *said, tokenizer.eos_token_id] + [tokenizer.pad_token_id] * rest)
                scales.append([1.0, *scale] + [1.0] * (rest + 1))
        shape = (len(batch), windows, self.room + 2)
        return Tokens(torch.tensor(rows).reshape(shape), torch.tensor(scales).reshape(shape))


def emphasise(states: Tensor, whole: Tensor, without: Tensor, weight: float) -> Tensor:
    """Move `states` by (w - 1)(z - z'): z of the whole prompt, z' of the prompt without the words of weight w.

    At 0 the words are gone, at 1 nothing changes, and between and beyond it is a straight line. Compel (2.x) blends so
    for weights below 1. It and A1111 scale only the words' own states above 1, which does little here: a causal encoder
    repeats them in every state behind, and the UNet reads them there.
    """
    return states + (weight - 1) * (whole - without)


def time_ids(original: Any, crop: Any, target: Any) -> Tensor:
    """SDXL's size conditioning (Podell et al. 2023, section 2.2), (B, 6): each (height, width) or (top, left), or B."""
    return torch.cat([torch.as_tensor(pair).reshape(-1, 2) for pair in (original, crop, target)], -1)


def _ids(tokenizer: Any, segments: Segments) -> tuple[list[int], list[float]]:
    ids: list[int] = []
    weights: list[float] = []
    for text, weight in segments:
        found = tokenizer(text, add_special_tokens=False, truncation=False, verbose=False).input_ids
        ids += found
        weights += [weight] * len(found)
    return ids, weights
