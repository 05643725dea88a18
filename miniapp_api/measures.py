"""What Prometheus is told: few labels with few values, so that a year of it stays small.

Of several processes on one port any may be asked. Their parent gives them a folder (PROMETHEUS_MULTIPROC_DIR), in which each keeps
its numbers in mapped files under its name; whoever is asked answers with the sums of all, and who is started again goes on counting.
"""

import math
import os
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.values import MultiProcessValue

import logs
from family import inherited
from handlers.housekeeping import Backlog

# From a cached read to the statement time-out, in seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the library's name; it reads it when it is imported


class Measures:
    """A registry of one application: tests make many of them in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.folder = os.environ.get(FOLDER)
        if self.folder is not None:
            # The library would name files after the pid: each restart would leave one more that every answer has to read.
            values.ValueClass = MultiProcessValue(lambda: inherited.name(str(os.getpid())))  # type: ignore[no-untyped-call]
        self._work = _Work()
        self._requests = Counter("http_requests", "Requests answered", ["operation", "status"], registry=self.registry)
        self._seconds = Histogram(
            "http_request_seconds", "Time to the answer", ["operation"], buckets=BUCKETS, registry=self.registry
        )
        self._in_flight = Gauge(
            "http_requests_in_flight", "Requests being answered", registry=self.registry, multiprocess_mode="livesum"
        )
        self._pool = Gauge(
            "database_pool_connections", "Connections of the web processes", ["state"], registry=self.registry,
            multiprocess_mode="livesum",
        )
        self._lines_lost = Counter("log_lines_lost", "Log lines that could not be written", registry=self.registry)
        self._lost = 0  # of them, what the counter has already
        # Finding a child by its labels takes a lock and a tuple; each is found once.
        self._by_status: dict[tuple[str, int], Counter] = {}
        self._by_operation: dict[str, Histogram] = {}

    def request(self, operation: str, status: int, seconds: float) -> None:
        counter = self._by_status.get((operation, status))
        if counter is None:
            counter = self._by_status[operation, status] = self._requests.labels(operation, str(status))
        counter.inc()
        histogram = self._by_operation.get(operation)
        if histogram is None:
            histogram = self._by_operation[operation] = self._seconds.labels(operation)
        histogram.observe(seconds)

    def backlog(self, found: Backlog | None) -> None:
        """None: the database does not say, and a number of before would be taken for one of now."""
        self._work.found = found

    def now(self, *, in_flight: int, pool_open: int, pool_idle: int) -> None:
        """What this process is doing at this moment."""
        self._in_flight.set(in_flight)
        self._pool.labels("used").set(pool_open - pool_idle)
        self._pool.labels("idle").set(pool_idle)
        lost = logs.lines_lost()  # the log counts by itself, and knows nobody
        self._lines_lost.inc(lost - self._lost)
        self._lost = lost

    def text(self) -> bytes:
        """The exposition format."""
        if self.folder is None:
            return generate_latest(self.registry) + generate_latest(_registry(self._work))
        shared = _registry(self._work)
        MultiProcessCollector(shared, self.folder)  # type: ignore[no-untyped-call]
        return generate_latest(shared)


class _Work(Collector):
    """What the database says of the work that waits: the same whichever process asks it, so that it is never summed."""

    found: Backlog | None = None

    def collect(self) -> Iterator[Metric]:
        found = self.found
        late = GaugeMetricFamily("sweep_lateness_seconds", "Beyond its tick since it last ran", labels=["sweep"])
        for sweep, seconds in (found.lateness_seconds if found else {}).items():
            late.add_metric([sweep], seconds)
        waiting = GaugeMetricFamily("deliveries_open", "Messages on their way", labels=["state"])
        for state, count in (found.deliveries if found else {}).items():
            waiting.add_metric([state], count)
        yield late
        yield waiting
        yield GaugeMetricFamily("deliveries_dead", "Messages given up after 48 hours", value=found.dead if found else math.nan)
        yield GaugeMetricFamily("events_waiting", "Events without notices yet", value=found.events if found else math.nan)


def _registry(collector: Collector) -> CollectorRegistry:
    made = CollectorRegistry()
    made.register(collector)
    return made
