"""`likeness doctor`: what this machine has, and what to do about what it lacks."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

from ..files import user_cache
from . import output as out

GB = 2**30
WANTED_MEMORY, WANTED_DISK = 4, 2  # GB: mini on a CPU needs about one, an SD 1.5 download four of disk


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `state` is ok, note (works without) or bad (does not work without)."""

    what: str
    state: str
    found: str
    remedy: str = ""


def doctor(json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check python, torch, device, memory, disk, models and hub. Ends with 1 only if drawing cannot work here."""
    findings = [finding for check in CHECKS for finding in check()]
    if json:
        out.as_json([asdict(finding) for finding in findings])
    else:
        lines = [(f.state, f.what, f.found + (f"  -> {f.remedy}" if f.remedy else "")) for f in findings]
        out.table([*lines])
    if any(finding.state == "bad" for finding in findings):
        raise typer.Exit(1)


def python() -> list[Finding]:
    good = sys.version_info >= (3, 11)
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return [Finding("python", "ok" if good else "bad", found, "" if good else "install Python 3.11 or newer")]


def libraries() -> list[Finding]:
    import importlib.metadata

    findings = []
    for name in ("likeness", "torch", "diffusers", "transformers"):
        try:
            findings.append(Finding(name, "ok", importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            bad = name != "likeness"  # running from a checkout is fine
            remedy = (
                f"pip install -c constraints.txt {name}" if bad else "pip install -e . puts the command on your path"
            )
            findings.append(Finding(name, "bad" if bad else "note", "not installed", remedy))
    return findings


def device() -> list[Finding]:
    try:
        import torch

        from ..runtime import default_device, fast_precision
    except Exception as error:  # a torch that does not match this machine fails in many ways
        return [Finding("device", "bad", f"torch does not load: {error}", "install torch again from constraints.txt")]
    name = default_device()
    quick = fast_precision(torch.device(name))
    if name == "cuda":
        memory = torch.cuda.get_device_properties(0).total_memory / GB
        return [Finding("device", "ok", f"cuda: {torch.cuda.get_device_name(0)}, {memory:.0f} GB, quick in {quick}")]
    found = f"{name}: {torch.get_num_threads()} threads, quick in {quick}"
    return [Finding("device", "ok", found, "" if name == "mps" else "enough for mini; larger models want a GPU")]


def memory() -> list[Finding]:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GB
        free = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") / GB
    except (AttributeError, ValueError, OSError):
        return [Finding("memory", "note", "this system does not tell")]
    low = total < WANTED_MEMORY
    remedy = f"{WANTED_MEMORY} GB or more is wanted: draw with --batch-size 1" if low else ""
    return [Finding("memory", "note" if low else "ok", f"{total:.1f} GB, {free:.1f} GB unused", remedy)]


def disk() -> list[Finding]:
    findings = []
    for what, folder in (("disk here", Path.cwd()), ("disk for models", _cache())):
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free / GB
        low = free < WANTED_DISK
        remedy = "make room; HF_HOME moves the models to another disk" if low else ""
        findings.append(Finding(what, "note" if low else "ok", f"{free:.1f} GB free in {folder}", remedy))
    return findings


def models() -> list[Finding]:
    from ..models.registry import ASSETS, MODELS, drawing, present

    findings = []
    for name in drawing():
        folder, spec = present(MODELS[name]), MODELS[name]
        if folder is not None:
            findings.append(Finding(f"model {name}", "ok", f"{spec.title}, {_weight(folder)}"))
        elif spec.asset:
            findings.append(Finding(f"model {name}", "bad", "its files are missing", "install likeness again"))
        else:
            remedy = f"likeness generate --model {name} fetches {spec.hub_ids[0]}"
            findings.append(Finding(f"model {name}", "note", "not on this disk", remedy))
    for name in ("eye", "judge"):
        here = (ASSETS / name / "model.safetensors").exists()
        remedy = (
            "" if here else f"likeness train {name} --data DIR, or install likeness again; only `evaluate` needs it"
        )
        found = _weight(ASSETS / name) if here else "its files are missing"
        findings.append(Finding(f"model {name}", "ok" if here else "note", found, remedy))
    return findings


def network() -> list[Finding]:
    from ..models.registry import hub, hub_reachable

    if hub_reachable(3):
        return [Finding("hub", "ok", f"{hub()} answers")]
    offline = "HF_HUB_OFFLINE" in os.environ
    why = "is not asked: HF_HUB_OFFLINE is set" if offline else "does not answer"
    return [Finding("hub", "note", f"{hub()} {why}", "mini works offline; larger models need the hub once")]


CHECKS: tuple[Callable[[], list[Finding]], ...] = (python, libraries, device, memory, disk, models, network)


def _cache() -> Path:
    home = os.environ.get("HF_HOME") or user_cache() / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")


def _weight(folder: Path) -> str:
    return f"{sum(f.stat().st_size for f in folder.rglob('*') if f.is_file()) / 2**20:.0f} MB"
