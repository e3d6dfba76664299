"""What a prompt may be, and what is said about it: words that the model does not know or will not read."""

from __future__ import annotations

from typing import Any

from ..errors import UsageError
from ..models.registry import ModelSpec, unknown_to

LONGEST = 5000  # characters; no caption of a face needs a tenth of it
_SHOWN = 80


def check(prompt: str, what: str = "prompt", may_be_empty: bool = False) -> None:
    """Raise `UsageError` for an empty or endless prompt."""
    if not may_be_empty and not prompt.strip():
        raise UsageError(f"the {what} is empty: describe a face, such as 'a smiling woman in her thirties'")
    if len(prompt) > LONGEST:
        raise UsageError(f"the {what} has {len(prompt):,} characters: {LONGEST:,} are the most that is taken")


def notes(prompt: str, spec: ModelSpec) -> list[str]:
    """What this model will not draw although it is asked for. Empty for models of the open world."""
    if spec.knows is None:
        return []
    from ..grammar import parse

    read = parse(prompt)
    said = []
    if unknown := unknown_to(spec, read.attributes):
        said.append(f"{spec.name} does not know: {', '.join(unknown)}")
    if read.unknown:
        said.append(f"words not understood: {', '.join(read.unknown)}")
    return said


def cut(prompt: str, tokenizer: Any) -> list[str]:
    """A note if the tokenizer's window (77 with its two marks) is too short for this prompt."""
    window = tokenizer.model_max_length - 2
    read = tokenizer(prompt, add_special_tokens=False, truncation=False, verbose=False, return_offsets_mapping=True)
    if len(read["input_ids"]) <= window:
        return []
    rest = prompt[read["offset_mapping"][window][0] :].strip()
    shown = rest if len(rest) <= _SHOWN else rest[:_SHOWN] + "…"
    return [f"prompt cut after {window} tokens: {shown}"]
