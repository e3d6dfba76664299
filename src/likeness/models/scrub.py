"""Texts without the paths of this machine: what is published tells nobody who trained it, and where on his disk."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

# an absolute path within a text: two parts or more, and no part of an address (https://…) or a fraction (3/4)
_WITHIN = re.compile(r"(?<![\w:/.~+-])(?:~|[A-Za-z]:)?(?:[\\/][^\\/\s'\",;:<>|)\]]+){2,}[\\/]?")
# vocabularies: every string in them is a word of the model's
_WORDS = {"tokenizer.json", "vocab.json", "special_tokens_map.json", "added_tokens.json"}


def scrub(value: Any) -> Any:
    """The same value with every absolute path in its strings, also in keys, cut to its last part."""
    if isinstance(value, dict):
        return {scrub(key): scrub(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [scrub(one) for one in value]
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    if text[:1] in "[{" and text[-1:] in "]}":  # JSON in a string, as safetensors keep it
        try:
            return json.dumps(scrub(json.loads(text)), ensure_ascii=False)
        except ValueError:
            pass
    windows = bool(re.match(r"[A-Za-z]:[\\/]|\\\\", text))
    if "\n" not in text and (windows or text.startswith(("/", "~/", "../"))) and " /" not in text:
        return (PureWindowsPath if windows else PurePosixPath)(text).name or "."
    return _WITHIN.sub(lambda found: re.split(r"[\\/]", found[0].rstrip("\\/"))[-1], text)


def settings(source: Path) -> bytes:
    """A JSON file's bytes, scrubbed; the very bytes where there is nothing to hide, or the file is a vocabulary."""
    kept = source.read_bytes()
    if source.name in _WORDS:
        return kept
    try:
        value = json.loads(kept)
    except ValueError:
        return kept
    clean = scrub(value)
    return kept if clean == value else (json.dumps(clean, indent=2, ensure_ascii=False) + "\n").encode()


def tensors(source: Path, target: Path) -> None:
    """Copy a safetensors file; its metadata are scrubbed, its tensors stay to the byte."""
    import shutil

    with open(source, "rb") as read, open(target, "wb") as write:
        size = int.from_bytes(read.read(8), "little")
        header = json.loads(read.read(size))
        told = header.get("__metadata__")
        if told is None or scrub(told) == told:
            read.seek(0)
        else:
            header["__metadata__"] = scrub(told)
            text = json.dumps(header, separators=(",", ":")).encode()
            text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8, as the format's own writer has it
            write.write(len(text).to_bytes(8, "little") + text)
        shutil.copyfileobj(read, write, 1 << 24)
