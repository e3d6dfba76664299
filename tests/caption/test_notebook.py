"""The notebook runs from top to bottom, as a kernel runs it, and leaves captions that are whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kernels import kernel, opened, parameters, pictures  # noqa: F401

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")


@pytest.fixture
def book(root: Path) -> Any:
    return nbformat.read(root / "notebooks" / "data_pipeline.ipynb", as_version=4)


def test_it_is_stored_without_outputs_and_with_parameters(book: Any) -> None:
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert code and not any(cell.outputs or cell.execution_count for cell in code)
    assert "CAPTIONER" in parameters(book).source


def test_every_member_runs_it_and_nothing_is_missing(book: Any, kernel: str, tmp_path: Path) -> None:  # noqa: F811
    settings = parameters(book)
    defaults = settings.source
    with opened(book, kernel, tmp_path) as run:
        for member in (1, 2):
            settings.source = f"{defaults}\nFACES, MEMBER, MEMBERS = 5, {member}, 2"
            printed = run()
    rows = [json.loads(line) for line in (tmp_path / "faces" / "metadata.jsonl").read_text("utf-8").splitlines()]
    assert len(rows) == len({row["file_name"] for row in rows}) == 5
    assert all(row["text"] and row["caption"]["captioner"] == "labels" for row in rows)
    assert "5 of 5 rows have a caption" in printed
    assert pictures(book), "it shows what it captioned"
