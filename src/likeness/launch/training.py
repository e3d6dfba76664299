"""The words of a training command, from a preset, from a whole command, or from both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from .. import config
from ..errors import UsageError


def command(words: Sequence[str]) -> list[str]:
    """`lora/diffyface --data faces` or `likeness train lora …`, or a preset before a whole command -> `train lora …`.

    Raises `UsageError` for a preset that does not exist and for commands that train nothing.
    """
    if not words:
        raise UsageError("nothing to start: name a preset, or write -- likeness train lora --data …")
    preset, rest = (None, list(words)) if words[0] == "likeness" else (words[0], list(words[1:]))
    shipped = preset is None or preset in config.presets()
    if not shipped and not str(preset).endswith((".yaml", ".yml")):
        raise UsageError(f"no preset {preset!r}{config.suggest(str(preset), config.presets())}")
    if rest[:1] == ["likeness"]:
        if rest[1:2] != ["train"]:
            raise UsageError(f"only training is launched: write likeness train …, not {' '.join(rest[:2])}")
        chosen = ["--preset", preset] if preset and "--preset" not in rest else []
        return [*rest[1:3], *chosen, *rest[3:]]
    if not shipped:
        raise UsageError(f"what does {preset} train? Write {preset} -- likeness train lora …")
    return ["train", recipe_of(str(preset)), "--preset", str(preset), *rest]


def recipe_of(preset: str) -> str:
    """`lora/diffyface` and `smoke/lora` are presets of `lora`, `mini` is one of `mini`."""
    first, _, last = preset.partition("/")
    return last if first == "smoke" else first


def title(words: Sequence[str]) -> str:
    """What to call a training command: its preset, else its recipe."""
    if "--preset" in words[:-1]:
        preset = words[words.index("--preset") + 1]
        return Path(preset).stem if Path(preset).suffix else preset.replace("/", "-")
    return words[1] if len(words) > 1 else "likeness"
