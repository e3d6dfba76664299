"""Shares of answers in what a model draws: intervals, a reference, and what a judge's own errors make of them. Pure."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...errors import UsageError
from ..formulas.intervals import wilson

Reference = dict[str, dict[str, float]]  # field -> answer -> share; the shares of a field add up to 1
Limits = tuple[float, float, float]  # value, low, high
ROUNDS, RESAMPLES = 200, 400


@dataclass(frozen=True)
class Share:
    """How many of `count` faces had this answer. `reference`: what it is held against, or None."""

    answer: str
    hits: int
    count: int
    reference: float | None = None

    @property
    def value(self) -> float:
        return self.hits / self.count if self.count else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.hits, self.count)

    @property
    def verdict(self) -> str:
        """`over` or `under` where the interval leaves out the reference, else nothing."""
        low, high = self.interval
        if self.reference is None or low <= self.reference <= high:
            return ""
        return "over" if low > self.reference else "under"


def shares(answers: Sequence[int | None], values: Sequence[str], reference: Mapping[str, float] | None) -> list[Share]:
    """A share for each value, of those faces that something was said of."""
    said = [a for a in answers if a is not None]
    told = [None if reference is None else reference.get(value, 0.0) for value in values]
    return [Share(v, said.count(i), len(said), told[i]) for i, v in enumerate(values)]


def chance_of(found: Sequence[Share]) -> float | None:
    """Probability of shares at least as far from the reference if it held: Pearson's chi-square, 1900.

    X^2 = sum (n_k - n r_k)^2 / (n r_k), P(chi^2_{K-1} >= X^2) = Q((K-1)/2, X^2/2). An approximation where n r_k < 5.
    None without a reference or a face; 0 where something is drawn that the reference says never is.
    """
    total = found[0].count if found else 0
    expected = [(s.hits, total * s.reference) for s in found if s.reference is not None]
    if not expected or not total:
        return None
    if any(hits and not e for hits, e in expected):
        return 0.0
    kept = [(hits, e) for hits, e in expected if e]
    if len(kept) < 2:
        return 1.0
    statistic = sum((hits - e) ** 2 / e for hits, e in kept)
    return float(torch.special.gammaincc(*torch.tensor([(len(kept) - 1) / 2, statistic / 2], dtype=torch.float64)))


def corrected(counts: Sequence[int], confusion: Sequence[Sequence[int]], seed: int = 0) -> list[Limits]:
    """Shares (value, low, high) of the true answers, given how this judge errs on real faces.

    Answers come as q_j = sum_k p_k C_kj with C_kj = P(answer j | truth k), counted on real faces; p is the maximum of
    the likelihood by EM, p_k <- p_k sum_j q_j C_kj / (p C)_j (Saerens, Latinne & Decaestecker 2002; for two answers the
    estimate of Rogan & Gladen 1978 within [0, 1]). Interval: percentiles over resamples of the answers and of C, each
    row with Jeffreys' prior. It holds as far as the judge errs on drawn faces as it does on real ones.
    """
    n, c = torch.tensor(counts, dtype=torch.float64), torch.tensor(confusion, dtype=torch.float64)
    if not n.sum() or not (c.sum(1) > 0).all():
        raise ValueError("a correction needs answers, and real faces of every value")
    generator = torch.Generator().manual_seed(seed)
    rows = _dirichlet(c + 0.5, RESAMPLES, generator)  # (R, K, K)
    drawn = _dirichlet(n + 0.5, RESAMPLES, generator)  # (R, K)
    best = _unmixed(n[None] / n.sum(), c[None] / c.sum(1, keepdim=True))[0]
    low, high = _unmixed(drawn, rows).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64), 0)
    limits = zip(best.tolist(), low.tolist(), high.tolist(), strict=True)
    return [(p, min(p, a), max(p, b)) for p, a, b in limits]


def _unmixed(q: Tensor, c: Tensor) -> Tensor:
    p = torch.full_like(q, 1 / q.shape[-1])
    for _ in range(ROUNDS):
        mixed = (p[:, None] @ c)[:, 0].clamp(min=1e-12)  # (R, 1, K) @ (R, K, K) -> (R, K)
        p = p * (c @ (q / mixed)[..., None])[..., 0]
        p = p / p.sum(-1, keepdim=True)
    return p


def _dirichlet(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """`count` draws over the last axis."""
    gammas = torch._standard_gamma(weights.expand(count, *weights.shape).contiguous(), generator=generator)
    return gammas / gammas.sum(-1, keepdim=True)


def read_reference(source: str | Path, fields: Mapping[str, Sequence[str]]) -> Reference:
    """`uniform`, or a table of shares by field and answer: JSON {field: {answer: share}}, or CSV field,answer,share.

    A field that the table leaves out has no reference. Shares are scaled to add up to 1. Raises `UsageError`.
    """
    if str(source) == "uniform":
        return {name: {value: 1 / len(values) for value in values} for name, values in fields.items()}
    found: Reference = {}
    for name, answer, share in _rows(Path(source)):
        if name not in fields or answer not in fields[name]:
            known = ", ".join(fields.get(name, fields))
            raise UsageError(f"{source}: no answer {answer!r} of {name!r}: choose from {known}")
        found.setdefault(name, {})[answer] = share
    for name, told in found.items():
        total = sum(told.values())
        if min(told.values()) < 0 or total <= 0:
            raise UsageError(f"{source}: the shares of {name} must be 0 or more, and not all 0")
        found[name] = {answer: share / total for answer, share in told.items()}
    return found


def _rows(path: Path) -> list[tuple[str, str, float]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".csv":
            return [(r["field"], r["answer"], float(r["share"])) for r in csv.DictReader(text.splitlines())]
        return [(str(f), str(a), float(s)) for f, told in json.loads(text).items() for a, s in told.items()]
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}. Give a table of shares, or uniform.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{path} is no table of shares: JSON {{field: {{answer: share}}}}, or CSV field,answer,share"
        ) from None
