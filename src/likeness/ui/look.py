"""How the page looks: colours for light and dark, and the few rules that Streamlit's theme cannot say."""

from __future__ import annotations

import html
import re

# every pair of text and ground has a contrast of at least 4.5:1 (WCAG 2.2, 1.4.3)
THEME = {
    "theme.light.primaryColor": "#2b5f9e",
    "theme.light.backgroundColor": "#fbfaf8",
    "theme.light.secondaryBackgroundColor": "#f1efea",
    "theme.light.textColor": "#22262b",
    "theme.light.borderColor": "#d9d5cc",
    "theme.dark.primaryColor": "#7db0ea",
    "theme.dark.backgroundColor": "#16191d",
    "theme.dark.secondaryBackgroundColor": "#20252b",
    "theme.dark.textColor": "#e8e6e1",
    "theme.dark.borderColor": "#3a4048",
    "theme.baseRadius": "8px",
    "theme.headingFontWeights": "[600,600,600]",
    "theme.headingFontSizes": '["1.9rem","1.5rem","1.25rem"]',
}

CSS = """
<style>
.stMainBlockContainer {max-width: 1180px; padding-top: 2.2rem; padding-bottom: 3rem}
.stMainBlockContainer img {border-radius: 8px}
[class*="st-key-chosen-"] img {outline: 3px solid var(--st-primary-color, #3f76b8); outline-offset: 2px}
blockquote.words {margin: 0; padding: 0 0 0 .8rem; border-left: 3px solid #8886; overflow-wrap: anywhere}
table.words {width: 100%; border-collapse: collapse}
table.words td {overflow-wrap: anywhere}
table.words th, table.words td {text-align: left; vertical-align: top; padding: .4rem .6rem}
table.words tr {border-bottom: 1px solid #8884}
[data-testid="stElementToolbar"] {display: none}
[data-testid="stCaptionContainer"] {color: inherit; opacity: .82}
:focus-visible {outline: 2px solid var(--st-primary-color, #3f76b8); outline-offset: 2px}
@media (min-width: 641px) {
  .st-key-card {position: sticky; top: 4rem}
}
@media (max-width: 640px) {
  .stMainBlockContainer {padding-left: 1rem; padding-right: 1rem}
}
@media (prefers-reduced-motion: reduce) {
  * {animation: none !important; transition: none !important}
}
</style>
"""

# the light blue that is readable on a dark ground carries dark letters
CSS_DARK = (
    "<style>button[kind='primary']:not(:disabled), button[kind='primary']:not(:disabled) * {color: #10151b}</style>"
)

MARKDOWN = re.compile(r"([\\\\`*_{}\[\]()#+\-.!$:<>|~])")


def quote(text: str) -> str:
    """HTML of somebody's words, whatever signs are in them."""
    return f"<blockquote class='words'>{html.escape(text)}</blockquote>"


def table(rows: list[tuple[str, ...]]) -> str:
    """HTML of a table whose first row and first column are headings."""
    head, *body = [[html.escape(cell) for cell in row] for row in rows]
    lines = ["<tr>" + "".join(f"<th scope='col'>{cell}</th>" for cell in head) + "</tr>"]
    lines += [
        f"<tr><th scope='row'>{first}</th>" + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>"
        for first, *rest in body
    ]
    return f"<table class='words'>{''.join(lines)}</table>"


def plain(text: str) -> str:
    """Markdown that shows a text as it is."""
    return MARKDOWN.sub(r"\\\1", text)
