"""Weights of measuring networks: where a file is, whether it is the published one, and what to do when it is not."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ...config import suggest
from ...errors import ModelNotFound, UsageError
from ...files import user_cache
from ..floor import sha256

FOLDER = "LIKENESS_WEIGHTS"

Given = Mapping[str, str | Path]  # network's name -> its file, or the folder that holds it


@dataclass(frozen=True)
class WeightsFile:
    """A published file: its name, where it comes from, and its hash (empty where unknown).

    `repository`: the hub id of a whole repository that the file needs beside it.
    """

    name: str
    url: str
    sha256: str = ""
    repository: str = ""


@dataclass(frozen=True)
class Found:
    """A file on this disk. `published`: it is what its name says, by hash or by the hub's own revision."""

    path: Path
    sha256: str
    published: bool


def folder() -> Path:
    """Where weights lie that were fetched by hand: `LIKENESS_WEIGHTS`, or likeness/weights in the user's cache."""
    if named := os.environ.get(FOLDER):
        return Path(named).expanduser()
    return user_cache() / "likeness" / "weights"


def places() -> tuple[Path, Path]:
    """Folders in which a weights file is looked for: ours, and torch hub's cache."""
    return folder(), Path(torch.hub.get_dir()) / "checkpoints"


def parse(texts: Sequence[str], known: Sequence[str]) -> dict[str, Path]:
    """`["inception=/data/pt_inception.pth"]` -> `{"inception": Path(...)}`. Raises `UsageError` for anything else."""
    given = {}
    for text in texts:
        name, equals, path = text.partition("=")
        if not equals or not path:
            raise UsageError(f"{text!r} names no weights: write NAME=PATH, such as inception=/data/inception.pth")
        if name not in known:
            raise UsageError(f"no network {name!r}{suggest(name, list(known))}")
        given[name] = Path(path).expanduser()
        if not given[name].exists():
            raise UsageError(f"--weights {name}: there is no {path}")
    return given


def find(network: str, file: WeightsFile, given: Given | None = None) -> Found:
    """The weights file of a network.

    A path that the user gives is taken whatever its hash, and `published` tells. A file found in `folder()` or in torch
    hub's cache must have the published hash. Raises `ModelNotFound` when there is none, and `UsageError` for one that
    is not what its name says.
    """
    if asked := (given or {}).get(network):
        path = Path(asked).expanduser()
        path = path / file.name if path.is_dir() else path
        if not path.is_file():
            raise missing(network, file, f"{path} is not there")
        digest = digest_of(path)
        return Found(path, digest, digest == file.sha256)
    for place in places():
        if (path := place / file.name).is_file():
            if (digest := digest_of(path)) != file.sha256:
                raise UsageError(
                    f"{path} is not the published file: its SHA-256 is {digest}, not {file.sha256}. "
                    f"Fetch it again from {file.url}, or give your own with --weights {network}=PATH"
                )
            return Found(path, digest, True)
    raise missing(network, file)


def missing(network: str, file: WeightsFile, why: str = "its weights are not on this disk") -> ModelNotFound:
    """One line: which file, from where, with which hash, and where to put it."""
    told = f"{file.url}, SHA-256 {file.sha256}" if file.sha256 else file.url
    if file.repository:
        what = f"connect once, or fetch {file.name} ({told}) with the other files of {file.repository}"
        where = folder() / network
    else:
        what, where = f"fetch {file.name} ({told})", folder()
    return ModelNotFound(
        f"{network} cannot measure, {why}: {what}; save it in {where} ({FOLDER} names another folder), "
        f"or give its place with --weights {network}=PATH"
    )


def digest_of(path: Path) -> str:
    """SHA-256 of a file; one in the hub's cache is called by it already."""
    stored = path.resolve().name
    return stored if re.fullmatch(r"[0-9a-f]{64}", stored) else sha256(path)


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a .pth or .safetensors file, on the CPU. Raises `UsageError` for a file that holds none."""
    try:
        if Path(path).suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)  # a pickle that may run nothing
        return {key: value for key, value in found.items() if isinstance(value, Tensor)}
    except Exception as error:
        why = " ".join(str(error).split())[:120]
        raise UsageError(f"{path} does not hold weights ({why}): fetch it again") from None


def fill(model: nn.Module, path: Path) -> None:
    """Give `model` (made on the meta device) a file's tensors, all of them and nothing else.

    Raises `UsageError` for weights of something else.
    """
    try:
        model.load_state_dict(read_tensors(path), assign=True)
    except RuntimeError as error:
        raise UsageError(f"{path} holds other weights ({' '.join(str(error).split())[:160]} ...)") from None
