"""LoRAs at generation: what `--lora path:0.8` says, and the way into a pipeline through diffusers' own loader."""

from __future__ import annotations

import contextlib
import math
import re
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import ModelNotFound, UsageError
from ..models.adapters import FILE, WIDTHS, locate_lora, short_hash, text_width
from ..models.lora_names import PARTS
from ..models.registry import MODELS
from ..provenance import digest

MOST = 10.0
KEPT = 8  # adapters held by a pipeline at most; more are loaded again when their turn comes
Weighted = tuple[str, float]


def split(text: str) -> Weighted:
    r"""`path:0.8` -> ("path", 0.8); 1.0 without a weight. The colon of `C:\faces` is none of ours."""
    found = re.fullmatch(r"(.+):([+-]?(?:\d+\.?\d*|\.\d+))", text.strip(), re.S)
    if found is None or Path(text).exists():
        return text.strip(), 1.0
    return found[1], float(found[2])


def check(loras: Iterable[Weighted]) -> tuple[Weighted, ...]:
    """Raises `UsageError` for a LoRA without a name, a weight that is none, or one LoRA named twice."""
    checked: dict[str, float] = {}
    for name, weight in loras:
        if not name.strip():
            raise UsageError("a LoRA has no name: write --lora PATH:WEIGHT, such as --lora runs/lora:0.8")
        if not (math.isfinite(weight) and abs(weight) <= MOST):
            raise UsageError(f"the weight of LoRA {name} must be {-MOST:g} to {MOST:g}, not {weight:g}")
        if name in checked:
            raise UsageError(f"LoRA {name} is named twice: give it once, with one weight")
        checked[name] = float(weight)
    return tuple(checked.items())


def verify(recipe: dict[str, Any]) -> None:
    """Raise `UsageError` when a LoRA of a recipe is gone or has other weights by now."""
    for name, facts in ((recipe.get("drawn") or {}).get("loras") or {}).items():
        try:
            path = locate_lora(name)
        except ModelNotFound as error:
            raise UsageError(f"the picture was drawn with a LoRA that is not here: {error}") from None
        if digest(path) != facts.get("sha256"):
            raise UsageError(f"the LoRA {name} has changed since: put the old one back, or name another with --lora")


class Loras:
    """The LoRAs of one pipeline: loaded when first wanted, switched by weights, kept for the next request."""

    def __init__(self, pipeline: Any, model: str) -> None:
        self.pipeline, self.model = pipeline, model
        self._loaded: list[str] = []  # adapters in the pipeline, last used last
        self._known: dict[tuple[Any, ...], dict[str, str]] = {}  # a file as it lies there -> its hashes

    def use(self, wanted: Sequence[Weighted]) -> dict[str, dict[str, str]]:
        """Draw with exactly these from now on; for each name the file's hashes. Raises `ModelNotFound` for a bad one.

        The picture is the one that diffusers draws after `load_lora_weights` and `set_adapters`.
        """
        files = {name: locate_lora(name) for name, _ in wanted}
        facts = {name: self._hashes(path, name) for name, path in files.items()}
        adapters = [self._load(files[name], name, facts[name]["sha256"]) for name, _ in wanted]
        self._switch(adapters, [weight for _, weight in wanted])
        while len(self._loaded) > max(KEPT, len(wanted)):
            self._drop(self._loaded.pop(0))
        return facts

    def _hashes(self, path: Path, name: str) -> dict[str, str]:
        state = path.stat()
        key = (path.resolve(), state.st_mtime_ns, state.st_size)
        if key not in self._known:
            self._fits(path, name)  # first, because it reads the header and knows a damaged one
            self._known[key] = {"sha256": digest(path), "hash": short_hash(path)}
        return self._known[key]

    def _load(self, path: Path, name: str, sha256: str) -> str:
        adapter = f"lora_{sha256[:16]}"
        if not self._holds(adapter):
            try:
                self._read(path, adapter)
                if not self._holds(adapter):
                    raise ValueError("it holds nothing that this model has")
            except Exception as error:  # the loader raises whatever its parts raise
                self._drop(adapter)
                reason = " ".join(str(error).split())[:160]
                raise ModelNotFound(f"LoRA {name} cannot be used with {self.model}: {reason}") from None
        self._loaded = [other for other in self._loaded if other != adapter] + [adapter]
        return adapter

    def _read(self, path: Path, adapter: str) -> None:
        """By way of our own reader: diffusers takes one alpha for all modules of a kohya file, and draws with dropout
        where a file's metadata has some."""
        from ..models import lora, lora_layouts

        found = lora_layouts.read(path, self.pipeline.unet.config.layers_per_block)
        lora.check(found, self._parts())
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # peft wonders at a second adapter
            lora_layouts.write_diffusers(found, Path(folder) / FILE)
            self.pipeline.load_lora_weights(folder, weight_name=FILE, adapter_name=adapter)

    def _holds(self, adapter: str) -> bool:
        return any(adapter in names for names in self.pipeline.get_list_adapters().values())

    def _fits(self, path: Path, name: str) -> None:
        theirs, ours = text_width(path), self.pipeline.unet.config.cross_attention_dim
        if theirs is not None and theirs != ours:
            known = MODELS.get(WIDTHS.get(theirs, ""))
            title = known.title if known else f"a model with text states of {theirs}"
            raise ModelNotFound(
                f"LoRA {name} was made for {title}, not for {self.model}: give the model that it belongs to as --model"
            )

    def _switch(self, adapters: list[str], weights: list[float]) -> None:
        from diffusers.utils import set_weights_and_activate_adapters
        from peft.tuners.tuners_utils import BaseTunerLayer

        for part in self._parts().values():
            layers = [module for module in part.modules() if isinstance(module, BaseTunerLayer)]
            for layer in layers:
                layer.enable_adapters(bool(adapters))
            if layers and adapters:
                set_weights_and_activate_adapters(part, adapters, weights)

    def _parts(self) -> dict[str, Any]:
        return {name: part for name in PARTS if (part := getattr(self.pipeline, name, None)) is not None}

    def _drop(self, adapter: str) -> None:
        with contextlib.suppress(Exception):  # half loaded: what is not there need not be deleted
            self.pipeline.delete_adapters([adapter])
