"""The model hub: whether it can be reached, what of it is on this disk, and how files come from it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..errors import ModelNotFound

# what a repository is called on the hub: owner/name
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_TEXTS = (".json", ".txt", ".model", ".jinja")
_WEIGHTS = ".safetensors"


def hub() -> str:
    """Address of the model hub (`HF_ENDPOINT`, as everywhere in the Hugging Face tools)."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def hub_reachable(timeout: float = 3.0) -> bool:
    """Whether the hub answers at all within `timeout` seconds. False in offline mode (`HF_HUB_OFFLINE`)."""
    import urllib.error
    import urllib.request

    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}:
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


def fetch(repository: str, revision: str | None = None, half: bool = False, weights: bool = True) -> Path:
    """The snapshot's folder with the files of `wanted`, downloaded if need be; a bar for each file on a terminal.

    Raises what the hub client raises.
    """
    from huggingface_hub import HfApi, snapshot_download

    files = wanted(HfApi().list_repo_files(repository, revision=revision), half)
    if not weights:
        files = [file for file in files if not file.endswith(_WEIGHTS)]
    return Path(snapshot_download(repository, revision=revision, allow_patterns=files))


def wanted(files: list[str], half: bool = False) -> list[str]:
    """Of a repository's files those that are used: settings, and each network's weights once.

    A pipeline's repository often holds whole checkpoints and training weights beside its parts, and parts in half
    precision (`*.fp16.safetensors`), which are taken with `half` where there are any.
    """
    pipeline = "model_index.json" in files
    texts = [f for f in files if f.endswith(_TEXTS) and not f.startswith("safety_checker/")]
    weights = [
        f for f in files
        if f.endswith(_WEIGHTS) and ".non_ema." not in f and not f.startswith("safety_checker/")
        and ("/" in f or not pipeline)
    ]  # fmt: skip
    halves = {f for f in weights if ".fp16." in f}
    by_folder: dict[str, list[str]] = {}
    for file in weights:
        by_folder.setdefault(file.rpartition("/")[0], []).append(file)
    taken = []
    for group in by_folder.values():
        short = [f for f in group if f in halves]
        full = [f for f in group if f not in halves]
        taken += (short or full) if half else (full or short)
    return sorted(texts + taken)


def explain(repository: str, error: Exception) -> str:
    """Why a repository did not come, in a few words that say what to do."""
    kind = type(error).__name__
    reasons = {
        "RepositoryNotFoundError": "there is no such repository, or it is private: check the id and your HF_TOKEN",
        "GatedRepoError": "its owner asks you to accept terms: do so on its page, and log in with `hf auth login`",
        "RevisionNotFoundError": "that revision is gone",
        "EntryNotFoundError": "a file that it should have is missing",
        "LocalEntryNotFoundError": "the hub did not answer: try again",
        "OfflineModeIsEnabled": "offline mode is on: unset HF_HUB_OFFLINE",
    }
    return f"{repository}: {reasons.get(kind, kind)}"


def unreachable(name: str, repository: str, what: str = "--model") -> ModelNotFound:
    return ModelNotFound(
        f"{name} is not on this disk and {hub()} cannot be reached: "
        f"connect once, or copy {repository} here and give its folder as {what}"
    )
