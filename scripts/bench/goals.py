"""The goals: what each measured figure must reach. Nothing else in here decides anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Goal:
    """A limit that a figure must reach (`is_least`) or must not exceed."""

    limit: float
    is_least: bool

    def is_met_by(self, value: float) -> bool:
        return value >= self.limit if self.is_least else value <= self.limit


def at_least(limit: float) -> Goal:
    return Goal(limit, is_least=True)


def at_most(limit: float) -> Goal:
    return Goal(limit, is_least=False)


GOALS: Final[dict[str, Goal]] = {
    "accept.ratio": at_least(0.35),  # of the bare majority inserts a second with as many clients
    "accept.half_p50_ms": at_most(50),
    "accept.half_p99_ms": at_most(250),
    "flow.at_once.ratio": at_least(0.5),  # of the floor
    "flow.late.ratio": at_least(0.45),
    "flow.half_p50_ms": at_most(60),
    "flow.half_p99_ms": at_most(300),
    "claim.growth": at_most(1.2),  # database CPU a job at 500,000 waiting, as a multiple of that at 1,000
    "idle.pickup_p50_ms": at_most(20),
    "idle.pickup_p99_ms": at_most(100),
    "idle.cpu_percent": at_most(3),  # mongod and an idle worker together, of one core
    "engine.per_second": at_least(5000),
    "engine.check_ms": at_most(200),
    "memory.worker_mb": at_most(120),
    "reads.worst_p95_ms": at_most(60),
}
