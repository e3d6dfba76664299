"""Numbers for Prometheus: a registry for each app, so that several may live in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
# key of `ImageEngine.depth()` -> name, what it says, whether it only grows
_ENGINE: dict[str, tuple[str, str, bool]] = {
    "queued": ("likeness_queue_depth", "Requests that wait for a place in a batch.", False),
    "running": ("likeness_running", "Requests that are drawn now.", False),
    "batches": ("likeness_batches", "Batches drawn.", True),
    "pictures": ("likeness_batched_pictures", "Pictures drawn in batches: over batches, their mean size.", True),
    "crashes": ("likeness_engine_crashes", "Times that the worker died and was started again.", True),
}


class Metrics:
    """All that is counted here; the engine's own numbers are asked for when somebody reads."""

    def __init__(self, depth: Callable[[], dict[str, int]]) -> None:
        self.registry = CollectorRegistry()
        where: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("likeness_requests", "Answered requests.", ("route", "method", "status"), **where)
        self.seconds = Histogram(
            "likeness_request_seconds", "From the first byte to the answer.", ("route",), buckets=_SECONDS, **where
        )
        self.pictures = Counter("likeness_pictures", "Pictures answered.", ("model", "cached"), **where)
        self.drawing = Histogram(
            "likeness_drawing_seconds", "Time of one picture in the engine.", ("model",), buckets=_SECONDS, **where
        )
        self.hits = Counter("likeness_cache_hits", "Requests answered from the cache.", **where)
        self.misses = Counter("likeness_cache_misses", "Requests with a seed that the cache did not hold.", **where)
        self.failures = Counter("likeness_failures", "Answers that are errors.", ("code",), **where)
        self.registry.register(_Engine(depth))

    def text(self) -> bytes:
        return generate_latest(self.registry)


class _Engine:
    def __init__(self, depth: Callable[[], dict[str, int]]) -> None:
        self.depth = depth

    def collect(self) -> Iterable[Metric]:
        now = self.depth()
        for key, (name, text, grows) in _ENGINE.items():
            if key in now:
                yield (CounterMetricFamily if grows else GaugeMetricFamily)(name, text, now[key])
