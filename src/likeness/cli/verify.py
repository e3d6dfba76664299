"""`likeness verify face.png`."""

from pathlib import Path
from typing import Annotated, Any

import typer

from . import output as out


def verify(
    pictures: Annotated[list[Path], typer.Argument(help="PNG, JPEG, WebP, … files.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print all that was found as JSON.")] = False,
    trust: Annotated[
        list[Path] | None, typer.Option(help="Certificate (PEM) of an authority to trust. Repeatable.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Do not look for resized or mirrored watermarks.")] = False,
) -> None:
    """Look for marks in pictures: recipe, XMP, C2PA signature, watermark. No mark proves nothing."""
    from ..errors import UsageError
    from ..provenance.verify import verify as examine

    anchors = [_pem(path) for path in trust or ()]
    found, failed = {}, None
    for path in pictures:
        try:
            found[path] = examine(path, anchors, search=not quick)
        except UsageError as error:
            if len(pictures) == 1:
                raise
            failed = error
            out.remark(f"error: {error}")
    if json:
        out.as_json([{"file": str(path)} | verdict.to_dict() for path, verdict in found.items()])
    else:
        for path, verdict in found.items():
            out.result(f"{path}: {verdict.conclusion}")
            out.table(rows(verdict))
    if failed:
        raise typer.Exit(failed.exit_code)


def rows(verdict: Any) -> list[tuple[str, ...]]:
    """What a verdict rests on, one mark a line."""
    manifest, mark, recipe = verdict.manifest, verdict.watermark, verdict.recipe
    signed = "none"
    if manifest:
        state = "trusted" if manifest.trusted else "valid, signer unknown" if manifest.valid else "not valid"
        signed = "; ".join([state, *filter(None, [manifest.signer, manifest.generator]), *manifest.problems])
    read = "none"
    if mark:
        same = {True: ", of this recipe", False: ", not of this recipe", None: ""}[verdict.belongs]
        read = f"{mark.payload.hex()}{same}; {mark.confidence:.0%} of its bits read right"
        read += "; mirrored" * mark.mirrored + f"; at scale {mark.scale:.2f}" * (mark.scale != 1)
    found: list[tuple[str, ...]] = [
        ("  recipe", str(recipe.get("software")) if recipe else "none"),
        ("  XMP", "made by a trained model" if verdict.xmp else "no mark"),
        ("  signature", signed),
        ("  watermark", read),
    ]
    return found + [("  note", note) for note in verdict.notes]


def _pem(path: Path) -> str:
    from ..errors import UsageError

    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else "not a PEM file"
        raise UsageError(f"cannot read the certificate {path}: {told}") from None
