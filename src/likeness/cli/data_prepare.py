"""`likeness data prepare` and `prepare-all`: flags -> a recipe, a report -> a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import ConfigError
from . import output as out
from .progress import stages

Output = Annotated[Path, typer.Option(help="Folder for images/ and metadata.jsonl; run again to go on after a stop.")]
Option = Annotated[
    list[str] | None,
    typer.Option("--option", "-o", help="A setting of the source, as key=value: labels=shipped, prefixes=desi=Indian."),
]
Size = Annotated[int | None, typer.Option(help="Side of the pictures in pixels; default 768 (fairface: 128).")]
Detector = Annotated[str | None, typer.Option(help="mtcnn, yunet, haar or none (centre crop); default mtcnn.")]
DetectorPath = Annotated[Path | None, typer.Option(help="The ONNX file of yunet.")]
Align = Annotated[
    str | None,
    typer.Option(help="eyes (level), box (upright), or fairface: as mini's faces, FairFace's default. Default eyes."),
]
Margin = Annotated[float | None, typer.Option(help="Room on each side, as a part of the face's framing; default 0.")]
NoFace = Annotated[str | None, typer.Option(help="A picture without a face: drop, or center. Default drop.")]
ManyFaces = Annotated[str | None, typer.Option(help="Several faces: largest, all, or drop. Default largest.")]
Upscale = Annotated[bool, typer.Option("--upscale", help="Enlarge faces that are smaller than --size.")]
Coding = Annotated[str | None, typer.Option("--format", help="png, webp or jpg; default png.")]
Quality = Annotated[int | None, typer.Option(help="Of webp and jpg, 1 to 100.")]
Filters = Annotated[
    bool, typer.Option("--filters/--no-filters", help="Leave out small, blurred, dark faces and near-duplicates.")
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Any setting, as key=value: filters.blur=20, filters.one_face=true, crop.edges=mirror."),
]
Minors = Annotated[bool, typer.Option("--minors", help="Keep people who are, or may be, under 18. Never for training.")]
Workers = Annotated[int | None, typer.Option(min=0, help="Processes; default one a core, 0 only this one.")]
Limit = Annotated[int | None, typer.Option(min=1, help="So many pictures of each source: a quick look.")]
Against = Annotated[
    list[Path] | None, typer.Option(help="A prepared folder whose near-duplicates are left out here; repeatable.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]

NOTE = (
    "Note: the source names no ages, so children cannot be told from adults: look at the contact sheet, and leave "
    "children out before training."
)


def prepare(
    source: Annotated[str, typer.Argument(help="A name from `likeness data sources`.")],
    path: Annotated[str, typer.Argument(help="Where it lies: a folder, for csv a file, for huggingface a name.")],
    output: Output, option: Option = None, size: Size = None, detector: Detector = None,
    detector_path: DetectorPath = None, align: Align = None, margin: Margin = None, no_face: NoFace = None,
    many_faces: ManyFaces = None, upscale: Upscale = False, format_: Coding = None,
    quality: Quality = None, filters: Filters = True, minors: Minors = False, set_: Set = None,
    against: Against = None, limit: Limit = None, workers: Workers = None, json_: Json = False,
) -> None:  # fmt: skip
    """Find, cut, sift and write the faces of one source.

    Leaves images/, metadata.jsonl, report.json, dropped.jsonl and a contact sheet. Stopped or killed, it goes on where
    it was when it is run again; what comes out does not depend on that, nor on --workers.
    """
    from ..data.prepare import Feed

    options = source_options(option or [])
    if align == "fairface" and source == "fairface":
        options.setdefault("labels", "shipped")
    if align is None and source == "fairface":
        align = "fairface"
        out.remark("FairFace's pictures are tight: cut as with --align fairface (--align eyes for the wide framing)")
    flags = {
        "crop.size": size, "crop.margin": margin, "crop.policy_none": no_face, "crop.policy_many": many_faces,
        "crop.upscale": upscale or None, "detector": detector, "detector_path": detector_path, "format": format_,
        "quality": quality, "minors": minors or None,
    }  # fmt: skip
    config = recipe(align, filters, flags, set_ or [])
    _run([Feed(source, path, options)], output, config, against, limit, workers, json_)


def prepare_all(
    output: Output,
    ffhq: Annotated[Path | None, typer.Option(help="Folder of FFHQ.")] = None,
    easyportrait: Annotated[Path | None, typer.Option(help="Folder of EasyPortrait.")] = None,
    laion_face: Annotated[Path | None, typer.Option(help="img2dataset's output for LAION-Face.")] = None,
    celeba: Annotated[Path | None, typer.Option(help="Folder of CelebA.")] = None,
    celeba_hq: Annotated[Path | None, typer.Option(help="Folder of CelebA-HQ.")] = None,
    utkface: Annotated[Path | None, typer.Option(help="Folder of UTKFace.")] = None,
    fairface: Annotated[Path | None, typer.Option(help="Folder of FairFace.")] = None,
    illinois: Annotated[Path | None, typer.Option(help="Folder of the Illinois DOC set.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Any other, as name=path: folder=mine, csv=mine.csv; repeatable.")
    ] = None,
    captions: Annotated[
        list[str] | None,
        typer.Option(help="Published Text2Face captions, as source=file: ffhq=ffhq_captions.csv; repeatable."),
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option("--option", "-o", help="A setting of a source: fairface.labels=shipped.")
    ] = None,
    size: Size = None, detector: Detector = None, detector_path: DetectorPath = None, align: Align = None,
    margin: Margin = None, upscale: Upscale = False, format_: Coding = None,
    quality: Quality = None, filters: Filters = True, minors: Minors = False, set_: Set = None,
    against: Against = None, limit: Limit = None, workers: Workers = None, json_: Json = False,
) -> None:  # fmt: skip
    """Prepare several sources into one folder; near-duplicates between them are left out.

    Pictures are named after their source (ffhq-00000.png). Sources are taken in the order of this list.
    """
    places: list[tuple[str, str]] = [
        (name, str(path)) for name, path in (
            ("ffhq", ffhq), ("easyportrait", easyportrait), ("laion-face", laion_face), ("celeba", celeba),
            ("celeba-hq", celeba_hq), ("utkface", utkface), ("fairface", fairface), ("illinois", illinois),
        ) if path is not None
    ]  # fmt: skip
    places += [_pair(text, "--source", "name=path") for text in source or []]
    flags = {
        "crop.size": size, "crop.margin": margin, "crop.upscale": upscale or None, "detector": detector,
        "detector_path": detector_path, "format": format_, "quality": quality, "minors": minors or None,
    }  # fmt: skip
    feeds = feeds_of(places, captions or [], option or [], align)
    _run(feeds, output, recipe(align, filters, flags, set_ or []), against, limit, workers, json_)


def recipe(align: str | None, filters: bool, flags: dict[str, Any], pairs: list[str]) -> Any:
    """Flags that were given, then key=value pairs -> `PrepareConfig`."""
    from .. import config
    from ..data.recipe import FAIRFACE, NO_FILTERS, PrepareConfig

    if align not in {None, "eyes", "box", "fairface"}:
        raise ConfigError(f"--align {align}{config.suggest(str(align), ['eyes', 'box', 'fairface'])}")
    values: dict[str, Any] = dict(FAIRFACE) if align == "fairface" else {}
    if align in {"eyes", "box"}:
        flags = flags | {"crop.align": align}
    if not filters:
        values["filters"] = vars(NO_FILTERS)
    given = {k: v for k, v in flags.items() if v is not None}
    return config.build(PrepareConfig, config.overlay(values, given | config.pairs(pairs)))


def source_options(texts: list[str]) -> dict[str, Any]:
    """`["labels=shipped", "all_images=true"]` -> keyword arguments; only true, false and numbers are not texts."""
    found: dict[str, Any] = {}
    for text in texts:
        key, value = _pair(text, "--option", "key=value")
        plain = {"true": True, "false": False, "none": None}
        found[key.replace("-", "_")] = plain[value.lower()] if value.lower() in plain else (
            int(value) if value.isdecimal() and len(value) < 18 else value)  # fmt: skip
    return found


def feeds_of(places: list[tuple[str, str]], captions: list[str], options: list[str], align: str | None) -> list[Any]:
    """Sources with their options. Raises `ConfigError` for an option or captions of a source that is not named."""
    from ..data.prepare import Feed

    names = [name for name, _ in places]
    given: dict[str, dict[str, Any]] = {name: {} for name in names}
    for text in options:
        head, dot, rest = text.partition(".")
        if not dot or head not in given:
            raise ConfigError(f"--option {text}: write source.key=value with one of {', '.join(names) or 'no sources'}")
        given[head] |= source_options([rest])
    if align == "fairface" and "fairface" in given:
        given["fairface"].setdefault("labels", "shipped")
    texts = dict(_pair(text, "--captions", "source=file") for text in captions)
    if strange := [name for name in texts if name not in names]:
        raise ConfigError(f"--captions {strange[0]}=…: no such source here; name one of {', '.join(names) or 'none'}")
    feeds = []
    for name, path in places:
        if name in texts:
            feeds.append(Feed("text2face", path, {"captions": texts[name], "images": name} | given[name]))
        else:
            feeds.append(Feed(name, path, given[name]))
    return feeds


def _pair(text: str, flag: str, form: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"{flag} {text!r}: write {form}")
    return key.strip(), value


def _run(
    feeds: list[Any], output: Path, config: Any, against: list[Path] | None, limit: int | None, workers: int | None,
    json_: bool,
) -> None:  # fmt: skip
    from ..data.manifest import Manifest
    from ..data.prepare import SHEET
    from ..data.prepare import prepare as run

    with stages(unit="images") as tell:
        report = run(feeds, output, config, workers, tell, limit, against or [])
    if json_:
        out.as_json(report.to_dict())
        return
    out.result(report.text())
    if report.kept:
        out.remark(f"Faces and metadata.jsonl are in {output}, a look at them is {output / SHEET}.")
        if any(r.attributes is None or r.attributes.age is None for r in _first(Manifest(output).records())):
            out.remark(NOTE)
    if config.minors:
        out.remark("Minors were kept because --minors was given: do not train on them.")


def _first(rows: Any) -> Any:
    from itertools import islice

    return islice(rows, 1000)
