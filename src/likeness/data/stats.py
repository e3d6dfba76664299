"""What is in a folder: counts, attributes, and how long the captions are in words and in tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..records import FIELDS, FaceRecord
from .manifest import Manifest, tally

LIMIT = 77  # tokens that CLIP's text encoders read, start and end included
BATCH = 2000
NOT_SAID = "not said"
MOST = 200  # different values that are counted one by one; the rest is "other"


@dataclass
class Lengths:
    """Lengths of captions: quartiles and ends, the mean, and how many captions have which length."""

    least: int = 0
    median: int = 0
    p95: int = 0
    most: int = 0
    mean: float = 0.0
    counts: dict[int, int] = field(default_factory=dict)


@dataclass
class Stats:
    """Counts of a folder's rows. Attribute counts are of pictures; one with two values counts for both."""

    folder: str
    pictures: int = 0
    with_text: int = 0
    with_attributes: int = 0
    splits: dict[str, int] = field(default_factory=dict)
    sources: dict[str, int] = field(default_factory=dict)
    licenses: dict[str, int] = field(default_factory=dict)
    captioners: dict[str, int] = field(default_factory=dict)
    attributes: dict[str, dict[str, int]] = field(default_factory=dict)  # field -> value -> pictures; `FIELDS` order
    minors: int = 0  # pictures labelled with an age that may be under 18
    words: Lengths = field(default_factory=Lengths)
    tokens: Lengths = field(default_factory=Lengths)
    over_limit: int = 0  # captions of more than 77 tokens
    tokenizer: str = ""
    notes: dict[str, int] = field(default_factory=dict)  # rows left out: torn, repeated, bad

    @property
    def share_over(self) -> float:
        """Share of captions that are cut at 77 tokens."""
        return self.over_limit / self.with_text if self.with_text else 0.0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"share_over_77_tokens": round(self.share_over, 6)}


def measure(
    folder: str | Path,
    tokenizer: str = "mini",
    progress: Callable[[int], None] = lambda done: None,
    split: str | None = None,
) -> Stats:
    """Count a folder's rows, of one split if named; reads the table only, as a stream.

    `tokenizer`: a model's name, or a folder or file with a tokenizer.json. `mini` has words of its own that say faces
    in fewer tokens than CLIP's. Raises `UsageError` when there is no table or no tokenizer.
    """
    stats = Stats(str(folder), tokenizer=tokenizer)
    count_tokens = token_counter(tokenizer)
    words, tokens, notes = Counter[int](), Counter[int](), Counter[str]()
    facets: dict[str, Counter[str]] = {name: Counter() for name in ("splits", "sources", "licenses", "captioners")}
    said: dict[str, Counter[str]] = {name: Counter() for name in ("age", *FIELDS)}
    texts: list[str] = []
    for record in Manifest(folder).records(tally(notes)):
        if split is not None and record.split != split:
            continue
        stats.pictures += 1
        _count(record, facets, said, stats)
        if record.text.strip():
            stats.with_text += 1
            words[len(record.text.split())] += 1
            texts.append(record.text)
        if len(texts) >= BATCH:
            tokens.update(count_tokens(texts))
            texts.clear()
            progress(stats.pictures)
    tokens.update(count_tokens(texts))
    progress(stats.pictures)
    for name, counted in facets.items():
        setattr(stats, name, dict(counted.most_common()))
    stats.attributes = {name: _ordered(name, counted) for name, counted in said.items() if counted}
    stats.words, stats.tokens, stats.notes = lengths(words), lengths(tokens), dict(notes)
    stats.over_limit = sum(n for length, n in tokens.items() if length > LIMIT)
    return stats


def _ordered(name: str, counted: Counter[str]) -> dict[str, int]:
    """Ages from young to old, other values in the order of `FIELDS`."""
    values = sorted(counted, key=lambda v: int(v.rstrip("+").split("-")[0])) if name == "age" else FIELDS[name].values
    return {v: counted[v] for v in values if counted[v]}


def _count(record: FaceRecord, facets: dict[str, Counter[str]], said: dict[str, Counter[str]], stats: Stats) -> None:
    captioner = (record.caption or {}).get("captioner") or (record.caption or {}).get("model")
    values = (record.split, record.source, record.license, captioner)
    for counter, value in zip(facets.values(), values, strict=True):
        name = str(value) if value else NOT_SAID
        counter[name if name in counter or len(counter) < MOST else "other"] += 1
    if record.attributes is None:
        return
    stats.with_attributes += 1
    for name, value in record.attributes.said().items():
        if name == "age":
            stats.minors += value.low < 18
            said["age"][f"{value.low // 10 * 10}-{value.low // 10 * 10 + 9}" if value.exact else str(value)] += 1
        else:
            said[name].update(value if isinstance(value, tuple) else [value])


def token_counter(tokenizer: str) -> Callable[[list[str]], list[int]]:
    """Texts -> their numbers of tokens, start and end included. Loads no framework."""
    from tokenizers import Tokenizer

    path = Path(tokenizer)
    if not path.exists():
        from ..models.registry import ASSETS, find, locate

        spec = find(tokenizer)
        # the words of an embedded model are there before its weights are
        path = ASSETS / spec.asset if spec.asset and (ASSETS / spec.asset / "tokenizer").is_dir() else locate(spec)
    for place in (path, path / "tokenizer.json", path / "tokenizer" / "tokenizer.json"):
        if place.is_file():
            break
    else:
        return _slow_counter(path, tokenizer)
    try:
        found = Tokenizer.from_file(str(place))
    except Exception as error:  # the library raises bare Exceptions
        raise UsageError(f"{place} is no tokenizer: {str(error)[:100]}") from None
    found.no_truncation()
    found.no_padding()
    return lambda texts: [len(e.ids) for e in found.encode_batch(texts)]


def _slow_counter(path: Path, name: str) -> Callable[[list[str]], list[int]]:
    """Models that come with vocab.json and merges.txt only."""
    folder = path / "tokenizer" if (path / "tokenizer").is_dir() else path
    if not (folder / "vocab.json").is_file():
        raise UsageError(f"{name} has no tokenizer: give a model, or a folder with tokenizer.json")
    from transformers import CLIPTokenizer

    found = CLIPTokenizer.from_pretrained(folder)
    return lambda texts: [len(ids) for ids in found(texts, truncation=False)["input_ids"]] if texts else []


def lengths(counts: Counter[int]) -> Lengths:
    """Summary of a histogram."""
    total = counts.total()
    if not total:
        return Lengths()
    ordered = sorted(counts.items())

    def at(share: float) -> int:
        seen = 0
        for length, n in ordered:
            seen += n
            if seen >= share * total:
                return length
        return ordered[-1][0]

    mean = sum(length * n for length, n in ordered) / total
    return Lengths(ordered[0][0], at(0.5), at(0.95), ordered[-1][0], round(mean, 2), dict(ordered))


def as_text(stats: Stats, values: int = 12) -> str:
    """The numbers for people, as lines; `values` of each attribute at most."""
    share = f"{stats.share_over:.1%}"
    out = [
        f"{stats.pictures:,} pictures in {stats.folder}",
        f"  {stats.with_text:,} with a caption, {stats.with_attributes:,} with attributes",
        f"  words a caption: {_summary(stats.words)}",
        f"  tokens a caption ({stats.tokenizer}): {_summary(stats.tokens)}",
        f"  over {LIMIT} tokens: {stats.over_limit:,} ({share})",
    ]
    if stats.minors:
        out.append(f"  {stats.minors:,} labelled with an age that may be under 18")
    if stats.notes:
        out.append("  rows left out: " + ", ".join(f"{n:,} {kind}" for kind, n in stats.notes.items()))
    for title, counts in (
        ("split", stats.splits),
        ("source", stats.sources),
        ("licence", stats.licenses),
        *stats.attributes.items(),
    ):
        out += [f"{title}"] + [f"  {n:>9,}  {n / max(1, stats.pictures):>6.1%}  {v}" for v, n in _top(counts, values)]
    return "\n".join(out)


def _summary(of: Lengths) -> str:
    return f"median {of.median}, mean {of.mean}, 95 % up to {of.p95}, most {of.most}"


def _top(counts: dict[str, int], most: int) -> Iterable[tuple[str, int]]:
    rows = list(counts.items())
    if len(rows) > most:
        rows = sorted(rows, key=lambda row: -row[1])
        rows = [*rows[: most - 1], (f"{len(rows) - most + 1} others", sum(n for _, n in rows[most - 1 :]))]
    return rows
