"""Generated faces against real ones, pair by pair: LPIPS, SSIM, CLIP's cosines, and what the field makes of them.

    found = compare("generated", "real", Settings(network="eye"))
    found.summaries[0].mean, found.rows[0].values["ssim"]

A good portrait of the same words is still another picture than the real one; these numbers ask for the same picture.
What they are by chance, for a generated face and the next pair's real one, stands beside them.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import UsageError
from ...models.pixels import RESIZE
from ...records import Score
from ..formulas import bootstrap
from ..formulas.ssim import WINDOWS
from ..networks.catalogue import seeing
from ..networks.lpips import TRUNKS
from .checks import LEFT_OUT, common_size, look, problem, remarks, unmatched
from .measures import PARTS, Tools, Values, measure, prepare
from .pairing import Pair, epochs, match, with_texts

LARGEST, SMALLEST = 256, 32  # pixels of a side that SSIM and LPIPS are taken at, unless `size` says more
# What the field takes for good; nobody has shown that they mean it.
RULES = {"lpips": 0.2, "ssim": 0.8, "clip_image": 0.25, "clip_text": 0.25, "composite": 0.5}

Tell = Callable[[str, int, int], None]  # stage, done, total


@dataclass(frozen=True)
class Settings:
    """What a run may change. No `parts`: all that can be had. No `size`: the generated pictures' own, at most 256."""

    parts: tuple[str, ...] = ()
    size: int | None = None
    window: str = "uniform"
    trunk: str = "alex"
    network: str = "clip-b32"
    weights: Mapping[str, str | Path] = field(default_factory=dict)
    prompts: Path | None = None
    limit: int | None = None
    batch: int = 32
    device: str | None = None
    strict: bool = False
    chance: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        choices: dict[str, Sequence[str]] = {"window": [*WINDOWS], "trunk": [*TRUNKS], "network": seeing()}
        asked = [(name, getattr(self, name), known) for name, known in choices.items()]
        for name, value, known in [*asked, *(("part", part, PARTS) for part in self.parts)]:
            if value not in known:
                raise UsageError(f"no {name} {value!r}: choose from {', '.join(known)}")
        if self.size is not None and self.size < SMALLEST:
            raise UsageError(f"size {self.size}: pictures are compared at {SMALLEST} px or more")
        if min(self.batch, 1 if self.limit is None else self.limit) < 1:
            raise UsageError("batch and limit must be 1 or more")

    @property
    def columns(self) -> dict[str, str]:
        """Part -> the name of its column. Cosines and a composite without CLIP are other numbers: no common names."""
        clip = self.network.startswith("clip-")
        mark = "clip" if clip else self.network
        names = {"image": f"{mark}_image", "text": f"{mark}_text"}
        return {"lpips": "lpips", "ssim": "ssim"} | names | {"composite": "composite" if clip else f"composite_{mark}"}


@dataclass(frozen=True)
class Row:
    """One pair's numbers by column, without those that could not be had. `problem`: why it is in no mean."""

    pair: Pair
    epoch: int | None
    values: Values
    by_chance: Values
    problem: str = ""


@dataclass(frozen=True)
class Summary:
    """One number over the pairs of an epoch: mean, sample deviation, 95 % interval of the mean, and mean by chance."""

    column: str
    epoch: int | None
    count: int
    mean: float
    deviation: float | None
    low: float
    high: float
    by_chance: float | None

    @property
    def rule(self) -> float | None:
        return RULES.get(self.column)

    @property
    def passes(self) -> bool | None:
        """Whether the mean is on the good side of the field's rule of thumb; None where there is none."""
        if self.rule is None:
            return None
        return self.mean < self.rule if self.column == "lpips" else self.mean > self.rule

    def score(self, protocol: str) -> Score:
        name = f"pairs/{self.column}" + ("" if self.epoch is None else f"/epoch {self.epoch}")
        return Score(name, self.mean, self.low, self.high, self.count, protocol)


@dataclass(frozen=True)
class Comparison:
    """All numbers of one run. `missing` says, of each network that lacks its weights, what to do."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    summaries: tuple[Summary, ...]
    protocol: tuple[str, ...]
    missing: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def epochs(self) -> list[int | None]:
        return list(dict.fromkeys(row.epoch for row in self.rows))

    @property
    def measured(self) -> list[str]:
        """Columns that hold a number."""
        there = {summary.column for summary in self.summaries}
        return [column for column in self.columns if column in there]

    def scores(self) -> list[Score]:
        """Every mean as a record that stands alone: the protocol is in each."""
        told = " ".join(self.protocol)
        return [summary.score(told) for summary in self.summaries]


def compare(
    generated: str | Path, real: str | Path, settings: Settings | None = None, *, tools: Tools | None = None,
    tell: Tell = lambda stage, done, total: None,
) -> Comparison:  # fmt: skip
    """Measure every generated picture against the real one of its name; sub-folders `epoch_1`, ... one by one.

    A pair that cannot be read is left out of the means, and said; with `settings.strict` that is an error, as is a
    name without a partner. Raises `UsageError` for folders without pairs that can be measured, and `ModelNotFound`
    when a part that `settings.parts` asks for lacks its weights.
    """
    s = settings or Settings()
    asked, notes = _asked(generated, real, s)
    tools = tools or prepare(s.parts, s.trunk, s.network, s.weights, s.device)
    everyone = [pair for pairs in asked.values() for pair in pairs]
    files = [path for pair in everyone for path in (pair.generated, pair.real)]
    looks = look(files, _counting("reading", len(files), tell))
    notes += [_of(epoch, note) for epoch, pairs in asked.items() for note in remarks(pairs, looks)]
    if s.strict and (left := [note for note in notes if LEFT_OUT in note]):
        raise UsageError(f"{left[0]}; without --strict the others are measured")
    good = [pair for pair in everyone if not problem(pair, looks)]
    if not good:
        raise UsageError(f"no pair can be read: {problem(everyone[0], looks)}")
    told = any(pair.text for pair in good)
    if "text" in s.parts and not told:
        raise UsageError("no words are known for these pictures: give --prompts a table with file_name and prompt")

    size = s.size or max(SMALLEST, min(LARGEST, common_size(good, looks)))
    ticks = {stage: _counting(stage, len(good), tell) for stage in ("comparing pixels", "comparing features")}
    rows: list[Row] = []
    for epoch, pairs in asked.items():
        whole = [pair for pair in pairs if not problem(pair, looks)]
        own, other = measure(whole, size, tools, s.window, s.batch, s.chance, lambda stage, more: ticks[stage](more))
        found = dict(zip((pair.name for pair in whole), zip(own, other or [{}] * len(own), strict=True), strict=True))
        for pair in pairs:
            mine, chance = ({s.columns[part]: v for part, v in vs.items()} for vs in found.get(pair.name, ({}, {})))
            rows.append(Row(pair, epoch, mine, chance, problem(pair, looks)))
    columns = tuple(s.columns.values())
    summaries = [one for epoch in asked for one in summarise(rows, columns, epoch, s.seed)]
    return Comparison(
        columns,
        tuple(rows),
        tuple(summaries),
        tuple(_protocol(s, tools, size, told)),
        dict(tools.missing),
        tuple(notes),
    )


def summarise(rows: Sequence[Row], columns: Sequence[str], epoch: int | None, seed: int = 0) -> list[Summary]:
    """Means over the pairs of one epoch, of the columns that have a number."""
    found = []
    for column in columns:
        values = [row.values[column] for row in rows if row.epoch == epoch and column in row.values]
        chance = [row.by_chance[column] for row in rows if row.epoch == epoch and column in row.by_chance]
        if values:
            low, high = bootstrap.mean_interval(values, seed=seed)
            deviation = statistics.stdev(values) if len(values) > 1 else None
            by_chance = statistics.fmean(chance) if chance else None
            found.append(Summary(column, epoch, len(values), statistics.fmean(values), deviation, low, high, by_chance))
    return found


def _asked(generated: str | Path, real: str | Path, s: Settings) -> tuple[dict[int | None, list[Pair]], list[str]]:
    """The pairs of each epoch (None: of the folder itself) with their words, and what has no partner."""
    asked, notes = {}, []
    for epoch, folder in epochs(generated).items():
        found = match(folder, real)
        asked[epoch] = with_texts(found.pairs[: s.limit], folder, real, s.prompts)
        notes += [_of(epoch, note) for note in unmatched(found)]
    return asked, notes


def _of(epoch: int | None, note: str) -> str:
    return note if epoch is None else f"epoch {epoch}: {note}"


def _counting(stage: str, total: int, tell: Tell) -> Callable[[int], None]:
    done = 0

    def tick(more: int) -> None:
        nonlocal done
        done += more
        tell(stage, done, total)

    return tick


def _protocol(s: Settings, tools: Tools, size: int, told: bool) -> list[str]:
    lines = [f"Pairs by name; SSIM and LPIPS at {size}x{size} px ({RESIZE})."]
    if "ssim" in tools.parts:
        lines.append(f"SSIM of RGB: {WINDOWS[s.window]}.")
    if tools.lpips:
        lines.append(f"{tools.lpips.told}.")
    if tools.network:
        cosines = (
            "of two pictures, and of a picture and its words" if told and "text" in tools.parts else "of two pictures"
        )
        lines.append(f"Cosines {cosines}: {tools.network.told}.")
    lines.append(f"Intervals: {bootstrap.TOLD.format('pairs')}.")
    if s.chance:
        lines.append("By chance: each generated picture with the next pair's real one.")
    return lines
