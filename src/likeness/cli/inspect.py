"""`likeness inspect face.png`: how a picture was drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import output as out

_NAMES = {"negative_prompt": "negative", "image": "start image"}


def inspect(
    file: Annotated[Path, typer.Argument(help="A picture that likeness or A1111 drew.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print the whole recipe as JSON.")] = False,
) -> None:
    """Show how a picture was drawn. `likeness generate --like FILE` draws it again."""
    from ..provenance import read

    recipe = read(file)
    if json:
        out.as_json(recipe)
    else:
        out.table(rows(recipe))


def rows(recipe: dict[str, Any]) -> list[tuple[str, ...]]:
    request = dict(recipe["request"])
    width, height = request.pop("width", None), request.pop("height", None)
    request.pop("count", None)
    found: list[tuple[str, ...]] = [
        (str(_NAMES.get(k, k)), str(v)) for k, v in request.items() if v not in ("", None, [], ())
    ]
    if width and height:
        found.append(("size", f"{width}x{height}"))
    drawn = recipe.get("drawn") or {}
    if grid := recipe.get("grid"):
        found.append(("sheet of", f"{grid.get('count')} pictures, seeds {', '.join(map(str, grid.get('seeds', ())))}"))
    if drawn:
        facts = (str(drawn.get("device")), str(drawn.get("precision")), f"torch {drawn.get('torch')}")
        found.append(("drawn on", ", ".join(facts)))
    found += [("fingerprint", str(recipe.get("fingerprint") or "-")), ("software", str(recipe.get("software") or "-"))]
    found.append(("marked", "as made by a trained model (XMP)" if recipe.get("marked") else "no XMP mark"))
    return found
