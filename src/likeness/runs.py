"""A run folder: the resolved configuration, metrics.jsonl, TensorBoard events, checkpoints and sample pictures.

runs/mini/
  config.yaml          as resolved, with the commit and the seed, written before step 0
  metrics.jsonl        one line per logged step
  events.out.*         the same numbers for TensorBoard
  checkpoint-00012800/ state.safetensors + state.json (and what the recipe adds); progress is counted in images
  samples/             pictures drawn on the way
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .errors import MissingExtra, TrainingError, UsageError
from .files import atomic_path, read_jsonl, write_text


class RunFolder:
    """Opens or makes a run folder. One process writes to it at a time: for the others `writes` is False."""

    def __init__(self, path: str | Path, writes: bool = True) -> None:
        self.path, self.writes = Path(path), writes
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"cannot write the run folder {path}: {error.strerror}. Choose another --output."
            ) from None
        self._writer: Any = None

    def write_config(self, config: Any, **facts: Any) -> None:
        """Write the resolved configuration (a dataclass) beside the commit and whatever else identifies the run.

        Raises `MissingExtra` without TensorBoard: before step 0 rather than at the first logged step.
        """
        import yaml

        if not self.writes:
            return
        self._tensorboard()
        resolved = {"config": dataclasses.asdict(config), "commit": commit(), **facts}
        write_text(self.path / "config.yaml", yaml.safe_dump(json.loads(json.dumps(resolved)), sort_keys=False))

    def log(self, images: int, **values: float) -> None:
        """Append one line of metrics and the same numbers as TensorBoard scalars.

        Raises `TrainingError` when the disk is full.
        """
        if not self.writes:
            return
        target = self.path / "metrics.jsonl"
        try:
            with open(target, "a", encoding="utf-8") as file:
                file.write(json.dumps({"images": images, **values}) + "\n")
            for name, value in values.items():
                self._tensorboard().add_scalar(name, value, images)
        except OSError as error:
            raise TrainingError(self._unsaved(target, error)) from None

    def metrics(self) -> list[dict[str, Any]]:
        file = self.path / "metrics.jsonl"
        return read_jsonl(file) if file.exists() else []

    def forget_after(self, images: int) -> None:
        """Drop metrics and checkpoints later than `images`, and a torn last line: nothing is counted twice."""
        if not self.writes:
            return
        for late in self.checkpoints():
            if int(late.name[11:]) > images:
                shutil.rmtree(late)
        file = self.path / "metrics.jsonl"
        kept = "".join(json.dumps(row) + "\n" for row in self.metrics() if row["images"] <= images)
        if file.exists() and file.read_bytes() != kept.encode():
            write_text(file, kept)

    def sample(self, name: str, image: Any, images: int) -> Path:
        """Save a PIL image as `samples/<name>-<images>.png` and show it in TensorBoard."""
        import numpy as np

        file = self.path / "samples" / f"{name}-{images:07d}.png"
        if not self.writes:
            return file
        with atomic_path(file) as temporary:
            image.save(temporary)
        self._tensorboard().add_image(name, np.asarray(image), images, dataformats="HWC")
        return file

    def checkpoints(self) -> list[Path]:
        """Whole checkpoints, oldest first."""
        found = [p for p in self.path.glob("checkpoint-*") if p.name[11:].isdigit() and (p / "state.json").exists()]
        return sorted(found, key=lambda p: int(p.name[11:]))

    def save_checkpoint(
        self, tensors: dict[str, Any], images: int, keep: int = 2, export: Callable[[Path], None] | None = None
    ) -> Path:
        """Write `checkpoint-<images>` under another name, rename it, then keep only the newest `keep` (1 or more).

        `export` adds files to the folder before it gets its name. Raises `TrainingError` when the disk is full.
        """
        from safetensors import SafetensorError
        from safetensors.torch import save_file

        target = self.path / f"checkpoint-{images:08d}"
        if not self.writes:
            return target
        try:
            for left in self.path.glob(".checkpoint-*"):  # by a writer that was killed
                shutil.rmtree(left, ignore_errors=True)
            temporary = Path(tempfile.mkdtemp(dir=self.path, prefix=".checkpoint-"))
            try:
                save_file({k: v.detach().contiguous() for k, v in tensors.items()}, temporary / "state.safetensors")
                if export:
                    export(temporary)
                write_text(temporary / "state.json", json.dumps({"images": images}))
                with open(temporary / "state.safetensors", "rb") as file:
                    os.fsync(file.fileno())
                temporary.chmod(self.path.stat().st_mode & 0o777)  # mkdtemp's folders are private
                shutil.rmtree(target, ignore_errors=True)
                os.replace(temporary, target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except (OSError, SafetensorError, UsageError) as error:
            raise TrainingError(self._unsaved(target, error)) from None
        for old in self.checkpoints()[:-keep]:
            shutil.rmtree(old)
        return target

    def _unsaved(self, target: Path, error: Exception) -> str:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        before = self.checkpoints()
        whole = f"{before[-1].name} is whole" if before else "there is no earlier one"
        return f"cannot write {target}: {reason}. {whole}: make room and run the same command again to go on"

    def load_checkpoint(self, name: str = "latest") -> tuple[dict[str, Any], int] | None:
        """A checkpoint's tensors and image count: the newest, or the one of that name; None where none is yet.

        Raises `TrainingError` when it is damaged, `UsageError` when a name is not there.
        """
        from safetensors.torch import load_file

        found = self.checkpoints()
        if name != "latest":
            found = [p for p in found if p.name == Path(name).name]
            if not found:
                there = ", ".join(p.name for p in self.checkpoints()) or "no checkpoint"
                raise UsageError(f"no {name} in {self.path}: there is {there}")
        if not found:
            return None
        try:
            return load_file(found[-1] / "state.safetensors"), json.loads((found[-1] / "state.json").read_text())[
                "images"
            ]
        except Exception as error:
            raise TrainingError(f"{found[-1]} is damaged ({error}); delete it to go on from the one before") from None

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _tensorboard(self) -> Any:
        if self._writer is None:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise MissingExtra("TensorBoard is not installed: pip install 'likeness[train]'") from None
            self._writer = SummaryWriter(str(self.path))
        return self._writer


def commit() -> str | None:
    """The commit of the code that runs, `-dirty` if changed; None outside a checkout."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        # installed into somebody else's checkout we would report their commit: ours tracks this file
        if subprocess.run([*git, "ls-files", "--error-unmatch", __file__], capture_output=True, timeout=5).returncode:
            return None
        found = subprocess.run(
            [*git, "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
