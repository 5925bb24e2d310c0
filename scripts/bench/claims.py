"""What a claim costs while more and more is waiting: `Lanes.claim` and `release`, 32 lanes at a time.

A job a lane, which is the hardest case: as many lanes as jobs are due. Released lanes go to the back of the queue,
so the number that waits stays the same. The depths take turns, so that a drifting machine hits them alike.
"""

from __future__ import annotations

import statistics
import time
from typing import Any, Final

from bson import Timestamp
from pymongo import WriteConcern

from common.clock import utc_now
from scripts.bench.figures import Findings, summary
from scripts.bench.ground import Ground
from scripts.bench.processes import cpu_seconds
from scripts.bench.templates import Document, make_templates

DEPTHS: Final = (1_000, 100_000, 500_000)
_QUICK_DEPTHS: Final = (1_000, 3_000, 5_000)
BATCH_LANES: Final = 32
JOBS_EACH: Final = 20
_PAGE: Final = 5_000


class _Queue:
    """A database in which so many lanes wait with a job each."""

    def __init__(self, ground: Ground, depth: int) -> None:
        self.store = ground.fresh_store(f"claims{depth}")
        self.depth = depth
        self.claim_seconds: list[float] = []
        self.cpu_ms_each: list[float] = []
        self._fill()

    def _fill(self) -> None:
        database = self.store.database
        shape = make_templates(self.store)
        quick = WriteConcern(w=1)
        lanes = database["lanes"].with_options(write_concern=quick)
        jobs = database["jobs"].with_options(write_concern=quick)
        payload = {**shape.job, "seq": Timestamp(0, 0)}
        for start in range(0, self.depth, _PAGE):
            names = [_name(number) for number in range(start, min(start + _PAGE, self.depth))]
            due_at = utc_now()
            documents: list[Document] = [{**shape.lane, "_id": name, "dueAt": due_at} for name in names]
            lanes.insert_many(documents, ordered=False)
            waiting: list[Document] = [{**payload, "_id": f"b:{name}", "lane": name} for name in names]
            jobs.insert_many(waiting, ordered=False)

    def measure(self, mongod_pid: int, batches: int) -> None:
        before = cpu_seconds(mongod_pid)
        claimed = 0
        for _ in range(batches):
            started = time.perf_counter()
            leases, _now = self.store.lanes.claim("bench", BATCH_LANES, 30, JOBS_EACH)
            self.claim_seconds.append(time.perf_counter() - started)
            self.store.lanes.release(leases, has_more=frozenset(lease.lane for lease in leases))
            claimed += sum(len(lease.jobs) for lease in leases)
        if not claimed:
            raise RuntimeError("nothing could be claimed")
        self.cpu_ms_each.append((cpu_seconds(mongod_pid) - before) * 1000 / claimed)


def _name(number: int) -> str:
    # Names as scattered as contact ids are: lanes that are due together do not lie together.
    return f"wa:{number * 2_654_435_761 % 2**32:024x}"


def measure(ground: Ground) -> Findings:
    """The section `claim`."""
    queues = [_Queue(ground, depth) for depth in (_QUICK_DEPTHS if ground.is_quick else DEPTHS)]
    try:
        # What filling left to be written must not be counted as claiming.
        queues[0].store.database.client.admin.command("fsync")
        for _ in range(ground.quick_or(1, 8)):
            for queue in queues:
                queue.measure(ground.mongod_pid, ground.quick_or(10, 40))
        return _findings(queues, is_quick=ground.is_quick)
    finally:
        for queue in queues:
            ground.drop(queue.store)


def _findings(queues: list[_Queue], *, is_quick: bool) -> Findings:
    figures: dict[str, float] = {}
    samples: dict[str, Any] = {}
    for queue in queues:
        figures[f"claim.cpu_ms_{queue.depth}"] = statistics.fmean(queue.cpu_ms_each)
        figures[f"claim.wall_ms_{queue.depth}"] = statistics.median(queue.claim_seconds) * 1000
        samples[f"{queue.depth} waiting"] = {
            "database_cpu_ms_a_job": [round(value, 4) for value in queue.cpu_ms_each],
            "claim": summary(queue.claim_seconds),
        }
    growth = figures[f"claim.cpu_ms_{queues[-1].depth}"] / figures[f"claim.cpu_ms_{queues[0].depth}"]
    figures["claim.quick_growth" if is_quick else "claim.growth"] = growth
    return Findings(figures, {"claim": samples})
