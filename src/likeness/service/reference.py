"""/docs: the OpenAPI document as one page of plain HTML, without scripts and without anything from elsewhere."""

from __future__ import annotations

import json
from html import escape
from typing import Any

POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 3rem } h3 { margin-bottom: .2rem }
code, pre { font: 14px/1.45 ui-monospace, monospace; overflow-wrap: anywhere }
pre { overflow: auto; padding: .8rem; border: 1px solid color-mix(in srgb, currentColor 25%, transparent) }
table { border-collapse: collapse } td, th { text-align: left; vertical-align: top; padding: .1rem 1.2rem .1rem 0 }
"""
_BOUNDS = {
    "minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "maxLength": "at most", "maxItems": "at most",
}  # fmt: skip


def page(document: dict[str, Any]) -> str:
    """The page for an OpenAPI 3.1 document."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault((operation.get("tags") or ["other"])[0], []).append(_operation(path, method, operation))
    parts = [f"<h2>{escape(tag.capitalize())}</h2>{''.join(rows)}" for tag, rows in by_tag.items()]
    parts.append("<h2>Forms</h2>" + "".join(_schema(n, s) for n, s in document["components"]["schemas"].items()))
    info = document["info"]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style><body>'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1><p>{escape(info.get('description', ''))}</p>"
        f'<p>For programs: <a href="/openapi.json">/openapi.json</a></p>{"".join(parts)}</body></html>'
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    text = operation.get("description") or operation.get("summary", "")
    rows = [f"<h3><code>{method.upper()} {escape(path)}</code></h3><p>{escape(text)}</p>"]
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        rows.append(f"<p>Body ({escape(kind)}): {_named(content.get('schema', {}))}</p>")
    if given := operation.get("parameters"):
        cells = (f"<tr><td><code>{escape(p['name'])}</code><td>{p['in']}<td>{_kind(p['schema'])}" for p in given)
        rows.append(f"<table>{''.join(cells)}</table>")
    cells = (f"<tr><td><code>{status}</code><td>{_answer(answer)}" for status, answer in operation["responses"].items())
    return "".join([*rows, f"<details><summary>Answers</summary><table>{''.join(cells)}</table></details>"])


def _answer(answer: dict[str, Any]) -> str:
    shown = (f" {_named(c.get('schema', {}))}" for c in answer.get("content", {}).values())
    return escape(answer.get("description", "")) + "".join(shown)


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    cells = (
        f"<tr><td><code>{escape(key)}</code><td>{'needed' if key in required else ''}<td>{_kind(value)}"
        for key, value in schema.get("properties", {}).items()
    )
    text = escape(schema.get("description", ""))
    return f'<h3 id="{escape(name)}">{escape(name)}</h3><p>{text}</p><table>{"".join(cells)}</table>'


def _named(schema: dict[str, Any]) -> str:
    name = schema.get("$ref", "").rpartition("/")[2]
    return f'<a href="#{escape(name)}">{escape(name)}</a>' if name else _kind(schema)


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a few words: `integer, 1 to 8`."""
    if "$ref" in schema:
        return _named(schema)
    if options := schema.get("anyOf"):
        return " or ".join(dict.fromkeys(_kind(option) for option in options))
    said = escape(str(schema.get("type", "anything")))
    if schema.get("enum"):
        said = " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    if "items" in schema:
        said += f" of {_kind(schema['items'])}"
    said += "".join(f", {word} {schema[key]}" for key, word in _BOUNDS.items() if key in schema)
    if "default" in schema:
        said += f"; <code>{escape(json.dumps(schema['default']))}</code> if not given"
    return said + (f". {escape(schema['description'])}" if "description" in schema else "")
