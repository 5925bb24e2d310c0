"""Receiving: webhooks accepted a second over real HTTP, against the bare majority inserts of as many clients."""

from __future__ import annotations

import statistics
from typing import Any, Final

from bson import Timestamp

from common.ids import new_ulid
from scripts.bench.figures import Findings, percentile, summary
from scripts.bench.ground import Ground
from scripts.bench.load import Result
from scripts.bench.system import System
from scripts.bench.templates import make_templates
from scripts.bench.threads import Rate, repeat

CLIENTS: Final = (1, 16, 32)
_CUSTOMERS: Final = 5000


def measure(ground: Ground) -> Findings:
    """The section `accept`. Inserts and webhooks take turns, so that a drifting machine hits both alike."""
    clients = (16,) if ground.is_quick else CLIENTS
    inserts: dict[int, list[float]] = {number: [] for number in clients}
    accepted: dict[int, list[float]] = {number: [] for number in clients}
    samples: dict[str, Any] = {}
    with System(ground, "accept", starts_workers=False) as system:
        system.run(system.plan(connections=16, messages=300, customers=_CUSTOMERS))
        for _ in range(ground.quick_or(1, 3)):
            for rate in _inserts(ground, clients):
                inserts[rate.clients].append(rate.per_second)
            for number in clients:
                result = _flood(system, ground, number)
                accepted[number].append(per_second(result))
                samples[f"{number} clients"] = summary(latencies(result))
        half = _half(system, ground, max(statistics.fmean(rates) for rates in accepted.values()))
    figures = {f"accept.clients_{number}": statistics.fmean(rates) for number, rates in accepted.items()}
    figures |= {f"inserts.clients_{number}": statistics.fmean(rates) for number, rates in inserts.items()}
    # As many clients as the web process has threads: each connection finds a thread, as it does behind a proxy.
    figures |= {
        "inserts.per_second": figures["inserts.clients_16"],
        "accept.per_second": figures["accept.clients_16"],
        "accept.ratio": figures["accept.clients_16"] / figures["inserts.clients_16"],
        "accept.half_p50_ms": percentile(half, 50) * 1000,
        "accept.half_p99_ms": percentile(half, 99) * 1000,
    }
    samples |= {"half load": summary(half), "inserts": inserts, "accepted": accepted}
    return Findings(figures, {"accept": samples})


def per_second(result: Result) -> float:
    """Answers a second, from the first POST to the last answer."""
    return len(result.texts) / (max(result.answered_at) - result.sent_at[0])


def latencies(result: Result) -> list[float]:
    """From when each message was due, so that a stalled sender hides nothing, to its answer."""
    return [answered - due for due, answered in zip(result.due_at, result.answered_at, strict=True)]


def _inserts(ground: Ground, clients: tuple[int, ...]) -> list[Rate]:
    store = ground.fresh_store("inserts")
    try:
        shape = make_templates(store).job
        jobs = store.database["jobs"]

        def insert(_thread: int) -> None:
            key = new_ulid()
            jobs.insert_one({**shape, "_id": key, "lane": f"wa:{key}", "seq": Timestamp(0, 0)})

        repeat(16, 0.2, insert)
        return [repeat(number, ground.quick_or(1, 2), insert) for number in clients]
    finally:
        ground.drop(store)


def _flood(system: System, ground: Ground, clients: int) -> Result:
    seconds = ground.quick_or(1, 3)
    plan = system.plan(
        connections=clients, messages=3000 * seconds, customers=_CUSTOMERS, most_seconds=seconds
    )
    return system.run(plan)


def _half(system: System, ground: Ground, most: float) -> list[float]:
    seconds = ground.quick_or(1, 8)
    rate = most / 2
    plan = system.plan(connections=32, messages=int(rate * seconds), customers=_CUSTOMERS, per_second=rate)
    return latencies(system.run(plan))
