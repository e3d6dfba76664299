"""The model hub: whether it can be reached, what of it is on this disk, and how files come from it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config import suggest
from ..errors import ModelNotFound, Unreachable, UsageError
from .hub_errors import OFFLINE, offline, translated

# what a repository is called on the hub: owner/name
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_TEXTS = (".json", ".txt", ".model", ".jinja")
_WEIGHTS = ".safetensors"
_PICKLE = re.compile(r"(diffusion_)?pytorch_model(\.fp16)?(-\d{5}-of-\d{5})?\.bin")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def hub() -> str:
    """Address of the model hub (`HF_ENDPOINT`, as everywhere in the Hugging Face tools)."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def hub_reachable(timeout: float = 3.0) -> bool:
    """Whether the hub answers at all within `timeout` seconds. False in offline mode (`HF_HUB_OFFLINE`)."""
    import urllib.error
    import urllib.request

    if offline():
        return False
    try:
        with urllib.request.urlopen(urllib.request.Request(hub(), method="HEAD"), timeout=timeout):
            return True
    except urllib.error.HTTPError as answer:
        return answer.code < 500  # it answered, even if it does not like the question
    except (OSError, ValueError):
        return False


def cached(repository: str, file: str, revision: str | None = None) -> Path | None:
    """A file of a repository that is on this disk already. Never touches the network."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, file, revision=revision)
    return Path(found) if isinstance(found, str) else None


def fetch(
    repository: str, revision: str | None = None, half: bool = False, weights: bool = True, dry: bool = False
) -> Any:
    """The snapshot's folder with the files of `wanted`, downloaded if need be; a bar for each file on a terminal.

    A download that was broken off goes on where it stopped. With `dry`, what would come: a list of the client's rows
    with `filename`, `file_size` and `will_download`. Raises what the hub client raises.
    """
    from huggingface_hub import HfApi, snapshot_download

    files = wanted(HfApi(endpoint=hub()).list_repo_files(repository, revision=revision), half)
    if not weights:
        files = [file for file in files if not is_weights(file)]
    found = snapshot_download(repository, revision=revision, allow_patterns=files, endpoint=hub(), dry_run=dry)
    return found if dry else Path(str(found))


def is_weights(file: str) -> bool:
    """Whether a repository's file holds a network's numbers; of pickles only those that hold nothing else."""
    return file.endswith(_WEIGHTS) or bool(_PICKLE.fullmatch(file.rpartition("/")[2]))


def wanted(files: list[str], half: bool = False) -> list[str]:
    """Of a repository's files those that are used: settings, and each network's weights once.

    A pipeline's repository often holds whole checkpoints and training weights beside its parts, and parts in half
    precision (`*.fp16.safetensors`), which are taken with `half` where there are any. A network that has no safetensors
    comes as `pytorch_model.bin`, which transformers and diffusers read as numbers only (`weights_only`).
    """
    pipeline = "model_index.json" in files
    texts = [f for f in files if f.endswith(_TEXTS) and not f.startswith("safety_checker/")]
    weights = [
        f for f in files
        if is_weights(f) and ".non_ema." not in f and not f.startswith("safety_checker/")
        and ("/" in f or not pipeline)
    ]  # fmt: skip
    by_folder: dict[str, list[str]] = {}
    for file in weights:
        by_folder.setdefault(file.rpartition("/")[0], []).append(file)
    taken = []
    for group in by_folder.values():
        group = [f for f in group if f.endswith(_WEIGHTS)] or group
        short = [f for f in group if ".fp16." in f]
        full = [f for f in group if ".fp16." not in f]
        taken += (short or full) if half else (full or short)
    return sorted(texts + taken)


def check(folder: Path, repository: str, hashes: Sequence[str] = ()) -> None:
    """Compare weights with the hub's own hashes, and with `hashes`: SHA-256, or FILE=SHA-256, of weights files.

    A file that is not what the hub said it is arrived damaged, and is removed so that it can come again
    (`Unreachable`). One that is whole but not what was asked for stays, and is told (`UsageError`).
    """
    found = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file() and is_weights(path.name)):
        blob, name = file.resolve(), file.relative_to(folder).as_posix()
        with open(blob, "rb") as opened:
            found[name] = hashlib.file_digest(opened, "sha256").hexdigest()
        if _SHA256.fullmatch(blob.name) and blob.name != found[name]:
            for damaged in (file, blob):
                damaged.unlink(missing_ok=True)
            raise Unreachable(f"{repository}: {name} arrived damaged and was removed: run the same command again")
    for given in hashes:
        name, equals, digest = given.rpartition("=")
        if not _SHA256.fullmatch(digest.lower()):
            raise UsageError(f"--sha256 {given}: give 64 hexadecimal digits, or FILE=DIGITS")
        if equals and name not in found:
            raise UsageError(f"{repository} has no weights file {name}{suggest(name, list(found))}")
        if digest.lower() not in ([found[name]] if equals else found.values()):
            told = found[name] if equals else ", ".join(f"{k} {v}" for k, v in found.items()) or "no weights"
            raise UsageError(
                f"{repository} is not what --sha256 says: it has {told}. Nothing was removed: do not use it"
            )


def snapshot(repository: str, revision: str | None = None) -> Path | None:
    """What of a repository is on this disk. Never touches the network."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, revision=revision, local_files_only=True))
    except Exception:  # not here: the client's errors for that are many
        return None


def explain(repository: str, error: Exception) -> str:
    """Why a repository did not come, in a few words that say what to do."""
    return str(translated(repository, error, hub()))


def unreachable(name: str, repository: str, what: str = "--model") -> ModelNotFound:
    why = f" ({OFFLINE} is set: unset it)" if offline() else ""
    return ModelNotFound(
        f"{name} is not on this disk and {hub()} cannot be reached{why}: "
        f"connect once, or copy {repository} here and give its folder as {what}"
    )
