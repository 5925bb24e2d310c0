"""What workers and timers count for their operator; docs/operations.md explains each.

Labels have few values, all of them ours. What happens often is counted by the batch, and its labels are looked up
once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import structlog
from prometheus_client import Counter, Gauge, Histogram, start_http_server

from common.metrics import PREFIX, SECONDS, count_database_error
from common.model.calls import Answer, CallFailed, ChatRequest, Request
from common.settings import Settings
from common.store.lanes import Lease

__all__ = ["count_database_error"]

log = structlog.get_logger()

LANES_CLAIMED: Final = Counter(f"{PREFIX}lanes_claimed", "Conversations claimed.")
LEASES_EXPIRED: Final = Counter(
    f"{PREFIX}leases_expired", "Claimed conversations whose last holder vanished."
)
LANES_HELD: Final = Gauge(f"{PREFIX}lanes_held", "Conversations that this process holds.")
LANES_LOST: Final = Counter(
    f"{PREFIX}lanes_lost", "Conversations that somebody else took while we held them."
)
FENCE_LOST: Final = Counter(f"{PREFIX}fence_lost", "Commits refused because a lease was not ours any more.")

TURNS: Final = Counter(f"{PREFIX}turns", "Turns committed.")
COMMIT_SECONDS: Final = Histogram(f"{PREFIX}commit_seconds", "A transaction with its turns.", buckets=SECONDS)
NODE_SECONDS: Final = Histogram(
    f"{PREFIX}node_seconds", "A node's step, without its calls.", ["node_type"],
    buckets=(0.0001, 0.001, 0.01, 0.1, 1.0),
)  # fmt: skip
JOBS_FAILED: Final = Counter(
    f"{PREFIX}jobs_failed", "Jobs that could not be done: retried or dead.", ["outcome"]
)

SENDS: Final = Counter(f"{PREFIX}sends", "POSTs of messages, by what came of them.", ["result"])
SEND_SECONDS: Final = Histogram(f"{PREFIX}send_seconds", "A POST of a message.", buckets=SECONDS)
SEND_REFUSALS: Final = Counter(
    f"{PREFIX}send_refusals", "Refusals of WhatsApp, by what they call for.", ["action"]
)
SENDS_GIVEN_UP: Final = Counter(f"{PREFIX}sends_given_up", "Messages that failed for good.")
SEND_DECISIONS: Final = Counter(
    f"{PREFIX}send_decisions",
    "Sends of unknown outcome after the grace period: resent or held.",
    ["decision"],
)
STATUSES: Final = Counter(f"{PREFIX}statuses", "Delivery reports applied.")

CALLS: Final = Counter(f"{PREFIX}calls", "Attempts of API and AI calls.", ["kind", "result"])

TIMERS_FIRED: Final = Counter(f"{PREFIX}timers_fired", "Waits that were over.")
TIMER_LATENESS: Final = Histogram(
    f"{PREFIX}timer_lateness_seconds", "From when a wait was over to its job.", buckets=SECONDS
)
LANES_ASLEEP: Final = Counter(f"{PREFIX}lanes_found_asleep", "Conversations with work that nobody had woken.")
TRANSACTIONS_ENDED: Final = Counter(
    f"{PREFIX}transactions_ended", "Transactions that dead processes left behind."
)
DELIVERIES_MISSED: Final = Counter(
    f"{PREFIX}deliveries_missed", "Messages whose state a process died before counting, counted late."
)
COUNTERS_FOLDED: Final = Counter(f"{PREFIX}counters_folded", "Spans of figures folded into hours and days.")

_ACCEPTED: Final = SENDS.labels("accepted")
_nodes: Final[dict[str, Any]] = {}


def count_claims(leases: Sequence[Lease]) -> None:
    """Lanes were claimed."""
    LANES_CLAIMED.inc(len(leases))
    vanished = sum(lease.interruptions > 0 for lease in leases)
    if vanished:
        LEASES_EXPIRED.inc(vanished)


def count_turns(steps: Sequence[Sequence[dict[str, Any]]], seconds: float) -> None:
    """Turns were committed together, with these steps."""
    TURNS.inc(len(steps))
    COMMIT_SECONDS.observe(seconds)
    for turn in steps:
        for step in turn:
            node_type = step["nodeType"] or "NONE"
            if node_type not in _nodes:
                _nodes[node_type] = NODE_SECONDS.labels(node_type)
            _nodes[node_type].observe(step["executionDuration"] / 1000)


def count_accepted(seconds: float) -> None:
    """WhatsApp took a message."""
    _ACCEPTED.inc()
    SEND_SECONDS.observe(seconds)


def count_call(request: Request, answer: Answer) -> None:
    """An attempt of a call came to an end."""
    kind = "ai" if isinstance(request, ChatRequest) else "api"
    CALLS.labels(kind, "failed" if isinstance(answer, CallFailed) else "answered").inc()


def serve(settings: Settings, kind: str) -> None:
    """Answer `GET /metrics`, if a port is set for this kind of process. Raises OSError where it is taken."""
    port = settings.worker_metrics_port if kind == "worker" else settings.timer_metrics_port
    if port:
        start_http_server(port, settings.metrics_host)
        log.info("metrics.served", host=settings.metrics_host, port=port)
