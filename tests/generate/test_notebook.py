"""The notebook draws one face, a table of prompts and a comparison; run again it goes on where it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kernels import kernel, opened, parameters, pictures  # noqa: F401
from likeness.provenance import read

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")


@pytest.fixture
def book(root: Path) -> Any:
    return nbformat.read(root / "notebooks" / "inference.ipynb", as_version=4)


def test_it_is_stored_without_outputs_and_with_parameters(book: Any) -> None:
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    assert code and not any(cell.outputs or cell.execution_count for cell in code)
    assert "PROMPT" in parameters(book).source


def test_it_draws_and_leaves_recipes_and_draws_the_table_once(book: Any, kernel: str, tmp_path: Path) -> None:  # noqa: F811
    parameters(book).source += "\nSTEPS = 1"
    with opened(book, kernel, tmp_path) as run:
        printed = run()
        table = sorted((tmp_path / "likeness" / "table").glob("*.png"))
        assert len(table) == 3 and all(str(path) in printed for path in table)
        assert read(tmp_path / "likeness" / "one.png")["request"]["seed"] == 7
        assert (tmp_path / "likeness" / "comparison.png").is_file() and pictures(book) == 3
        drawn = [path.stat().st_mtime_ns for path in table]
        (tmp_path / "likeness" / "one.png").unlink()
        run()
    assert [path.stat().st_mtime_ns for path in table] == drawn
    assert (tmp_path / "likeness" / "one.png").is_file()  # it was run again
