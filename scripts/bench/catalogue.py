"""Every figure of the table: its name, unit and meaning, in the order in which it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Figure:
    """`key` names it in the JSON file; `meaning` says what was measured, from where to where."""

    key: str
    title: str
    unit: str
    meaning: str


_FLOOR_CLIENTS = "A bare pymongo loop with so many threads, doing the writes of whole messages."

SECTIONS: Final[dict[str, str]] = {
    "floor": "The floor: bare database writes of whole messages",
    "accept": "Receiving webhooks",
    "flow": "End to end: webhook to reply at the WhatsApp peer",
    "claim": "Claiming while much is waiting",
    "idle": "An idle system",
    "engine": "The engine alone",
    "memory": "Memory after the load",
    "reads": "Reading over the API: 200 bots, 2,000 flows, 100,000 conversations, 1,000,000 log entries",
}

FIGURES: Final[tuple[Figure, ...]] = (
    Figure("floor.clients_1", "1 client thread", "msg/s", _FLOOR_CLIENTS),
    Figure("floor.clients_4", "4 client threads", "msg/s", _FLOOR_CLIENTS),
    Figure("floor.clients_16", "16 client threads", "msg/s", _FLOOR_CLIENTS),
    Figure(
        "floor.per_second",
        "floor",
        "msg/s",
        "The best of the above; with the section `flow`, the mean of floors measured before and after it.",
    ),
    Figure("inserts.per_second", "bare majority inserts, 16 clients", "1/s", "One job inserted by pymongo, "
           "majority and journal, with as many client threads as the load has connections."),
    Figure("accept.per_second", "webhooks accepted, 16 clients", "1/s", "POSTs answered with 200 by gunicorn "
           "(one process): signature checked, message parsed, job and lane on disk."),
    Figure("accept.ratio", "… of the bare inserts", "×", "Accepted webhooks by bare inserts."),
    Figure("inserts.clients_32", "bare majority inserts, 32 clients", "1/s", "As above, with 32 threads."),
    Figure("accept.clients_32", "webhooks accepted, 32 clients", "1/s", "As above, with 32 connections."),
    Figure("accept.half_p50_ms", "latency at half load, p50", "ms", "At half of the best accepted rate, sent at "
           "fixed times whatever the answers do, from when each was due to its 200."),
    Figure("accept.half_p99_ms", "latency at half load, p99", "ms", "The same, 99 of 100."),
    Figure("flow.at_once.per_second", "peer answers at once", "msg/s", "Customers' messages POSTed and replied "
           "to, from the first POST to the last reply in the peer's record; the best of the loads below."),
    Figure("flow.at_once.ratio", "… of the floor", "×", "By the floor of this run."),
    Figure("flow.at_once.window_32", "… 32 customers waiting", "msg/s", "At most so many unanswered at a time."),
    Figure("flow.at_once.window_128", "… 128 customers waiting", "msg/s", "The same with 128."),
    Figure("flow.at_once.window_400", "… 400 customers waiting", "msg/s", "The same with 400."),
    Figure("flow.at_once.flood", "… as fast as they are accepted", "msg/s", "A backlog builds up, then drains."),
    Figure("flow.at_once.drain", "… prefilled backlog, worker alone", "msg/s", "Jobs of as many customers wait; "
           "from letting the worker go to the last reply. Nobody POSTs meanwhile."),
    Figure("flow.late.per_second", "peer answers after 150 ms", "msg/s", "As above; every answer takes 150 ms."),
    Figure("flow.late.ratio", "… of the floor", "×", "By the floor of this run."),
    Figure("flow.late.window_32", "… 32 customers waiting", "msg/s", "As above."),
    Figure("flow.late.window_128", "… 128 customers waiting", "msg/s", "As above."),
    Figure("flow.late.window_400", "… 400 customers waiting", "msg/s", "As above."),
    Figure("flow.late.flood", "… as fast as they are accepted", "msg/s", "As above."),
    Figure("flow.late.drain", "… prefilled backlog, worker alone", "msg/s", "As above."),
    Figure("flow.statuses.per_second", "with sent, delivered and read statuses", "msg/s", "For information: the "
           "peer also sends three statuses a reply, which are stored and applied beside it."),
    Figure("flow.statuses.ratio", "… of the floor", "×", "By the floor of this run."),
    Figure("flow.half_p50_ms", "webhook to reply at half load, p50", "ms", "At half of the rate reached with the "
           "peer answering at once, sent at fixed times; from when a message was due to its reply at the peer. The median of three rounds."),
    Figure("flow.half_p99_ms", "webhook to reply at half load, p99", "ms", "The same, 99 of 100."),
    Figure("claim.cpu_ms_1000", "database CPU a job, 1,000 waiting", "ms", "mongod's CPU time for claiming and "
           "releasing, by the number of jobs."),
    Figure("claim.cpu_ms_100000", "database CPU a job, 100,000 waiting", "ms", "The same."),
    Figure("claim.cpu_ms_500000", "database CPU a job, 500,000 waiting", "ms", "The same."),
    Figure("claim.growth", "… 500,000 by 1,000", "×", "Whether a backlog makes claims dearer."),
    Figure("claim.quick_growth", "… 5,000 by 1,000 (quick)", "×", "The smoke test's."),
    Figure("claim.wall_ms_1000", "claim of 32 lanes, 1,000 waiting", "ms", "Median time of `Lanes.claim`."),
    Figure("claim.wall_ms_100000", "claim of 32 lanes, 100,000 waiting", "ms", "The same."),
    Figure("claim.wall_ms_500000", "claim of 32 lanes, 500,000 waiting", "ms", "The same."),
    Figure("idle.pickup_p50_ms", "pick-up, p50", "ms", "At 2 messages a second: from the webhook's 200 to the "
           "worker's `lane.claimed`, leased and loaded."),
    Figure("idle.pickup_p99_ms", "pick-up, p99", "ms", "The same, 99 of 100."),
    Figure("idle.reply_p50_ms", "webhook to reply, p50", "ms", "At the same pace: from the POST to the peer."),
    Figure("idle.reply_p99_ms", "webhook to reply, p99", "ms", "The same, 99 of 100."),
    Figure("idle.cpu_percent", "mongod and worker with nothing to do", "% of a core", "CPU time over 15 s."),
    Figure("idle.mongod_percent", "… mongod", "% of a core", "With worker, timer and web connected."),
    Figure("idle.worker_percent", "… worker", "% of a core", "Listening for wake-ups."),
    Figure("idle.timer_percent", "… timer", "% of a core", "Not part of the sum."),
    Figure("idle.web_percent", "… web", "% of a core", "Not part of the sum."),
    Figure("engine.per_second", "turns of three nodes on one core", "1/s", "No database, no network."),
    Figure("engine.check_ms", "reading and checking a flow of 500 nodes", "ms", "All deploy checks, with texts that "
           "were never seen before; the best of several."),
    Figure("memory.worker_mb", "worker process", "MiB", "Resident memory of the largest worker process."),
    Figure("memory.web_mb", "web process", "MiB", "The same of gunicorn's."),
    Figure("memory.timer_mb", "timer process", "MiB", "The same of the timer."),
    Figure("memory.mongod_mb", "mongod", "MiB", "Its cache may take 1 GiB here."),
    Figure("reads.routes", "list and detail routes", "", "Every GET route of the API that answers with JSON, but files."),
    Figure("reads.p50_ms", "all of them, p50", "ms", "One request at a time over one connection, with ids and pages "
           "spread over a bot with 20,000 conversations."),
    Figure("reads.p95_ms", "all of them, p95", "ms", "The same, 95 of 100."),
    Figure("reads.worst_p95_ms", "the slowest route, p95", "ms", "The route whose p95 is the highest."),
)  # fmt: skip
