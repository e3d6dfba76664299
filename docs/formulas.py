"""A hook of mkdocs: the formulas of a page as MathML, which browsers draw themselves, without a script or a font."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<latex>.*?)\\[)\]]</(?P=tag)>', re.S)


def on_page_content(content: str, **_: Any) -> str:
    """The page's HTML; pymdownx.arithmatex has marked the formulas in it."""
    return FORMULA.sub(_drawn, content)


def _drawn(found: re.Match[str]) -> str:
    return convert(html.unescape(found["latex"]), display="block" if found["tag"] == "div" else "inline")
