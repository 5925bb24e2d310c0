"""Indexes are made once and kept right; every query of the store is looked at in the database's own profile.

A method of the store is either in HOT, with the most index keys and documents that it may look at among thousands
of others, or in RARE, with the reason why nobody waits for it. A new method in neither fails.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from common.ids import new_ulid
from common.model.contacts import Channel, Contact
from common.model.jobs import JobState
from common.model.parking import ParkedFor
from common.store.indexes import Retention, declared, ensure_indexes
from common.store.inspection import missing_indexes
from common.store.lanes import Lease
from common.store.messages import StatusUpdate, mark_accepted, mark_sending
from common.store.store import Store
from common.store.timers import DueTimer
from common.store.turns import TurnWrites
from tests.integration.store_setup import new_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymongo import MongoClient
    from pymongo.database import Database

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SOON, LONG_AGO = timedelta(days=300), timedelta(days=3)
DECOYS = 5_000
OURS = [f"c{n}" for n in range(8)]
LANES = [f"wa:{name}" for name in OURS]


# Making them


def test_indexes_are_made_once(database: Database[dict[str, Any]]) -> None:
    assert len(missing_indexes(database)) == len(declared(Retention()))
    done = ensure_indexes(database, Retention())
    assert done == [f"created {index.collection}.{index.name}" for index in declared(Retention())]
    before = {name: database[name].index_information() for name in database.list_collection_names()}
    assert ensure_indexes(database, Retention()) == []
    assert {name: database[name].index_information() for name in before} == before
    assert missing_indexes(database) == []


def test_a_missing_one_is_made_and_a_changed_retention_applied(database: Database[dict[str, Any]]) -> None:
    ensure_indexes(database, Retention())
    database["jobs"].drop_index("lane_1_seq_1")
    assert missing_indexes(database) == ["jobs.lane_1_seq_1"]
    done = ensure_indexes(database, Retention(done_jobs=9, execution_logs=1, messages=2))
    day = 86_400
    assert sorted(done) == [
        f"changed retention of execution_logs.executedAt_1 to {day} s",
        f"changed retention of jobs.doneAt_1 to {9 * day} s",
        f"changed retention of messages.sentAt_1 to {2 * day} s",
        "created jobs.lane_1_seq_1",
    ]
    seconds = {
        name: database[name].index_information()[index]["expireAfterSeconds"]
        for name, index in (
            ("jobs", "doneAt_1"),
            ("messages", "sentAt_1"),
            ("execution_logs", "executedAt_1"),
        )
    }
    assert seconds == {"jobs": 9 * day, "messages": 2 * day, "execution_logs": day}


def test_nothing_that_still_waits_ever_expires(database: Database[dict[str, Any]]) -> None:
    """Only what has an end has an expiry: jobs without `doneAt` are kept for ever."""
    ensure_indexes(database, Retention())
    expiring = {
        (index.collection, index.keys[0][0])
        for index in declared(Retention())
        if "expireAfterSeconds" in index.options
    }
    assert expiring == {
        ("messages", "sentAt"), ("execution_logs", "executedAt"), ("jobs", "doneAt"), ("heartbeats", "at")
    }  # fmt: skip


# Using them


def _jobs(n: int) -> dict[str, Any]:
    state = ("PENDING", "PENDING", "DONE", "DEAD", "UNROUTED")[n % 5]
    job = {
        "_id": f"decoy-{n}", "kind": "MESSAGE", "state": state, "lane": f"decoy:{n % 700:04}", "payload": "{}",
        "requestId": "r", "botId": f"bot-{n % 50}", "phoneNumberId": "1", "receivedAt": NOW, "attempts": 0,
    }  # fmt: skip
    return job | ({"doneAt": NOW + SOON} if state == "DONE" else {})


def _lane(n: int) -> dict[str, Any]:
    lane: dict[str, Any] = {"_id": f"decoy:{n:04}", "wakes": 1, "fence": 1}
    if n % 2:  # half of them are due, later than ours
        return lane | {"dueAt": NOW - LONG_AGO + timedelta(seconds=n)}
    return lane | ({"dueAt": NOW + SOON, "owner": "x", "claim": f"t{n}"} if n % 4 else {})


def _session(n: int) -> dict[str, Any]:
    times = {"resumeAt": NOW + SOON} if n % 2 else {}
    return {
        "_id": f"decoy-{n}", "botId": f"bot-{n % 50}", "contactId": f"decoy-{n % 2_500}", "channel": "WHATSAPP",
        "isOpen": n < 2_500, "lane": f"decoy:{n}", "rev": 1, "createdAt": NOW, "wait": {"waitId": 1}, **times,
    }  # fmt: skip


def _message(n: int) -> dict[str, Any]:
    states = {"open": True} if n % 2 else {"wamid": f"wamid.decoy{n}"}
    return {
        "_id": f"decoy-{n}", "sessionId": f"decoy-{n % 500}", "lane": f"decoy:{n}", "seq": n, "rank": 10,
        "attemptIds": [f"decoy-a{n}"], "phoneNumberId": "1", "direction": "OUT", "status": "SENDING",
        "sentAt": NOW + SOON, **states,
    }  # fmt: skip


MAKERS: dict[str, Callable[[int], dict[str, Any]]] = {
    "jobs": _jobs,
    "lanes": _lane,
    "sessions": _session,
    "messages": _message,
    "contacts": lambda n: {"_id": f"decoy-{n}", "botId": f"bot-{n % 50}", "aliases": [f"wa:{n}", f"bsuid:{n}"]},
    "session_variables": lambda n: {"sessionId": f"decoy-{n // 5}", "variableName": f"v{n % 5}", "variableValue": 1},
    "execution_logs": lambda n: {"sessionId": f"decoy-{n // 5}", "executedAt": NOW + SOON, "turn": n},
    "users": lambda n: {"_id": f"decoy-{n}", "email": f"decoy{n}@example.com"},
    "bots": lambda n: {"_id": f"decoy-{n}", "userId": f"user-{n}", "name": "x"},
    "flows": lambda n: {"_id": f"decoy-{n}", "botId": f"decoy-{n // 5}", "name": f"f{n}"},
    "flow_versions": lambda n: {
        "_id": f"decoy-{n}", "flowId": f"decoy-{n // 10}", "versionNumber": n % 10, "isProduction": n % 10 == 9
    },
    "bot_variables": lambda n: {"botId": f"decoy-{n // 5}", "variableName": f"v{n % 5}", "variableValue": 1},
    "whatsapp_accounts": lambda n: {"botId": f"decoy-{n}", "phoneNumberId": f"d{n}", "phoneNumber": f"d{n}"},
    "openai_accounts": lambda n: {"userId": f"user-{n}", "apiKey": "x"},
}  # fmt: skip


def _add_ours(store: Store) -> None:
    """Eight conversations of one bot, with five jobs, a session, two messages and a timer each."""
    database = store.database
    store.jobs.insert([new_job(f"{lane}-{n}", lane) for lane in LANES for n in range(5)], NOW)
    database["lanes"].insert_many(
        [{"_id": lane, "wakes": 1, "fence": 1, "dueAt": NOW - LONG_AGO - timedelta(days=9)} for lane in LANES]
    )
    base = {"botId": "bot", "channel": "WHATSAPP", "isOpen": True, "loops": [], "history": [], "turn": 1}
    more = {"flowId": "flow", "flowVersionId": "version", "status": "PAUSED", "currentNodeId": "n", "rev": 1}
    rest = {"lastMessage": "", "lastReplyNodeId": None, "createdAt": NOW, "callStarts": 0}
    wait = {"kind": "TIME", "waitId": 1, "at": NOW, "state": "{}", "request": None}
    for name, lane in zip(OURS, LANES, strict=True):
        own = {"_id": f"s-{name}", "contactId": name, "lane": lane, "wait": wait, "resumeAt": NOW - LONG_AGO}
        database["sessions"].insert_one({**own, **base, **more, **rest})
        database["session_variables"].insert_one(
            {"sessionId": f"s-{name}", "variableName": "v", "variableValue": 1}
        )
        database["contacts"].insert_one({"_id": name, "botId": "bot", "aliases": [f"wa:our-{name}"]})
        for seq in (1, 2):
            document = {
                "_id": f"m-{name}-{seq}", "sessionId": f"s-{name}", "lane": lane, "seq": seq, "rank": 20,
                "open": True, "attemptIds": [f"a-{name}-{seq}"], "phoneNumberId": "999", "direction": "OUT",
                "status": "SENDING", "messageContent": "hi", "nodeId": "n", "requestId": "r", "attempts": 1,
                "sentAt": NOW + SOON, "wamid": f"wamid.{name}.{seq}",
            }  # fmt: skip
            database["messages"].insert_one(document)
    database["users"].insert_one({"_id": "user", "email": "ada@example.com"})
    database["bots"].insert_one({"_id": "bot", "userId": "user", "name": "Bot"})
    database["flows"].insert_one({"_id": "flow", "botId": "bot", "name": "Flow"})
    version = {"flowId": "flow", "versionNumber": 1, "isProduction": True, "flowData": {}}
    database["flow_versions"].insert_one({"_id": "version", **version})
    database["bot_variables"].insert_one({"botId": "bot", "variableName": "v", "variableValue": 1})
    account = {"botId": "bot", "phoneNumberId": "999", "phoneNumber": "999", "businessAccountId": "1"}
    database["whatsapp_accounts"].insert_one({"_id": "account", "accessToken": "x", **account})
    database["openai_accounts"].insert_one({"_id": "openai", "userId": "user", "apiKey": "x"})
    database["execution_logs"].insert_one({"_id": "x", "sessionId": "s-c0", "executedAt": NOW + SOON})


@pytest.fixture(scope="module")
def crowded(_mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Store]:
    """Ours among thousands of others."""
    database = _mongo_client[f"test_{new_ulid()}"]
    for name, make in MAKERS.items():
        database[name].insert_many([make(n) for n in range(DECOYS)], ordered=False)
    ensure_indexes(database, Retention())
    yield Store(database)
    _mongo_client.drop_database(database)


@pytest.fixture
def store(crowded: Store) -> Iterator[Store]:
    """Fresh ones of ours for each test, since most methods change something."""
    _add_ours(crowded)
    yield crowded
    ours = {"$not": {"$regex": "^decoy"}}
    for name in MAKERS:
        crowded.database[name].delete_many({"_id": {"$type": "string", **ours}})
    crowded.database["session_variables"].delete_many({"sessionId": {"$regex": "^s-"}})
    crowded.database["bot_variables"].delete_many({"botId": "bot"})


def _lease(lane: str) -> Lease:
    return Lease(lane, 1, "token", 1, was_interrupted=False, interruptions=0)


LEASES = [_lease(lane) for lane in LANES]
JOB_IDS = [f"{lane}-0" for lane in LANES]
STATUSES = [
    StatusUpdate("999", f"wamid.{name}.1", "sent", f"a-{name}-1" if n % 2 else None, NOW)
    for n, name in enumerate(OURS)
]


def _commit(store: Store) -> None:
    store.database["lanes"].update_many({"_id": {"$in": LANES}}, {"$set": {"claim": "token", "owner": "a"}})
    turns = []
    for name, lease, job_id in zip(OURS, LEASES, JOB_IDS, strict=True):
        session = {
            "_id": f"s-{name}",
            "contactId": name,
            "channel": "WHATSAPP",
            "botId": "bot",
            "isOpen": True,
        }
        contact = Contact(name, "bot", (f"wa:our-{name}",))
        turns.append(TurnWrites(lease, job_id, session, 1, {"v": 2}, ("w",), contact=contact))
    store.turns.commit(turns, 30, NOW)


def _claim(store: Store) -> None:
    assert len(store.lanes.claim("a", 8, 30, 5)[0]) == 8


def _due(store: Store) -> None:
    assert len(store.timers.due(500)) == 8


def _lanes_with_pending(store: Store) -> None:
    assert len(store.jobs.lanes_with_pending("decoy:0100", 10)) == 10


@dataclass(frozen=True)
class Hot:
    """What to do, and the most index keys and documents that any one of its operations may look at."""

    run: Callable[[Store], object]
    keys: int
    documents: int


# Eight lanes, contacts, jobs … at a time. A $in of eight looks at up to two keys for each, and at the end.
HOT: dict[str, Hot] = {
    "Jobs.insert": Hot(lambda s: s.jobs.insert([new_job(f"n{n}", LANES[0]) for n in range(8)], NOW), 0, 0),
    "Jobs.finish": Hot(lambda s: s.jobs.finish(JOB_IDS), 17, 8),
    "Jobs.fail": Hot(lambda s: s.jobs.fail(JOB_IDS[0], "x", max_attempts=2), 1, 1),
    "Jobs.reject": Hot(lambda s: s.jobs.reject(JOB_IDS[0], "x"), 1, 1),
    "Jobs.move": Hot(lambda s: s.jobs.move(JOB_IDS, LANES[0]), 17, 8),
    "Jobs.find": Hot(lambda s: s.jobs.find(JOB_IDS[0]), 1, 1),
    "Jobs.waiting": Hot(lambda s: s.jobs.waiting([JobState.DEAD, JobState.UNROUTED], limit=20), 22, 20),
    "Jobs.lanes_with_pending": Hot(_lanes_with_pending, 51, 50),
    # the candidates, the update, and the read-back with each lane's jobs
    "Lanes.claim": Hot(_claim, 8 * (1 + 5) + 17, 8 * (1 + 5)),
    "Lanes.wake": Hot(lambda s: s.lanes.wake(LANES), 1, 1),
    "Lanes.hear": Hot(lambda s: s.lanes.hear(LANES, ParkedFor.UNKNOWN_SEND), 17, 8),
    "Lanes.unpark_all": Hot(lambda s: s.lanes.unpark_all(LANES, ParkedFor.BOT_STOPPED), 17, 8),
    "Lanes.hold": Hot(lambda s: s.lanes.hold(LEASES, 30), 17, 8),
    "Lanes.held": Hot(lambda s: s.lanes.held(LEASES), 17, 8),
    "Lanes.release": Hot(lambda s: s.lanes.release(LEASES), 1, 1),
    "Lanes.park": Hot(lambda s: s.lanes.park([(lease, 1, ParkedFor.RETRY_SEND) for lease in LEASES]), 1, 1),
    "Lanes.forgive": Hot(lambda s: s.lanes.forgive(LEASES[0]), 1, 1),
    "Lanes.asleep": Hot(lambda s: s.lanes.asleep(LANES), 17, 8),
    "Lanes.oldest_due_at": Hot(lambda s: s.lanes.oldest_due_at(), 2, 1),
    "Messages.open_in": Hot(lambda s: s.messages.open_in(LANES), 25, 16),
    "Messages.write": Hot(
        lambda s: s.messages.write([mark_accepted("m-c0-1", "w"), mark_sending("m-c0-2", "a", NOW)]), 1, 1
    ),
    "Messages.sending": Hot(lambda s: s.messages.sending([f"a-{name}-1" for name in OURS]), 17, 8),
    "Messages.apply_statuses": Hot(lambda s: s.messages.apply_statuses(STATUSES), 9, 4),
    "Messages.unmatched": Hot(lambda s: s.messages.unmatched(STATUSES), 17, 8),
    "Contacts.load": Hot(lambda s: s.contacts.load(OURS), 17, 8),
    "Contacts.owners": Hot(lambda s: s.contacts.owners("bot", ["wa:our-c0", "bsuid:x"]), 4, 2),
    "Sessions.load_open": Hot(lambda s: s.sessions.load_open(OURS, Channel.WHATSAPP), 25, 8),
    "Sessions.begin_call": Hot(lambda s: s.sessions.begin_call("s-c0", 1), 1, 1),
    "Timers.due": Hot(_due, 9, 8),
    "Timers.clear": Hot(
        lambda s: s.timers.clear([DueTimer(f"s-{n}", "l", "bot", 1, NOW - LONG_AGO) for n in OURS]), 1, 1
    ),
    "Timers.seconds_to_next": Hot(lambda s: s.timers.seconds_to_next(), 2, 1),
    "Turns.commit": Hot(_commit, 17, 8),
    "Bots.revisions": Hot(lambda s: s.bots.revisions(["bot", "decoy-1"]), 5, 2),
    "Bots.load": Hot(lambda s: s.bots.load("bot"), 2, 1),
    "Bots.account_of": Hot(lambda s: s.bots.account_of("bot"), 1, 1),
    "Bots.accounts": Hot(lambda s: s.bots.accounts(["999", "unknown"]), 3, 1),
    "Bots.version": Hot(lambda s: s.bots.version("version"), 1, 1),
    "Bots.heard_statuses": Hot(lambda s: s.bots.heard_statuses(dict.fromkeys(["999"], NOW)), 2, 1),
    "Bots.last_status_at": Hot(lambda s: s.bots.last_status_at("999"), 1, 1),
    "Bots.stop_sending": Hot(lambda s: s.bots.stop_sending("bot", "x"), 1, 1),
    "Bots.resume_sending": Hot(lambda s: s.bots.resume_sending("bot"), 1, 1),
    "Bots.changed": Hot(lambda s: s.bots.changed("bot"), 1, 1),
    "Bots.has_live_version": Hot(lambda s: s.bots.has_live_version("flow"), 1, 1),
    "Users.by_email": Hot(lambda s: s.users.by_email("ada@example.com"), 1, 1),
    "ExecutionLogs.steps": Hot(lambda s: s.execution_logs.steps("s-c0"), 2, 1),
    "Heartbeats.beat": Hot(lambda s: s.heartbeats.beat("w", "worker", {}), 1, 1),
}
RARE = {
    "Bots.connected": "an operator's command",
    "Jobs.oldest_pending_at": "an operator's command",
    "Jobs.requeue": "an operator's command",
    "Jobs.route": "an operator's command",
    "Jobs.drop": "an operator's command",
    "Jobs.count_dead": "an operator's command; reads the index of dead jobs only",
    "Heartbeats.seconds_since": "reads a handful of documents, all there are",
    "Heartbeats.stop": "once a process, by _id",
    "Bots.ensure_bot": "seeding",
    "Bots.ensure_variable": "seeding",
    "Bots.ensure_flow": "seeding",
    "Bots.ensure_account": "seeding",
    "Bots.ensure_openai": "seeding",
    "Bots.set_active_flow": "a person's click, by _id",
    "Bots.ensure_active_flow": "seeding, by _id",
    "Bots.put_live": "a person's click",
    "Users.ensure": "seeding",
    "Messages.lanes_with_open": "a person reconnects WhatsApp; reads what is unsent, through its index",
    "ExecutionLogs.causes": "a look at `steps`",
    "Turns.end_abandoned": "reads sessions of the server, no collection",
}


def public_methods(store: Store) -> set[str]:
    parts = [part for part in vars(store).values() if type(part).__module__.startswith("common.store.")]
    return {
        f"{type(part).__name__}.{name}"
        for part in parts
        for name, _ in inspect.getmembers(type(part), inspect.isfunction)
        if not name.startswith("_")
    }


def test_every_method_of_the_store_is_looked_at(database: Database[dict[str, Any]]) -> None:
    methods = public_methods(Store(database))
    assert len(methods) > 50
    assert methods - set(HOT) - set(RARE) == set(), "new: add it to HOT, or to RARE with the reason"
    assert (set(HOT) | set(RARE)) - methods == set()
    assert set(HOT) & set(RARE) == set()


def profiled(store: Store, run: Callable[[Store], object]) -> list[dict[str, Any]]:
    """What the server did meanwhile, one document an operation."""
    database = store.database
    database.command("profile", 2)
    try:
        run(store)
    finally:
        database.command("profile", 0)
    operations = list(database["system.profile"].find({"ns": {"$not": {"$regex": "system.profile$"}}}))
    database["system.profile"].drop()
    return [each for each in operations if each["op"] != "command" or "profile" not in each["command"]]


@pytest.mark.parametrize("name", HOT)
def test_it_looks_at_no_more_than_it_needs(store: Store, name: str) -> None:
    hot = HOT[name]
    operations = profiled(store, hot.run)
    assert operations
    for operation in operations:
        shown = {
            key: operation.get(key) for key in ("op", "ns", "planSummary", "keysExamined", "docsExamined")
        }
        assert "COLLSCAN" not in operation.get("planSummary", ""), shown
        assert operation.get("keysExamined", 0) <= hot.keys, shown
        assert operation.get("docsExamined", 0) <= hot.documents, shown


def test_the_measure_sees_a_scan(store: Store) -> None:
    """The guard itself: without its index the claim would be found out."""
    store.database["lanes"].drop_index("dueAt_1")
    try:
        operations = profiled(store, _claim)
        assert any("COLLSCAN" in each.get("planSummary", "") for each in operations)
    finally:
        ensure_indexes(store.database, Retention())
    store.database["jobs"].drop_index("lane_1_seq_1")
    try:
        store.database["lanes"].update_many({"_id": {"$in": LANES}}, {"$set": {"dueAt": NOW - LONG_AGO * 9}})
        operations = profiled(store, _claim)
        assert max(each.get("docsExamined", 0) for each in operations) > DECOYS
    finally:
        ensure_indexes(store.database, Retention())
