"""A data card in Markdown: what is in a folder, under which licence, whom it shows too rarely, what it is not for."""

from __future__ import annotations

import json
from pathlib import Path

from ..errors import UsageError
from ..files import write_text
from ..records import ETHNICITIES, FIELDS
from .stats import LIMIT, NOT_SAID, Stats

NAME = "README.md"
MARK = "<!-- written by likeness data card: edits are lost when it is written again -->"
FAIR = 0.5  # a value is shown too rarely when it has less than this part of an even share
ENOUGH = 0.2  # of the pictures must say a field before we judge by it
DECADES = tuple(f"{d}-{d + 9}" for d in range(20, 70, 10)) + ("70+",)
JUDGED = {"gender": FIELDS["gender"].values, "age": DECADES, "ethnicity": ETHNICITIES}

# Licences that the hub knows by a short name; the key is looked for in the licence's text, the longest first.
HUB_LICENSES = {
    "cc by-nc-sa 4.0": "cc-by-nc-sa-4.0", "cc by-nc-nd 4.0": "cc-by-nc-nd-4.0", "cc by-nc 4.0": "cc-by-nc-4.0",
    "cc by-sa 4.0": "cc-by-sa-4.0", "cc by 4.0": "cc-by-4.0", "cc0": "cc0-1.0", "cc by 2.0": "cc-by-2.0", "mit": "mit",
    "apache-2.0": "apache-2.0", "apache 2.0": "apache-2.0",
}  # fmt: skip

USE = """\
```python
from datasets import load_dataset

faces = load_dataset("imagefolder", data_dir="path/of/this/folder")
```
"""
FORBIDDEN = """\
- identifying, recognising, tracking or verifying people, and training models that do
- judging people by their faces: character, health, honesty, orientation, origin, danger
- deciding about people: police, border, credit, insurance, hiring, housing
- accusing anybody; a face that a model draws is no evidence, and may resemble someone who has nothing to do with it
- deceiving anyone about who or what is shown: impersonation, faked news, faked profiles
- sexual pictures, and any picture of a minor in a sexual or violent context
"""


def card(
    stats: Stats,
    title: str | None = None,
    license: str | None = None,
    origin: str | None = None,
    notes: str | None = None,
) -> str:
    """The card's text. What is not given is taken from the rows: their licences and sources.

    `license`, `origin`, `notes`: sentences of your own, which go first in their sections.
    """
    name = title or Path(stats.folder).resolve().name
    parts = [
        _front(stats, name, license),
        f"# {_line(name)}\n\n{MARK}\n",
        f"{stats.pictures:,} pictures of faces, {stats.with_text:,} with a caption, "
        f"{stats.with_attributes:,} with attributes. "
        "`metadata.jsonl` has one row a picture, in Hugging Face's ImageFolder convention.\n",
        USE,
        "## Licence\n",
        f"{license}\n" if license else "",
        _licenses(stats),
        "## Where it comes from\n",
        f"{origin}\n" if origin else "",
        _table("source", stats.sources, stats.pictures),
        "The people shown did not ask to be here. Take a picture and its row out when the person or the source asks.\n",
        "## What is in it\n",
        _table("split", stats.splits, stats.pictures),
        *(_table(f.replace("_", " "), stats.attributes[f], stats.pictures) for f in JUDGED if f in stats.attributes),
        _captions(stats),
        "## Whom it shows too rarely\n",
        _missing(stats),
        "## What it is not for\n",
        "This holds whatever the licence allows:\n",
        FORBIDDEN,
        f"## Notes\n\n{notes}\n" if notes else "",
    ]  # fmt: skip
    return "\n".join(part for part in parts if part)


def write(folder: str | Path, text: str, overwrite: bool = False) -> Path:
    """Write a card as the folder's README.md. Raises `UsageError` for one that somebody wrote, unless `overwrite`."""
    target = Path(folder) / NAME
    if target.exists() and not overwrite and MARK not in target.read_text(encoding="utf-8", errors="replace"):
        raise UsageError(f"{target} is somebody's own: move it away, or choose another output")
    write_text(target, text)
    return target


def too_rare(stats: Stats) -> dict[str, dict[str, float]]:
    """Field -> value -> its share among the pictures that say the field, for values far below an even share.

    Even shares are no claim about any population: they are what a model needs to draw everybody equally well.
    """
    found: dict[str, dict[str, float]] = {}
    for name, values in JUDGED.items():
        counts = _by_decade(stats.attributes.get(name, {})) if name == "age" else stats.attributes.get(name, {})
        total = sum(counts.get(v, 0) for v in values)
        if stats.pictures and total >= ENOUGH * stats.pictures:
            rare = {v: counts.get(v, 0) / total for v in values if counts.get(v, 0) / total < FAIR / len(values)}
            if rare:
                found[name] = rare
    return found


def _by_decade(ages: dict[str, int]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for age, n in ages.items():
        low = int(age.rstrip("+").split("-")[0])
        name = "70+" if low >= 70 else f"{low // 10 * 10}-{low // 10 * 10 + 9}"
        counts[name] = counts.get(name, 0) + n
    return counts


def _front(stats: Stats, name: str, license: str | None) -> str:
    """The hub's YAML header. JSON strings are YAML strings."""
    said = [license] if license else [v for v in stats.licenses if v != NOT_SAID]
    ids = {_hub_license(v) for v in said}
    known = ids.pop() if len(ids) == 1 and NOT_SAID not in (stats.licenses if not license else ()) else "other"
    edges = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
    size = next((text for most, text in edges if stats.pictures < most), "n>1M")
    return (
        f"---\npretty_name: {json.dumps(_line(name))}\nlicense: {known}\ntask_categories:\n- text-to-image\n"
        f"tags:\n- faces\nsize_categories:\n- {size}\n---\n"
    )


def _hub_license(text: str) -> str:
    plain = text.lower().replace("cc-by", "cc by")
    return next((HUB_LICENSES[k] for k in sorted(HUB_LICENSES, key=len, reverse=True) if k in plain), "other")


def _licenses(stats: Stats) -> str:
    text = _table("licence", stats.licenses, stats.pictures)
    named = [v for v in stats.licenses if v != NOT_SAID]
    if len(named) > 1:
        text += "\nEvery row names its own licence. Whoever passes on the whole keeps to the strictest of them.\n"
    if stats.licenses.get(NOT_SAID):
        text += (
            f"\n**{stats.licenses[NOT_SAID]:,} pictures name no licence: do not pass them on before it is known.**\n"
        )
    return text


def _captions(stats: Stats) -> str:
    if not stats.with_text:
        return "No picture has a caption.\n"
    return (
        f"A caption has {stats.words.median} words in the median ({stats.words.least} to {stats.words.most}), "
        f"{stats.tokens.median} tokens of `{_line(stats.tokenizer)}`; {stats.share_over:.1%} have more than the "
        f"{LIMIT} that CLIP's text encoders read. Captions that a model wrote are guesses about how people look, and "
        "wrong where it was wrong: "
        + "; ".join(f"{_cell(k)}: {n:,}" for k, n in list(stats.captioners.items())[:8]) + ".\n"
    )  # fmt: skip


def _missing(stats: Stats) -> str:
    lines = []
    for name, rare in too_rare(stats).items():
        said = ", ".join(f"{v} ({share:.1%})" if share else f"{v} (nobody)" for v, share in rare.items())
        lines.append(f"- **{name}**: {said}")
    for name in JUDGED:
        covered = sum(stats.attributes.get(name, {}).values())
        if covered < ENOUGH * max(1, stats.pictures):
            lines.append(f"- **{name}** is said of too few pictures to judge")
    if stats.minors:
        said = f"{stats.minors:,} pictures are labelled with an age that may be under 18."
        lines.append(f"- **{said}** Leave them out of training.")
    text = "\n".join(lines) if lines else "No group of gender, age or ethnicity has less than half of an even share."
    return (
        f"{text}\n\nGender in two boxes, ethnicity in seven: categories that people or networks assigned to "
        "strangers' pictures, and they overlap. Nobody was asked. What these boxes leave out, such as disability, skin "
        "conditions or dress, is not counted, and a model trained on these pictures draws rare groups worse.\n"
    )  # fmt: skip


def _table(title: str, counts: dict[str, int], total: int, most: int = 20) -> str:
    if not counts or set(counts) == {NOT_SAID}:
        return f"No row names its {title}.\n"
    rows = list(counts.items())[:most]
    left = sum(counts.values()) - sum(n for _, n in rows)
    rows += [("others", left)] if left else []
    body = "\n".join(f"| {_cell(v)} | {n:,} | {n / max(1, total):.1%} |" for v, n in rows)
    return f"| {title} | pictures | share |\n|---|---|---|\n{body}\n"


def _line(text: str) -> str:
    return " ".join(text.split())


def _cell(text: str) -> str:
    """A value as a table's cell: rows come from strangers, and a card is shown on web pages."""
    plain = _line(text)[:120].replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return plain.replace("[", "\\[").replace("`", "\\`")
