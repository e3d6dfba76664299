"""What a LoRA file is, and the same LoRA in another layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..config import suggest
from ..errors import UsageError
from . import lora_layouts as layouts
from .folders import whole_folder
from .lora_layouts import Lora

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class PartInfo:
    """The adapters of one network; several ranks or alphas where modules differ, the commonest first."""

    modules: int
    rank: Numbers
    alpha: Numbers
    targets: tuple[str, ...]  # the last words of the modules' names
    dora: bool
    rslora: bool


@dataclass(frozen=True)
class LoraInfo:
    """What a file holds. `family` is told by the file or guessed from its widths; None when they fit none."""

    layout: str
    family: str | None
    parts: dict[str, PartInfo]
    tensors: int
    parameters: int
    dtype: str
    ours: dict[str, Any]  # what likeness wrote: base model, recipe, steps
    metadata: dict[str, str]  # everything else, such as kohya's ss_ keys

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def info(path: str | Path) -> LoraInfo:
    """Describe a LoRA of any layout. Raises `UsageError` for one that is missing, damaged or of another kind."""
    lora = layouts.read(path)
    held = [tensor for entry in lora.entries.values() for tensor in entry.tensors().values()]
    return LoraInfo(
        layout=lora.layout, family=lora.family, parts={part: _part(lora, part) for part in lora.parts},
        tensors=len(held), parameters=sum(t.numel() for t in held),
        dtype=", ".join(sorted({str(t.dtype).removeprefix("torch.") for t in held})), ours=lora.ours,
        metadata={k: v for k, v in lora.metadata.items() if k not in {"format", layouts.OURS, layouts.ADAPTERS}},
    )  # fmt: skip


def _part(lora: Lora, part: str) -> PartInfo:
    entries = lora.of(part)
    return PartInfo(
        modules=len(entries),
        rank=_commonest(float(e.rank) for e in entries.values()),
        alpha=_commonest(e.alpha for e in entries.values()),
        targets=tuple(sorted({_ending(module) for module in entries})),
        dora=any(e.magnitude is not None for e in entries.values()),
        rslora=any(e.rslora for e in entries.values()),
    )


def _commonest(values: Any) -> Numbers:
    return tuple(value for value, _ in Counter(values).most_common())


def _ending(module: str) -> str:
    """`….attn1.to_out.0` -> `to_out.0`, `….ff.net.0.proj` -> `ff.net.0.proj`, `….mlp.fc1` -> `fc1`."""
    words = module.split(".")
    start = next((i for i, word in enumerate(words) if word in {"ff", "to_out", "downsamplers", "upsamplers"}), -1)
    return ".".join(words[start:])


def _write_peft(lora: Lora, target: Path) -> None:
    with whole_folder(target, mark=next(iter(lora.parts)), overwrite=True) as temporary:
        layouts.write_peft(lora, temporary)


# layout -> how it is written, and whether it is a file
LAYOUTS: dict[str, tuple[Callable[[Lora, Path], None], bool]] = {
    "diffusers": (layouts.write_diffusers, True),
    "kohya": (layouts.write_kohya, True),
    "peft": (_write_peft, False),
}


def convert(source: str | Path, target: str | Path, layout: str, layers: int | None = None) -> tuple[str, ...]:
    """Write a LoRA of any layout in another; tensors, their type, ranks, alphas and metadata stay what they are.

    Diffusers and kohya (A1111) are files, PEFT is a folder. `layers` a UNet block has, where SDXL's is no 2. Returns
    remarks on what other tools make of it. Raises `UsageError` for a bad source, layout or target.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"no LoRA layout {layout!r}{suggest(layout, list(LAYOUTS))}")
    write, file = LAYOUTS[layout]
    target = Path(target)
    if file and (target.is_dir() or target.suffix != ".safetensors"):
        raise UsageError(f"{target}: the {layout} layout is a file, name it something.safetensors")
    if not file and (target.is_file() or target.suffix == ".safetensors"):
        raise UsageError(f"{target}: the {layout} layout is a folder, choose a name without .safetensors")
    lora = layouts.read(source, layers)
    write(lora, target)
    return _remarks(lora, layout)


def _remarks(lora: Lora, layout: str) -> tuple[str, ...]:
    if layout != "kohya":
        return ()
    entries = lora.entries.values()
    return tuple(
        text
        for applies, text in (
            (
                any(e.magnitude is not None for e in entries),
                "diffusers ignores the DoRA of a kohya file, ComfyUI reads it",
            ),
            (any(e.rslora for e in entries), "rsLoRA was written as plain LoRA of the same effect, alpha * sqrt(rank)"),
            (
                any(len({e.scale * e.rank for e in lora.of(part).values()}) > 1 for part in lora.parts),
                "diffusers reads one alpha for all attention layers of a kohya file: give it the diffusers layout",
            ),
        )
        if applies
    )
