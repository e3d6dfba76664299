"""What a prompt may be, and what is said about it: words that the model does not know or will not read."""

from __future__ import annotations

import re

from ..errors import UsageError
from ..models.registry import ModelSpec, unknown_to
from . import weighting

_LORA = re.compile(r"<lora:([^<>]+)>")
_MIXTURE = re.compile(r"(?s)\(\".*\"\)\.blend\([\d., ]+\)|.*:\s*\d*\.?\d+\s+AND\s.*")  # of compel and of A1111
LONGEST = 5000  # characters; no caption of a face needs a tenth of it


def check(prompt: str, what: str = "prompt", may_be_empty: bool = False) -> str:
    """The prompt without marks of emphasis. Raises `UsageError` for an empty or endless one, or a weight too large."""
    if len(prompt) > LONGEST:
        raise UsageError(f"the {what} has {len(prompt):,} characters: {LONGEST:,} are the most that is taken")
    if found := _LORA.search(prompt):
        raise UsageError(f"{found[0]} stands in the {what}: give a LoRA with --lora {found[1]}")
    if _MIXTURE.fullmatch(prompt.strip()):
        raise UsageError(f"the {what} is a mixture: `likeness mix prompts 'a man:0.7' 'a woman:0.3'` draws those")
    said = weighting.plain(prompt)
    if not may_be_empty and not said.strip():
        raise UsageError(f"the {what} is empty: describe a face, such as 'a smiling woman in her thirties'")
    return said


def notes(prompt: str, spec: ModelSpec) -> list[str]:
    """What this model will not draw although it is asked for. Empty for models of the open world."""
    if spec.knows is None:
        return []
    from ..grammar import parse

    read = parse(weighting.plain(prompt))
    said = []
    if unknown := unknown_to(spec, read.attributes):
        said.append(f"{spec.name} does not know: {', '.join(unknown)}")
    if read.unknown:
        said.append(f"words not understood: {', '.join(read.unknown)}")
    return said
