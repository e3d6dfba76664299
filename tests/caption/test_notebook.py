"""The notebook runs from top to bottom, as a kernel runs it, and leaves captions that are whole."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")


@pytest.fixture
def book(root: Path) -> Any:
    return nbformat.read(root / "notebooks" / "data_pipeline.ipynb", as_version=4)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A kernel of this interpreter, whatever others the machine has registered."""
    spec = tmp_path / "jupyter" / "kernels" / "here"
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "here", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return "here"


def test_it_is_stored_without_outputs_and_with_parameters(book: Any) -> None:
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert code and not any(cell.outputs or cell.execution_count for cell in code)
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1 and "CAPTIONER" in tagged[0].source


def test_every_member_runs_it_and_nothing_is_missing(book: Any, kernel: str, tmp_path: Path) -> None:
    parameters = next(cell for cell in book.cells if "parameters" in cell.metadata.get("tags", []))
    defaults = parameters.source
    for member in (1, 2):
        parameters.source = f"{defaults}\nFACES, MEMBER, MEMBERS = 5, {member}, 2"
        nbclient.NotebookClient(
            book, kernel_name=kernel, timeout=120, resources={"metadata": {"path": str(tmp_path)}}
        ).execute()
    rows = [json.loads(line) for line in (tmp_path / "faces" / "metadata.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == len({row["file_name"] for row in rows}) == 5
    assert all(row["text"] and row["caption"]["captioner"] == "labels" for row in rows)
    printed = "".join(o.get("text", "") for cell in book.cells for o in cell.get("outputs", []))
    assert "5 of 5 rows have a caption" in printed
    pictures = [o for cell in book.cells for o in cell.get("outputs", []) if "image/png" in o.get("data", {})]
    assert pictures, "it shows what it captioned"
