"""What Prometheus is told: few labels with few values, so that a year of it stays small."""

import math
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

import logs
from handlers.housekeeping import Backlog

# From a cached read to the statement time-out, in seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class _LinesLost(Collector):
    """Read when somebody asks: the log counts by itself, and knows nobody."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily("log_lines_lost", "Log lines that could not be written", value=logs.lines_lost())


class Measures:
    """A registry of one application: tests make many of them in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter("http_requests", "Requests answered", ["operation", "status"], registry=self.registry)
        self._seconds = Histogram(
            "http_request_seconds", "Time to the answer", ["operation"], buckets=BUCKETS, registry=self.registry
        )
        self._in_flight = Gauge("http_requests_in_flight", "Requests being answered", registry=self.registry)
        self._pool = Gauge("database_pool_connections", "Connections of this process", ["state"], registry=self.registry)
        self._late = Gauge("sweep_lateness_seconds", "Beyond its tick since it last ran", ["sweep"], registry=self.registry)
        self._open = Gauge("deliveries_open", "Messages on their way", ["state"], registry=self.registry)
        self._dead = Gauge("deliveries_dead", "Messages given up after 48 hours", registry=self.registry)
        self._events = Gauge("events_waiting", "Events without notices yet", registry=self.registry)
        self.registry.register(_LinesLost())
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
        self._late.clear()
        self._open.clear()
        for sweep, seconds in (found.lateness_seconds if found else {}).items():
            self._late.labels(sweep).set(seconds)
        for state, count in (found.deliveries if found else {}).items():
            self._open.labels(state).set(count)
        self._dead.set(found.dead if found else math.nan)
        self._events.set(found.events if found else math.nan)

    def text(self, *, in_flight: int, pool_open: int, pool_idle: int) -> bytes:
        """The exposition format; the gauges are read at this moment."""
        self._in_flight.set(in_flight)
        self._pool.labels("used").set(pool_open - pool_idle)
        self._pool.labels("idle").set(pool_idle)
        return generate_latest(self.registry)
