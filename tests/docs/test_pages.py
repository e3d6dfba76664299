"""What the pages say holds: every command parses, every link leads somewhere."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import parse

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("docs", "deploy", "notebooks")
PAGES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
BLOCK = re.compile(r"^```(\w*).*?\n(.*?)^```", re.S | re.M)
ENDS = {"--help", "--version", "--install-completion", "--show-completion"}
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)|<img[^>]*src=\"([^\"]+)\"")


def commands(page: Path) -> Iterator[list[str]]:
    """The words of each line of a page's shell blocks that calls `likeness`."""
    for kind, block in BLOCK.findall(page.read_text("utf-8")):
        if kind in {"sh", "bash"}:
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["likeness"]:
                    end = next((i for i, word in enumerate(words) if word in {"&", "&&", "|", ">", ">>"}), len(words))
                    yield words[1:end]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_parses(page: Path) -> None:
    for args in commands(page):
        if page.name == "cli.md" or set(args) & ENDS:  # usage lines, not commands; options that end at once
            continue
        try:
            parse(args)
        except Exception as error:
            pytest.fail(f"likeness {shlex.join(args)}: {error}")


def test_commands_are_found_and_a_wrong_one_is_seen() -> None:
    assert sum(len(list(commands(page))) for page in PAGES) > 100
    with pytest.raises(Exception, match="No such option"):
        parse(["generate", "a man", "--gudance", "3"])
    with pytest.raises(Exception, match="unknown command"):
        parse(["genrate", "a man"])


def slugs(page: Path) -> set[str]:
    """The anchors that a page's headings get, as GitHub and mkdocs make them."""
    text = BLOCK.sub("", page.read_text("utf-8"))
    heads = re.findall(r"^#+ +(.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_within_the_project_leads_somewhere(page: Path) -> None:
    for found in LINK.findall(BLOCK.sub("", page.read_text("utf-8"))):
        target, _, anchor = (found[0] or found[1]).partition("#")
        if target.startswith(("http://", "https://", "mailto:", "data:")):
            continue
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), f"{page.name}: no {target}"
        if anchor and place.suffix == ".md":
            assert anchor in slugs(place), f"{page.name}: no heading #{anchor} in {place.name}"


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("mkdocstrings")
    pytest.importorskip("latex2mathml")
    build = [sys.executable, "-m", "mkdocs", "build", "-q", "-f", ROOT / "mkdocs.yml", "-d", tmp_path / "site"]
    done = subprocess.run(build, capture_output=True, text=True, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"})
    assert done.returncode == 0, done.stderr
    pages = {page.relative_to(ROOT / "docs").with_suffix(".html") for page in PAGES if page.parent == ROOT / "docs"}
    assert not [page for page in pages if not (tmp_path / "site" / page).is_file()]
    report = (tmp_path / "site" / "REPORT.html").read_text("utf-8")
    assert report.count("<math") > 50 and "arithmatex" not in report  # no formula is left as its source


@pytest.mark.slow
def test_the_tutorial_runs_from_top_to_bottom(tmp_path: Path) -> None:
    environ = os.environ | {"LIKENESS_HOME": str(tmp_path / "home")}
    done = subprocess.run([sys.executable, ROOT / "docs" / "tutorial.py", tmp_path / "tutorial"], env=environ)
    made = tmp_path / "tutorial"
    assert done.returncode == 0
    assert (made / "comparison" / "report.html").is_file() and (made / "glasses-model" / "README.md").is_file()
