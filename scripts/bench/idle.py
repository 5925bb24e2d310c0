"""An idle system: how soon a single message is picked up, and what waiting for it costs.

Pick-up runs from the answer to the POST to the worker's `lane.claimed`, when the lane is leased and loaded.
"""

from __future__ import annotations

import json
import time
from bisect import bisect_right
from datetime import datetime
from typing import Any, Final

from scripts.bench.figures import Findings, percentile, summary
from scripts.bench.ground import Ground
from scripts.bench.load import Result
from scripts.bench.processes import cpu_percent
from scripts.bench.system import System

PER_SECOND: Final = 2.0
_SETTLE_SECONDS: Final = 2.0


def measure(ground: Ground) -> Findings:
    """The section `idle`."""
    with System(ground, "idle") as system:
        system.run(system.plan(connections=4, messages=20, customers=20))
        time.sleep(_SETTLE_SECONDS)
        pids = {
            "mongod": ground.mongod_pid,
            "worker": system.worker.pid,
            "timer": system.timer.pid,
            "web": system.web.pid,
        }
        used = cpu_percent(pids.values(), ground.quick_or(2, 15))
        percents = {name: used[pid] for name, pid in pids.items()}
        messages = int(ground.quick_or(3, 30) * PER_SECOND)
        # A little off two a second, so that it never falls into step with a poll.
        plan = system.plan(connections=2, messages=messages, customers=20, per_second=PER_SECOND * 0.93)
        result = system.run(plan)
        replied_at = system.replies_to(result.texts)
        picked_up, committed = _from_log(system.worker.log(), result)
    replied = [at - sent for at, sent in zip(replied_at, result.sent_at, strict=True)]
    figures = {f"idle.{name}_percent": percent for name, percent in percents.items()}
    figures |= {
        "idle.cpu_percent": percents["mongod"] + percents["worker"],
        "idle.pickup_p50_ms": percentile(picked_up, 50) * 1000,
        "idle.pickup_p99_ms": percentile(picked_up, 99) * 1000,
        "idle.reply_p50_ms": percentile(replied, 50) * 1000,
        "idle.reply_p99_ms": percentile(replied, 99) * 1000,
    }
    samples = {
        "answered to claimed": summary(picked_up),
        "answered to committed": summary(committed),
        "sent to reply received": summary(replied),
    }
    return Findings(figures, {"idle": samples})


def _from_log(log: str, result: Result) -> tuple[list[float], list[float]]:
    """From each answer to the claim that took the message, and to its turn's commit."""
    claimed_at: list[float] = []
    turns: dict[str, tuple[float, float]] = {}
    for line in log.splitlines():
        entry = _read(line)
        if entry.get("event") == "lane.claimed":
            claimed_at.append(_unix(entry))
        elif entry.get("event") == "turn.committed":
            committed_at = _unix(entry)
            begun_at = committed_at - entry["duration_ms"] / 1000
            place = bisect_right(claimed_at, begun_at) - 1
            turns[entry["request_id"]] = (claimed_at[max(place, 0)], committed_at)
    picked_up, committed = [], []
    prefix = result.texts[0][:-1]
    for number, answered_at in enumerate(result.answered_at):
        claimed, done = turns[f"{prefix}{number:08d}"]
        picked_up.append(claimed - answered_at)
        committed.append(done - answered_at)
    return picked_up, committed


def _read(line: str) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) else {}


def _unix(entry: dict[str, Any]) -> float:
    return datetime.fromisoformat(entry["timestamp"]).timestamp()
