"""Documents exactly as the product stores them: two messages of one customer are run through it and read back."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from api.webhook_events import phone_number_ids, read_events, to_jobs
from common.clock import utc_now
from common.model.contacts import Contact, contact_of
from common.model.jobs import NewJob
from common.secrets import new_key
from common.store.jobs import job_from_document
from common.store.store import Store
from scripts.bench import webhooks
from scripts.bench.bench_flow import three_nodes
from scripts.local.bots import SAMPLE_NUMBER, make_bot
from worker.directory import Directory
from worker.held_lane import HeldLane
from worker.turn import TurnSettings, compute

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Templates:
    """One document of each sort, as it is after a message in the middle of a conversation."""

    job: Document
    lane: Document
    contact: Document
    session: Document
    variable: Document
    inbound: Document
    outbound: Document
    steps: list[Document]


def new_jobs(bot_id: str, customer: int, text: str) -> list[NewJob]:
    """What the web process would store for a customer's message."""
    events = read_events(webhooks.body(SAMPLE_NUMBER, customer, text))
    bots = dict.fromkeys(phone_number_ids(events), bot_id)
    return to_jobs(events, bots, {}, f"bench-{text}-{customer:08d}")


def make_templates(store: Store) -> Templates:
    """Run two messages through the product's own parser, engine and commit, then look what it stored."""
    bot_id, _ = make_bot(store, f"k1:{new_key()}", three_nodes())
    first, second = new_jobs(bot_id, 0, "m0"), new_jobs(bot_id, 0, "m1")
    store.jobs.insert([*first, *second], utc_now())
    waiting = store.jobs.find(second[0].job_id)
    store.lanes.wake([str(first[0].lane)])
    (lease,), _ = store.lanes.claim("bench", 1, 30, 2)
    directory = Directory(store)
    lane = HeldLane(
        lease=lease,
        held_until=time.monotonic() + 30,
        jobs=deque(job_from_document(document) for document in lease.jobs),
        bot=directory.bots([bot_id])[bot_id],
        contact=Contact(contact_of(lease.lane), bot_id, (f"wa:{webhooks.phone_of(0)}",)),
    )
    settings = TurnSettings(inbound_per_minute=60, keeps_variables_in_log=False, pair_seconds=6)
    while lane.jobs:
        turn = compute(lane, lane.jobs.popleft(), directory, settings, utc_now())
        store.turns.commit([turn.writes], 30, utc_now())
        lane.contact, lane.stored = turn.contact, turn.stored
    store.lanes.release([lease])
    return _read_back(store, waiting or {})


def _read_back(store: Store, job: Document) -> Templates:
    database = store.database
    last = {"sort": [("seq", -1)]}
    return Templates(
        job=job,
        lane=_one(database["lanes"].find_one({})),
        contact=_one(database["contacts"].find_one({})),
        session=_one(database["sessions"].find_one({})),
        variable=_one(database["session_variables"].find_one({})),
        inbound=_one(database["messages"].find_one({"direction": "IN"}, **last)),
        outbound=_one(database["messages"].find_one({"direction": "OUT"}, **last)),
        steps=list(database["execution_logs"].find({"turn": 2}).sort("place", 1)),
    )


def _one(document: Document | None) -> Document:
    if document is None:
        raise RuntimeError("the product stored less than it should")
    return document
