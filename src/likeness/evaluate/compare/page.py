"""The report of a comparison: one HTML page with everything in it, without scripts, to read, to print or to send."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from .cases import Case, extremes
from .changes import Change
from .comparison import Comparison
from .marks import intervals, mark, number, picture, shares
from .measures import Measure

TEMPLATE = Path(__file__).with_name("report.html")
SHOWN = 60  # pictures of each side on the page
NEAREST = 6  # pairs of drawn and training faces of each side
SECTIONS = {
    "words": ("Are the words followed?", "More is better in every row."),
    "references": ("Likeness to the reference pictures", "Of LPIPS less is better; of all others, more."),
    "sets": (
        "All pictures together, against real faces",
        "Of distances less is better; of precision, recall, density and coverage, more. Diversity is neither.",
    ),
    "groups": (
        "Groups that the words ask for by name",
        "How often a group is recognised (more is better), and how far its faces are from real ones (less is better).",
    ),
    "copies": ("Nearness to training faces", "0.5: as near as real faces that were held out. Less is better."),
}
escape = html.escape


def page(found: Comparison) -> str:
    """The whole page. Nothing in a prompt or a file's name can become markup."""
    title = f"{found.sides[0].name} against {', '.join(side.name for side in found.sides[1:])}"
    parts = [_verdicts(found)]
    parts += [_table(found, section) for section in SECTIONS]
    parts += [_open(found), _worst(found), _grid(found), _copies(found), _missing(found), _protocol(found)]
    legend = "".join(f"<li>{mark(i)} {escape(side.name)}</li>" for i, side in enumerate(found.sides))
    values = {"TITLE": escape(title), "LEGEND": legend, "BODY": "\n".join(part for part in parts if part)}
    return re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], TEMPLATE.read_text(encoding="utf-8"))


def _section(title: str, *parts: str, name: str = "") -> str:
    inner = "\n".join(part for part in parts if part)
    return f'<section class="{name}"><h2>{escape(title)}</h2>\n{inner}\n</section>' if inner else ""


def _verdicts(found: Comparison) -> str:
    blocks = []
    for number_, side in enumerate(found.sides[1:]):
        changed = [(m, m.changes[number_]) for m in found.found.measures]
        clear = [f"<li>{_badge(c.verdict)} {escape(m.title)}: {_percent(c)}</li>" for m, c in changed if c.verdict]
        judged = sum(m.higher is not None for m, _ in changed)
        better, worse = (sum(c.verdict == verdict for _, c in changed) for verdict in ("better", "worse"))
        told = f"<strong>{better}</strong> of {judged} numbers better, <strong>{worse}</strong> worse"
        rest = f"{judged - better - worse} within chance"
        listed = f'<ul class="plain">{"".join(clear)}</ul>' if clear else ""
        blocks.append(f"<p>{mark(number_ + 1)} {escape(side.name)}: {told}, {rest}.</p>{listed}")
    return _section("What changed", *blocks, name="verdicts")


def _table(found: Comparison, section: str) -> str:
    rows = [measure for measure in found.found.measures if measure.section == section]
    if not rows:
        return ""
    title, told = SECTIONS[section]
    names = [side.name for side in found.sides]
    heads = [f"<th>{mark(i)} {escape(name)}</th>" for i, name in enumerate(names)]
    changes = "".join(f"<th>change{_of(names, i)}</th>" for i in range(1, len(names)))
    head = f'<tr><th>number</th><th class="drawing">95 % intervals</th>{"".join(heads)}{changes}</tr>'
    body = "".join(_row(measure, names) for measure in rows)
    return _section(title, f'<p class="faint">{told}</p>', f"<table><thead>{head}</thead><tbody>{body}</tbody></table>")


def _row(measure: Measure, names: Sequence[str]) -> str:
    cells = [f'<th scope="row">{escape(measure.title)}<small>n {measure.scores[0].count}</small></th>']
    cells.append(f'<td class="drawing">{intervals(measure, names)}</td>')
    for i, s in enumerate(measure.scores):
        limits = f"<small>[{number(s.low)}, {number(s.high)}]</small>"
        cells.append(
            f'<td data-label="{escape(names[i])}" title="{escape(s.protocol)}">{number(s.value)} {limits}</td>'
        )
    for i, change in enumerate(measure.changes, 1):
        cells.append(f'<td data-label="change{_of(names, i)}">{_change(change)}</td>')
    return f"<tr>{''.join(cells)}</tr>"


def _of(names: Sequence[str], i: int) -> str:
    return f": {escape(names[i])}" if len(names) > 2 else ""


def _change(one: Change) -> str:
    sign = "+" if one.absolute > 0 else ""
    low, high = number(one.low), number(one.high)
    percent = f" {_percent(one)}" if one.percent is not None else ""
    return f"{sign}{number(one.absolute)} <small>[{low}, {high}]{percent}</small> {_badge(one.verdict)}".replace(
        "-", "−"
    )


def _percent(one: Change) -> str:
    """Turned so that plus is better."""
    return "" if one.percent is None else f"{one.percent:+.1f} %".replace("-", "−")


def _badge(verdict: str) -> str:
    return f'<b class="{verdict}">{verdict}</b>' if verdict else ""


def _open(found: Comparison) -> str:
    blocks = []
    for name, by_side in found.found.shares.items():
        rows = []
        for of in zip(*by_side, strict=True):
            drawing = shares([(s.value, *s.interval) for s in of])
            cells = "".join(
                f'<td data-label="{escape(side.name)}">{s.value:.0%} <small>[{s.interval[0]:.0%}, '
                f"{s.interval[1]:.0%}]</small></td>"
                for s, side in zip(of, found.sides, strict=True)
            )
            rows.append(
                f'<tr><th scope="row">{escape(of[0].answer)}</th><td class="drawing">{drawing}</td>{cells}</tr>'
            )
        heads = "".join(f"<th>{mark(i)} {escape(side.name)}</th>" for i, side in enumerate(found.sides))
        head = f'<tr><th>{escape(name)}, n {by_side[0][0].count}</th><th class="drawing">share, 0 to 1</th>{heads}</tr>'
        blocks.append(f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>")
    told = '<p class="faint">Of pictures whose words do not say. Neither more nor less is better.</p>'
    return _section("What the words leave open", told if blocks else "", *blocks)


def _worst(found: Comparison) -> str:
    blocks = []
    for number_ in range(1, len(found.sides)):
        pair = (0, number_)
        for title, which in zip(("Lost the most", "Won the most"), extremes(found.found, number_), strict=True):
            cards = "".join(_card(found, [case.item], pair, case) for case in which)
            if cards:
                name = f": {escape(found.sides[number_].name)}" if len(found.sides) > 2 else ""
                blocks.append(f'<h3>{title}{name}</h3><div class="cards">{cards}</div>')
    told = (
        '<p class="faint">By how many of the attributes that the words name the first judge sees less, or more, than '
        "in the base's picture; then by the cosine of picture and words.</p>"
    )
    return _section("Worst and best cases", told if blocks else "", *blocks)


def _grid(found: Comparison) -> str:
    places = range(len(found.items))
    step = max(1, -(-len(places) // SHOWN))
    kept = places[::step]
    everyone = tuple(range(len(found.sides)))
    cards = [
        _card(found, list(group), everyone)
        for _, group in groupby(kept, key=lambda i: found.items[i].prompt or found.items[i].name)
    ]
    told = f"{len(kept)} of {len(places)} pictures of each side. " if len(kept) < len(places) else ""
    told += "Below a picture: what the first judge saw in place of what was asked."
    return _section(
        "Side by side", f'<p class="faint">{told}</p>', f'<div class="cards">{"".join(cards)}</div>', name="pictures"
    )


def _card(found: Comparison, items: Sequence[int], sides: Sequence[int], case: Case | None = None) -> str:
    first = found.items[items[0]]
    rows = []
    for i in items:
        item = found.items[i]
        seed = f", seed {item.request.seed}" if item.request else ""
        figures = [_figure(found, side, i) for side in sides]
        if item.reference:
            figures.append(f"<figure>{picture(item.reference, 'reference')}<figcaption>reference</figcaption></figure>")
        rows.append(f'<div class="row">{"".join(figures)}</div><p class="name">{escape(item.name + seed)}</p>')
    lost = _told(case) if case else []
    marks = "".join(f'<li class="{kind}">{escape(text)}</li>' for kind, text in lost)
    words = f"<p>{escape(first.prompt)}</p>" if first.prompt else ""
    return f"<article>{words}{''.join(rows)}{f'<ul>{marks}</ul>' if marks else ''}</article>"


def _told(case: Case) -> list[tuple[str, str]]:
    told = [("worse", f"lost: {text.partition(':')[0]}") for text in case.lost]
    told += [("better", f"won: {text.partition(':')[0]}") for text in case.won]
    closer = [("faint", f"cosine {case.closer:+.3f}".replace("-", "−"))] if not math.isnan(case.closer) else []
    return told + closer


def _figure(found: Comparison, side: int, i: int) -> str:
    name, failed = found.sides[side].name, found.found.failed[side][i]
    asked = found.found.asked[i]
    told = "<br>".join(map(escape, failed)) if failed else "as asked" if asked else ""
    shown = picture(found.sides[side].files[i], f"{name}: {found.items[i].prompt}")
    return f"<figure>{shown}<figcaption>{mark(side)} {escape(name)}<small>{told}</small></figcaption></figure>"


def _copies(found: Comparison) -> str:
    blocks = []
    for side, one in zip(found.sides, found.found.copies, strict=False):
        cards = "".join(
            '<article><div class="row">'
            f"<figure>{picture(pair.picture, 'drawn')}<figcaption>drawn</figcaption></figure>"
            f"<figure>{picture(pair.training[0], 'training')}<figcaption>nearest training face</figcaption></figure>"
            f"</div><p>distance {pair.distance:.4f}; {pair.nearer:.0%} of real faces are nearer</p></article>"
            for pair in one.drawn[:NEAREST]
        )
        blocks.append(f'<h3>{escape(side.name)}</h3><div class="cards">{cards}</div>')
    return _section("Nearest training faces", *blocks)


def _missing(found: Comparison) -> str:
    rows = "".join(f"<dt>{escape(what)}</dt><dd>{escape(why)}</dd>" for what, why in found.found.missing.items())
    return _section("Not measured", f"<dl>{rows}</dl>" if rows else "")


def _protocol(found: Comparison) -> str:
    drawn = (f"{side.name}: {side.told}." for side in found.sides)
    notes = f"<h3>To be known</h3>{_list(found.found.notes)}" if found.found.notes else ""
    return _section("Protocol", _list([*drawn, *found.found.protocol]), notes, name="protocol")


def _list(texts: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"
