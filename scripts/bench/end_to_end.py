"""End to end: from the POST of a customer's message to its reply at the WhatsApp peer, through all real processes."""

from __future__ import annotations

import signal
import statistics
import time
from dataclasses import dataclass, field
from typing import Any, Final

from common.clock import utc_now
from scripts.bench.figures import Findings, percentile, summary
from scripts.bench.floor import measure_floor
from scripts.bench.ground import Ground
from scripts.bench.load import Result
from scripts.bench.processes import cpu_seconds, resident_mb
from scripts.bench.system import System
from scripts.bench.templates import new_jobs

CUSTOMERS: Final = 2000
WINDOWS: Final = (32, 128, 400)  # customers that wait for a reply at a time
LATE_SECONDS: Final = 0.15
STATUSES: Final = {"sent": 0.05, "delivered": 0.1, "read": 0.2}
_CONNECTIONS: Final = 16
_FLOOR_CLIENTS: Final = (4, 16)


@dataclass(slots=True)
class Run:
    """One load and what came of it."""

    per_second: float
    seconds_each: list[float]
    cpu_ms_each: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {
            "per_second": round(self.per_second, 1),
            "cpu_ms_a_message": self.cpu_ms_each,
            **summary(self.seconds_each),
        }


class EndToEnd:
    """The runs, on one system."""

    def __init__(self, ground: Ground, system: System) -> None:
        self._ground = ground
        self._system = system
        self.customers = ground.quick_or(100, CUSTOMERS)
        self._pids = {
            "mongod": ground.mongod_pid,
            "web": system.web.pid,
            "worker": system.worker.pid,
            "timer": system.timer.pid,
            "peer": system.peer.pid,
        }

    def flood(self, messages: int, *, window: int = 0, per_second: float = 0.0) -> Run:
        """POST so many messages: as fast as they are taken, or with at most `window` unanswered, or paced."""
        plan = self._system.plan(
            connections=_CONNECTIONS,
            messages=messages,
            customers=self.customers,
            window=window,
            per_second=per_second,
        )
        before = self._cpu()
        result = self._system.run(plan)
        replied_at = self._system.replies_to(result.texts)
        return self._run(result, replied_at, before)

    def drain(self, messages: int) -> Run:
        """The worker alone: so many customers have a message waiting when it is let go."""
        system = self._system
        system.worker.send(signal.SIGSTOP)
        texts = [f"drain{number}at{time.time():.0f}" for number in range(messages)]
        bot = system.bot_id
        jobs = [job for number, text in enumerate(texts) for job in new_jobs(bot, number, text)]
        for start in range(0, len(jobs), 500):
            batch = jobs[start : start + 500]
            system.store.jobs.insert(batch, utc_now())
            system.store.lanes.wake(job.lane for job in batch if job.lane)
        before = self._cpu()
        began_at = time.time()
        system.worker.send(signal.SIGCONT)
        replied_at = system.replies_to(texts)
        return self._run(Result(texts, [began_at] * messages, [began_at], []), replied_at, before)

    def _run(self, result: Result, replied_at: list[float], before: dict[str, float]) -> Run:
        count = len(result.texts)
        took = max(replied_at) - result.sent_at[0]
        each = [reply - due for due, reply in zip(result.due_at, replied_at, strict=True)]
        cpu = {name: round((used - before[name]) * 1000 / count, 2) for name, used in self._cpu().items()}
        return Run(count / took, each, cpu)

    def _cpu(self) -> dict[str, float]:
        return {name: cpu_seconds(pid) for name, pid in self._pids.items()}

    def memory(self) -> dict[str, list[float]]:
        """Resident memory of every process, in MiB."""
        return {name: resident_mb(pid) for name, pid in self._pids.items()}


def measure(ground: Ground) -> Findings:
    """The sections `flow` and `memory`; the floor is measured again before and after, since machines drift."""
    floors = [_floor(ground)]
    findings = Findings()
    with System(ground, "flow") as system:
        runs = EndToEnd(ground, system)
        runs.flood(runs.customers)  # everybody's conversation has begun
        findings.add(_at_once(ground, runs))
        system.tell_peer("POST", "faults", {"do": "latency", "endpoint": "graph", "seconds": LATE_SECONDS})
        findings.add(_series(ground, runs, "late"))
        system.tell_peer("DELETE", "faults")
        system.tell_peer("PUT", "statuses", STATUSES)
        statuses = runs.flood(ground.quick_or(100, 1500))
        system.tell_peer("PUT", "statuses", {})
        findings.figures |= {"flow.statuses.per_second": statuses.per_second}
        findings.samples |= {"flow statuses": statuses.as_dict(), "flow repeated": system.repeated_replies}
        findings.add(_memory(runs))
    floors.append(_floor(ground))
    floor = sum(floors) / len(floors)
    findings.figures |= {"floor.per_second": floor, "floor.before": floors[0], "floor.after": floors[1]}
    for name in ("at_once", "late", "statuses"):
        findings.figures[f"flow.{name}.ratio"] = findings.figures[f"flow.{name}.per_second"] / floor
    return findings


def _floor(ground: Ground) -> float:
    return max(rate.per_second for rate in measure_floor(ground, _FLOOR_CLIENTS))


def _at_once(ground: Ground, runs: EndToEnd) -> Findings:
    findings = _series(ground, runs, "at_once")
    rate = findings.figures["flow.at_once.per_second"] / 2
    seconds = ground.quick_or(2, 6)
    rounds = [runs.flood(int(rate * seconds), per_second=rate) for _ in range(ground.quick_or(1, 3))]
    findings.figures["flow.half_per_second"] = rate
    for percent in (50, 99):
        # The middle one of the rounds: one disturbance from outside does not decide.
        each = [percentile(run.seconds_each, percent) * 1000 for run in rounds]
        findings.figures[f"flow.half_p{percent}_ms"] = statistics.median(each)
    findings.samples["flow half load"] = [run.as_dict() for run in rounds]
    return findings


def _series(ground: Ground, runs: EndToEnd, name: str) -> Findings:
    """The rate with ever more customers waiting at a time, with all at once, and the worker alone."""
    windows = (64,) if ground.is_quick else WINDOWS
    messages = ground.quick_or(200, 1500)
    done = {f"window_{window}": runs.flood(messages, window=window) for window in windows}
    done["flood"] = runs.flood(messages)
    best = max(run.per_second for run in done.values())
    done["drain"] = runs.drain(ground.quick_or(100, 1500))
    figures = {f"flow.{name}.{key}": run.per_second for key, run in done.items()}
    figures[f"flow.{name}.per_second"] = best
    return Findings(figures, {f"flow {name}": {key: run.as_dict() for key, run in done.items()}})


def _memory(runs: EndToEnd) -> Findings:
    memory = runs.memory()
    figures = {f"memory.{name}_mb": max(sizes) for name, sizes in memory.items()}
    return Findings(figures, {"memory": memory})
