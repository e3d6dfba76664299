"""Which version of this package draws."""

from __future__ import annotations

import importlib.metadata


def version() -> str:
    """Of this package; `0+unknown` when it runs from a checkout that was never installed."""
    try:
        return importlib.metadata.version("likeness")
    except importlib.metadata.PackageNotFoundError:
        return "0+unknown"
