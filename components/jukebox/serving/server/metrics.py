"""The server's Prometheus metrics: requests, their time, and the states of what was served."""

from __future__ import annotations

from collections import Counter as Counted
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from collections.abc import Callable

    from jukebox.serving.feature_log import LogCounts
    from jukebox.serving.vectors import FeatureVectors

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

_OUTCOMES = ("offered", "waiting", "written", "left_out", "dropped", "failed")


class Metrics:
    """The metrics of one server; ``hedged`` tells how many questions were asked of stores a second time."""

    def __init__(self, hedged: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "jukebox_requests", "Requests by path and status.", ["path", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "jukebox_request_seconds", "Seconds to answer.", ["path"], buckets=_BUCKETS, registry=self._registry
        )
        self._values = Counter(
            "jukebox_feature_values", "Values by feature and state.", ["feature", "status"], registry=self._registry
        )
        asked_again = Gauge("jukebox_hedged_reads", "Questions asked a second time.", registry=self._registry)
        asked_again.set_function(hedged)

    def logs(self, counts: Callable[[], LogCounts]) -> None:
        """Tell what becomes of served vectors on their way to the log, as ``counts`` tells it whenever it is asked."""
        gauge = Gauge("jukebox_logged_vectors", "Served vectors by outcome.", ["outcome"], registry=self._registry)

        def told(outcome: str) -> float:
            return float(getattr(counts(), outcome))

        for outcome in _OUTCOMES:
            gauge.labels(outcome).set_function(partial(told, outcome))

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request under its route's path, so that no request makes a series of its own."""
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def served(self, vectors: FeatureVectors) -> None:
        """Count the values of a round by state."""
        for column in vectors.columns:
            for status, count in Counted(column.verdict.statuses).items():
                self._values.labels(column.feature, status).inc(count)

    def text(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self._registry)
