"""A Jupyter kernel of this interpreter, and a notebook run with other parameters."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kernel of this interpreter, whatever others the machine has registered."""
    pytest.importorskip("ipykernel")
    spec = tmp_path / "jupyter" / "kernels" / "here"
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "here", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return "here"


def parameters(book: Any) -> Any:
    """The one cell that holds the settings of a notebook."""
    (cell,) = (cell for cell in book.cells if "parameters" in cell.metadata.get("tags", []))
    return cell


@contextlib.contextmanager
def opened(book: Any, kernel: str, folder: Path) -> Iterator[Callable[[], str]]:
    """A function that runs every cell in `folder` and returns what they printed; each time in the same kernel.

    Raises when a cell fails.
    """
    import nbclient

    client = nbclient.NotebookClient(book, kernel_name=kernel, timeout=300)

    def run() -> str:
        client.execute(cleanup_kc=False)
        return "".join(output.get("text", "") for cell in book.cells for output in cell.get("outputs", []))

    with client.setup_kernel(cwd=str(folder)):
        yield run


def pictures(book: Any) -> int:
    """How many outputs show a picture."""
    return sum("image/png" in output.get("data", {}) for cell in book.cells for output in cell.get("outputs", []))
