"""What the web processes count for their operator, and the queue as it stands when somebody asks.

With several processes (gunicorn sets PROMETHEUS_MULTIPROC_DIR) each writes to files of its own, and whichever is
asked sums them up.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Final

import structlog
from flask import Flask, Response, g, request
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from api.presence import KINDS, SILENT_SECONDS
from common.metrics import PREFIX, SECONDS, count_database_error
from common.store.database import time_limit
from common.store.queue_state import Heartbeat, QueueLook
from common.store.store import DatabaseError, Store

log = structlog.get_logger()

_LOOK_SECONDS: Final = 2.0
# Several scrapers, or an impatient one, share a look.
_KEPT_SECONDS: Final = 5.0
_MULTIPROCESS: Final = "PROMETHEUS_MULTIPROC_DIR"

REQUESTS: Final = Counter(
    f"{PREFIX}http_requests", "Requests by resource and class of status.", ["resource", "status"]
)
REQUEST_SECONDS: Final = Histogram(
    f"{PREFIX}http_request_seconds", "A request, by resource.", ["resource"], buckets=SECONDS
)
WEBHOOKS: Final = Counter(
    f"{PREFIX}webhook_requests",
    "Deliveries of Meta: accepted, bad_signature, refused or unavailable.",
    ["result"],
)
WEBHOOK_SECONDS: Final = Histogram(f"{PREFIX}webhook_seconds", "A delivery of Meta.", buckets=SECONDS)
JOBS: Final = Counter(
    f"{PREFIX}webhook_jobs", "Messages and reports in them: new, or known already.", ["kind"]
)

_NEW, _KNOWN = JOBS.labels("new"), JOBS.labels("duplicate")
_OUTCOMES: Final = {
    HTTPStatus.OK: "accepted",
    HTTPStatus.UNAUTHORIZED: "bad_signature",
    HTTPStatus.SERVICE_UNAVAILABLE: "unavailable",
}


def count_jobs(offered: int, new: int) -> None:
    """Jobs were stored; the others were there already."""
    _NEW.inc(new)
    _KNOWN.inc(offered - new)


def count_requests(app: Flask) -> None:
    """Count every request of this application."""
    app.before_request(_begin)
    app.after_request(_finish)


def _begin() -> None:
    g.begun_at = time.perf_counter()


def _finish(response: Response) -> Response:
    took = time.perf_counter() - g.get("begun_at", time.perf_counter())
    resource = request.blueprint or "none"
    if resource == "webhook" and request.method == "POST":
        outcome = _OUTCOMES.get(HTTPStatus(response.status_code), "refused")
        WEBHOOKS.labels(outcome).inc()
        WEBHOOK_SECONDS.observe(took)
    else:
        REQUESTS.labels(resource, f"{response.status_code // 100}xx").inc()
        if not response.is_streamed:  # a live view lasts as long as somebody watches
            REQUEST_SECONDS.labels(resource).observe(took)
    return response


def exposition(queue: QueueCollector) -> bytes:
    """Everything, as Prometheus reads it."""
    if _MULTIPROCESS not in os.environ:
        return generate_latest(REGISTRY) + _only(queue)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry) + _only(queue)


def _only(queue: QueueCollector) -> bytes:
    registry = CollectorRegistry()
    registry.register(queue)
    return generate_latest(registry)


class QueueCollector(Collector):
    """Jobs, conversations, timers, messages and processes, as they stand in the database."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._seen: tuple[QueueLook, list[Heartbeat]] | None = None
        self._seen_at = float("-inf")

    def collect(self) -> Iterator[Metric]:
        seen = self._look()
        yield gauge("database_up", "Whether the database answers.", [("", 0 if seen is None else 1)])
        if seen is not None:
            yield from queue_metrics(*seen)

    def _look(self) -> tuple[QueueLook, list[Heartbeat]] | None:
        with self._lock:
            if time.monotonic() - self._seen_at >= _KEPT_SECONDS:
                try:
                    with time_limit(_LOOK_SECONDS):
                        self._seen = (self._store.queue_state.look(), self._store.queue_state.heartbeats())
                except DatabaseError as error:
                    log.warning("metrics.database_away", error=type(error).__name__)
                    count_database_error(error)
                    self._seen = None
                self._seen_at = time.monotonic()
            return self._seen


def queue_metrics(look: QueueLook, processes: list[Heartbeat]) -> Iterator[Metric]:
    """The gauges of a look at the queue. Counts stop at ten thousand."""
    jobs = [("pending", look.pending_jobs), ("dead", look.dead_jobs), ("unrouted", look.unrouted_jobs)]
    yield gauge("jobs", "Jobs by state.", jobs, "state")
    lanes = [("due", look.due_lanes), ("leased", look.leased_lanes), *sorted(look.parked_lanes.items())]
    yield gauge("lanes", "Conversations with work: due, leased, or why they are parked.", lanes, "state")
    yield gauge(
        "oldest_due_seconds",
        "How long the longest waiting conversation waits.",
        [("", look.oldest_due_seconds)],
    )
    yield gauge("timers_late", "Waits that are over and have no job yet.", [("", look.late_timers)])
    yield gauge("timer_late_seconds", "How late the latest of them is.", [("", look.latest_timer_seconds)])
    yield gauge(
        "messages_unsent", "Messages to send, by state.", sorted(look.unsent_messages.items()), "state"
    )
    ages = {kind: min((p.age_seconds for p in processes if p.kind == kind), default=None) for kind in KINDS}
    yield gauge(
        "heartbeat_age_seconds", "Since any process of a kind was seen; missing: not within the hour.",
        [(kind, age) for kind, age in ages.items() if age is not None], "kind",
    )  # fmt: skip
    alive = [
        (kind, sum(p.kind == kind and p.age_seconds < SILENT_SECONDS for p in processes)) for kind in KINDS
    ]
    yield gauge("processes", "Processes that were seen within a minute.", alive, "kind")


def gauge(name: str, about: str, values: Iterable[tuple[str, float]], label: str | None = None) -> Metric:
    """A gauge with a value for each label, or one."""
    family = GaugeMetricFamily(f"{PREFIX}{name}", about, labels=[label] if label else [])
    for text, value in values:
        family.add_metric([text] if label else [], value)
    return family
