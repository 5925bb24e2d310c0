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

from common.clock import utc_now
from common.ids import new_ulid
from common.model.contacts import Channel, Contact
from common.model.counters import CountKey
from common.model.flow_settings import FlowSettings, Trigger
from common.model.jobs import JobState
from common.model.outbox import MessageStatus, StatusUpdate
from common.model.parking import ParkedFor
from common.model.periods import Bucket, period
from common.model.retention import KeptDays
from common.model.simulation import StandIn
from common.model.values import VariableType
from common.store.analytics import of_bot
from common.store.audit import audit_entry
from common.store.deliveries import MessageRef, News
from common.store.deployments import Deploy
from common.store.flow_drafts import new_draft
from common.store.flow_versions import version_document
from common.store.indexes import Retention, declared, ensure_indexes
from common.store.inspection import missing_indexes
from common.store.lanes import Lease
from common.store.marks import mark_accepted, mark_sending
from common.store.session_history import SessionFilters
from common.store.store import Store
from common.store.test_conversations import Opening
from common.store.timers import DueTimer
from common.store.turns import TurnWrites
from tests.integration.store_setup import new_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymongo import MongoClient
    from pymongo.database import Database

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SOON, LONG_AGO = timedelta(days=300), timedelta(days=3)
TODAY = utc_now().replace(minute=0, second=0, microsecond=0)  # younger than what expires
MONTH = period(TODAY - timedelta(days=30), TODAY, TODAY)
DAY = period(TODAY - timedelta(days=1), TODAY, TODAY)
DECOYS = 5_000
OURS = [f"c{n}" for n in range(8)]
OUR_SESSION = {"_id": "s-c0", "botId": "bot", "contactId": "c0"}
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
        f"changed retention of sessions.closedAt_1 to {2 * day} s",
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
        ("test_versions", "usedAt"), ("test_conversations", "usedAt"),
        ("sessions", "closedAt"),
        ("messages", "sentAt"), ("execution_logs", "executedAt"), ("jobs", "doneAt"), ("heartbeats", "at"), ("counter_hours", "at"),
        ("revoked_tokens", "expiresAt"), ("idempotency_keys", "at"),
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
    "audit_logs": lambda n: {"_id": f"decoy-{n:05}", "at": NOW, "botId": f"decoy-{n % 50}", "actorId": "x", "action": "y"},
    "users": lambda n: {"_id": f"decoy-{n}", "email": f"decoy{n}@example.com"},
    "bots": lambda n: {"_id": f"decoy-{n}", "userId": f"user-{n}", "name": "x"},
    "flows": lambda n: {
        "_id": f"decoy-{n}", "botId": f"decoy-{n // 5}", "name": f"f{n}", "nameFolded": f"f{n}",
        "createdAt": NOW, "updatedAt": NOW,
    },
    "flow_drafts": lambda n: {
        "_id": f"decoy-{n}", "botId": f"decoy-{n // 5}", "revision": 1, "flowData": {"nodes": []}
    },
    "flow_versions": lambda n: {
        "_id": f"decoy-{n}", "flowId": f"decoy-{n // 10}", "versionNumber": n % 10, "isProduction": n % 10 == 9
    },
    "bot_variables": lambda n: {"botId": f"decoy-{n // 5}", "variableName": f"v{n % 5}", "variableValue": 1},
    "whatsapp_accounts": lambda n: {"botId": f"decoy-{n}", "phoneNumberId": f"d{n}", "phoneNumber": f"d{n}"},
    "openai_accounts": lambda n: {"userId": f"user-{n}", "apiKey": "x"},
    "counters": lambda n: {
        "_id": f"decoy-{n}", "botId": f"bot-{n % 500}", "flowId": "f", "versionId": f"v{n}", "at": NOW + SOON, "n": {"turns": 1}
    },
    "counter_hours": lambda n: _figures(n, timedelta(hours=n % 24)),
    "counter_days": lambda n: _figures(n, timedelta(days=n % 24)),
    "stand_ins": lambda n: {"botId": f"decoy-{n // 50}", "flowId": "f", "nodeId": f"n{n}", "answer": "{}"},
    "test_conversations": lambda n: {
        "_id": f"decoy-{n}", "botId": f"bot-{n % 50}", "flowId": "f", "usedAt": NOW + SOON
    },
    "test_versions": lambda n: {"_id": f"decoy-{n}", "flowId": f"decoy-{n}", "usedAt": NOW + SOON},
}  # fmt: skip


def _figures(n: int, ago: timedelta) -> dict[str, Any]:
    return {
        "_id": f"decoy-{n}",
        "owner": f"bot-{n // 24}",
        "scope": "b",
        "at": TODAY - ago,
        "n": {"turns": 1},
    }


def _add_flows(database: Database[dict[str, Any]]) -> None:
    """Twelve flows of another bot of ours, the first with a history of twenty entries."""
    times = {"createdAt": NOW, "updatedAt": NOW}
    ids = [f"f{n}" for n in range(12)]
    database["flows"].insert_many(
        [
            {"_id": flow_id, "botId": "shop", "name": flow_id, "nameFolded": flow_id, "revision": 1, **times}
            for flow_id in ids
        ]
    )
    database["flow_drafts"].insert_many(
        [new_draft(flow_id, "shop", {}, by="user", at=NOW, is_kept=True) for flow_id in ids]
    )
    about: dict[str, Any] = {"bot_id": "shop", "flow_id": "f0", "flow_data": {}, "by": "user", "at": NOW}
    entries = [version_document(version_id=f"e{n}", number=n, revision=n, **about) for n in range(1, 21)]
    live = entries[-1] | {"isProduction": True, "isDraft": False}
    database["flow_versions"].insert_many([*entries[:-1], live])
    database["bots"].insert_one({"_id": "shop", "userId": "shopkeeper", "name": "Shop"})


def _add_figures(store: Store) -> None:
    """Of our bot, a week of hours and a year of days; and some that are not folded yet."""
    database = store.database
    ours = {"owner": "bot", "scope": "b", "n": {"turns": 1}}
    for name, count, length in (("counter_hours", 168, 1), ("counter_days", 365, 24)):
        times = [TODAY - timedelta(hours=length * n) for n in range(count)]
        database[name].insert_many([{"_id": f"bot-{at}", "at": at, **ours} for at in times])
    pending = {"botId": "bot", "flowId": "flow", "versionId": "version", "n": {"turns": 1}}
    database["counters"].insert_many(
        [{"_id": f"pending-{n}", "at": TODAY - timedelta(minutes=5 * n), **pending} for n in range(3)]
    )


def _add_ours(store: Store) -> None:
    """Eight conversations of one bot, with five jobs, a session, two messages and a timer each."""
    database = store.database
    store.jobs.insert([new_job(f"{lane}-{n}", lane) for lane in LANES for n in range(5)], NOW)
    database["lanes"].insert_many(
        [{"_id": lane, "wakes": 1, "fence": 1, "dueAt": NOW - LONG_AGO - timedelta(days=9)} for lane in LANES]
    )
    _add_figures(store)
    base = {
        "botId": "bot",
        "runsFor": "bot",
        "updatedAt": NOW,
        "channel": "WHATSAPP",
        "isOpen": True,
        "isTest": False,
        "loops": [],
        "history": [],
        "turn": 1,
    }
    more = {"flowId": "flow", "flowVersionId": "version", "status": "PAUSED", "currentNodeId": "n", "rev": 1}
    rest = {"lastMessage": "", "lastReplyNodeId": None, "createdAt": NOW, "callStarts": 0}
    wait = {"kind": "TIME", "waitId": 1, "at": NOW, "state": "{}", "request": None}
    for name, lane in zip(OURS, LANES, strict=True):
        own = {"_id": f"s-{name}", "contactId": name, "lane": lane, "wait": wait, "resumeAt": NOW - LONG_AGO}
        database["sessions"].insert_one({**own, **base, **more, **rest})
        database["session_variables"].insert_one(
            {"sessionId": f"s-{name}", "variableName": "v", "variableValue": 1}
        )
        shown = {"createdAt": NOW, "nameFolded": name, "waId": f"49{name}", "botPausedAt": NOW}
        database["contacts"].insert_one({"_id": name, "botId": "bot", "aliases": [f"wa:our-{name}"], **shown})
        for seq in (1, 2):
            document = {
                "_id": f"m-{name}-{seq}", "sessionId": f"s-{name}", "lane": lane, "seq": seq, "rank": 20,
                "open": True, "attemptIds": [f"a-{name}-{seq}"], "phoneNumberId": "999", "direction": "OUT",
                "status": "SENDING", "messageContent": "hi", "nodeId": "n", "requestId": "r", "attempts": 1,
                "sentAt": NOW + SOON, "wamid": f"wamid.{name}.{seq}", "contactId": name, "botId": "bot",
                "createdAt": NOW,
            }  # fmt: skip
            database["messages"].insert_one(document)
    database["users"].insert_one({"_id": "user", "email": "ada@example.com"})
    database["bots"].insert_one({"_id": "bot", "userId": "user", "name": "Bot"})
    database["flows"].insert_one({"_id": "flow", "botId": "bot", "name": "Flow"})
    _add_flows(database)
    version = {"flowId": "flow", "versionNumber": 1, "isProduction": True, "flowData": {}}
    database["flow_versions"].insert_one({"_id": "version", **version})
    database["bot_variables"].insert_one({"botId": "bot", "variableName": "v", "variableValue": 1})
    account = {"botId": "bot", "phoneNumberId": "999", "phoneNumber": "999", "businessAccountId": "1"}
    database["whatsapp_accounts"].insert_one({"_id": "account", "accessToken": "x", **account})
    database["openai_accounts"].insert_one({"_id": "openai", "userId": "user", "apiKey": "x"})
    step = {"sessionId": "s-c0", "executedAt": NOW + SOON, "turn": 1, "place": 0, "nodeId": "n"}
    database["execution_logs"].insert_one({"_id": "x", **step})


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


def _count(store: Store) -> None:
    with store.database.client.start_session() as session, session.start_transaction():
        store.counters.write([(CountKey("bot"), {"n.turns": 1})], NOW, session)
    store.counters.settle()


def _fold(store: Store) -> None:
    assert store.counter_folds.fold(TODAY + timedelta(minutes=10)) == 3


def _due(store: Store) -> None:
    assert len(store.timers.due(500)) == 8


def _lanes_with_pending(store: Store) -> None:
    assert len(store.jobs.lanes_with_pending("decoy:0100", 10)) == 10


def _troubled(store: Store) -> None:
    both = [MessageStatus.FAILED, MessageStatus.UNKNOWN]
    store.transcripts.troubled("bot", both, since=None, until=None, limit=3)


@dataclass(frozen=True)
class Hot:
    """What to do, and the most index keys and documents that any one of its operations may look at."""

    run: Callable[[Store], object]
    keys: int
    documents: int


def _pages_of_contacts(store: Store) -> None:
    for filters in ({}, {"phone": "49c"}, {"name": "C"}, {"is_paused": True}):
        page = store.contact_records.page("bot", limit=4, cursor=None, **filters)
        assert page.next_cursor is not None, filters
        assert len(store.contact_records.page("bot", limit=4, cursor=page.next_cursor, **filters).items) == 4


def _delete(store: Store) -> None:
    """A contact, then their bot."""
    contact = store.contact_records.find("bot", "c0")
    assert contact is not None
    store.deletions.ask_for_contact(contact)
    assert store.deletions.ask_for_bot("bot")
    while (tombstone := store.deletions.claim(30)) is not None:
        sum(store.deletions.work(tombstone, lease_seconds=30, settle_seconds=0))


def _retain(store: Store) -> None:
    now = NOW + SOON * 2
    sent = [f"m-{name}-{seq}" for name in OURS for seq in (1, 2)]
    store.database["messages"].update_many({"_id": {"$in": sent}}, {"$unset": {"open": ""}})
    assert (
        sum(sum(each.values()) for each in store.retentions.apply({"_id": "bot"}, KeptDays(1, 1), now)) > 16
    )


def _pages_of_flows(store: Store) -> None:
    for sort in ("name", "updatedAt", "createdAt"):
        page = store.flows.page("shop", limit=5, cursor=None, sort=sort)
        assert page.next_cursor is not None
        page = store.flows.page("shop", limit=5, cursor=page.next_cursor, sort=sort)
        assert len(page.items) == 5
    assert len(store.flows.page("shop", limit=5, cursor=None, text="1").items) == 3


def _pages_of_versions(store: Store) -> None:
    for is_deployed in (None, False):
        page = store.flow_versions.page("shop", "f0", limit=5, cursor=None, is_deployed=is_deployed)
        assert page.next_cursor is not None
        page = store.flow_versions.page(
            "shop", "f0", limit=5, cursor=page.next_cursor, is_deployed=is_deployed
        )
        assert len(page.items) == 5


def _save_draft(store: Store) -> None:
    saved = store.flows.save_draft("shop", "f0", {"nodes": []}, revision=1, by="user", is_manual=True)
    assert saved.version_id is not None


def _deploy(revision: int) -> Deploy:
    return Deploy("new-version", "shop", "f0", {}, "user", revision, live_before="e20")


def _change_settings(store: Store) -> None:
    store.flow_settings.change(
        "shop", "f0", revision=1, by="user", settings=FlowSettings(), triggers=[Trigger("help")]
    )


OPENING = Opening("bot", "user", "flow", "491701234567")


def _record(store: Store) -> None:
    entry = audit_entry(
        action="flow.deployed", actor_id="user", actor_email="ada@example.com", target_type="flow", target_id="flow",
        bot_id="bot", ip="127.0.0.1", request_id="r", detail={},
    )  # fmt: skip
    store.audit.record(entry)


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
    "Jobs.lanes_with_controls": Hot(lambda s: s.jobs.lanes_with_controls(LANES), 9, 0),
    "Jobs.pending": Hot(lambda s: s.jobs.pending(LANES[0], 20), 6, 5),
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
    "StandIns.find": Hot(lambda s: s.stand_ins.find("bot", "flow", "node"), 1, 1),
    "StandIns.of_flow": Hot(lambda s: s.stand_ins.of_flow("bot", "flow"), 2, 1),
    "StandIns.put": Hot(lambda s: s.stand_ins.put("bot", "flow", StandIn("n", "CHAT", {"text": ""})), 1, 1),
    "StandIns.delete": Hot(lambda s: s.stand_ins.delete("bot", "flow", "node"), 1, 1),
    "StandIns.from_log": Hot(lambda s: s.stand_ins.from_log("s-c0"), 2, 1),
    "Live.conversation": Hot(lambda s: s.live.conversation("c0", after=0), 2, 1),
    "Live.session": Hot(lambda s: s.live.session("s-c0", after=0), 2, 1),
    "TestConversations.open": Hot(lambda s: s.test_conversations.open(OPENING, "Ada"), 1, 1),
    "TestConversations.find": Hot(lambda s: s.test_conversations.find("bot", "c0"), 1, 1),
    "TestConversations.page": Hot(
        lambda s: s.test_conversations.page("bot-1", "f", limit=20, cursor=None), 21, 21
    ),
    "TestVersions.draft_revision": Hot(lambda s: s.test_versions.draft_revision("bot", "flow"), 1, 1),
    "TestVersions.keep": Hot(lambda s: s.test_versions.keep("flow", 1, "bot", {}), 1, 1),
    "TestVersions.use": Hot(lambda s: s.test_versions.use("draft:flow:1"), 1, 1),
    "TestVersions.use_of": Hot(lambda s: s.test_versions.use_of("c0"), 2, 1),
    "TestVersions.find": Hot(lambda s: s.test_versions.find("draft:flow:1"), 1, 1),
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
    "Flows.find": Hot(lambda s: s.flows.find("shop", "f0"), 1, 1),
    "Flows.of_bot": Hot(lambda s: s.flows.of_bot("shop"), 13, 12),
    "Flows.page": Hot(_pages_of_flows, 13, 12),
    "Flows.draft": Hot(lambda s: s.flows.draft("shop", "f0"), 1, 1),
    "Flows.drafts_of": Hot(lambda s: s.flows.drafts_of("shop", after="f0", limit=5), 7, 6),
    "Flows.save_draft": Hot(_save_draft, 2, 1),
    "Flows.describe": Hot(lambda s: s.flows.describe("shop", "f0", revision=1, by="user", name="New"), 2, 1),
    "Flows.create": Hot(lambda s: s.flows.create("shop", "New", flow_id="new", by="user"), 14, 13),
    "Flows.free_name": Hot(lambda s: s.flows.free_name("shop", "f0"), 13, 12),
    "Flows.emails": Hot(lambda s: s.flows.emails(["user", "decoy-1"]), 5, 2),
    "Flows.open_sessions": Hot(lambda s: list(s.flows.open_sessions("shop", "f0")), 30, 8),
    "FlowVersions.page": Hot(_pages_of_versions, 9, 7),
    "FlowVersions.find": Hot(lambda s: s.flow_versions.find("shop", "f0", "e2"), 1, 1),
    "FlowVersions.live": Hot(lambda s: s.flow_versions.live(["f0", "decoy-1"]), 5, 2),
    "FlowVersions.live_one": Hot(lambda s: s.flow_versions.live_one("shop", "f0"), 2, 1),
    "FlowVersions.set_note": Hot(lambda s: s.flow_versions.set_note("shop", "f0", "e2", "n"), 1, 1),
    "Users.of_token": Hot(lambda s: s.users.of_token("user", "token", 0), 1, 1),
    "Users.revoke": Hot(lambda s: s.users.revoke("token", NOW), 1, 1),
    "Users.revoke_all": Hot(lambda s: s.users.revoke_all("user"), 1, 1),
    "Users.logged_in": Hot(lambda s: s.users.logged_in("user"), 1, 1),
    "Users.create": Hot(lambda s: s.users.create("user-new", "new@example.com", "hash"), 1, 1),
    "Users.set_password": Hot(lambda s: s.users.set_password("user", "old", "new"), 1, 1),
    "Audit.record": Hot(_record, 0, 0),
    "Audit.page": Hot(lambda s: s.audit.page(limit=25, cursor=None, bot_id="decoy-1"), 27, 26),
    "Idempotency.begin": Hot(lambda s: s.idempotency.begin("key", "print", "id"), 1, 1),
    "Idempotency.finish": Hot(lambda s: s.idempotency.finish("key", 201, "{}"), 1, 1),
    "Idempotency.forget": Hot(lambda s: s.idempotency.forget("key"), 1, 1),
    "Idempotency.let_repeat": Hot(lambda s: s.idempotency.let_repeat("key"), 1, 1),
    "Users.by_email": Hot(lambda s: s.users.by_email("ada@example.com"), 1, 1),
    "WhatsAppAccounts.find": Hot(lambda s: s.whatsapp_accounts.find("bot"), 1, 1),
    "WhatsAppAccounts.heard": Hot(lambda s: s.whatsapp_accounts.heard({"999": NOW}), 1, 1),
    "OpenAIAccounts.find": Hot(lambda s: s.openai_accounts.find("user"), 1, 1),
    "ExecutionLogs.steps": Hot(lambda s: s.execution_logs.steps("s-c0"), 2, 1),
    "ExecutionLogs.page": Hot(lambda s: s.execution_logs.page("s-c0", limit=20, cursor="0.5"), 2, 1),
    "ExecutionLogs.turn": Hot(lambda s: s.execution_logs.turn("s-c0", 1), 2, 1),
    "ExecutionLogs.ways": Hot(
        lambda s: s.execution_logs.ways("s-c0", until_turn=1, most=10, most_characters=99), 2, 1
    ),
    "ExecutionLogs.beginnings": Hot(
        lambda s: s.execution_logs.beginnings("s-c0", after_turn=0, most=10), 3, 1
    ),
    "ExecutionLogs.between": Hot(lambda s: s.execution_logs.between("s-c0", 1, 2, most=10), 2, 1),
    "ExecutionLogs.of_types": Hot(
        lambda s: s.execution_logs.of_types("s-c0", ["API"], after=None, most=10), 2, 1
    ),
    "ExecutionLogs.answers": Hot(
        lambda s: s.execution_logs.answers("s-c0", ["n"], after_turn=0, most=10), 3, 1
    ),
    "ExecutionLogs.last_step": Hot(lambda s: s.execution_logs.last_step("s-c0"), 1, 1),
    "ExecutionLogs.last_heard": Hot(lambda s: s.execution_logs.last_heard("s-c0", 5), 3, 1),
    # Two kinds of conversation times five statuses are merged: some keys each, and the page's documents.
    "SessionHistory.page": Hot(lambda s: s.session_history.page("bot", SessionFilters(), limit=4), 25, 5),
    "SessionHistory.find": Hot(lambda s: s.session_history.find("bot", "s-c0"), 1, 1),
    "SessionHistory.variables": Hot(lambda s: s.session_history.variables("s-c0"), 2, 1),
    "SessionHistory.bot_variables": Hot(lambda s: s.session_history.bot_variables("bot"), 2, 1),
    "SessionHistory.contact": Hot(lambda s: s.session_history.contact("bot", "c0"), 1, 1),
    "SessionHistory.version": Hot(lambda s: s.session_history.version("version"), 1, 1),
    "SessionHistory.flow_name": Hot(lambda s: s.session_history.flow_name("bot", "flow"), 1, 1),
    "Transcripts.find": Hot(lambda s: s.transcripts.find("bot", "m-c0-1"), 1, 1),
    "Transcripts.of_session": Hot(lambda s: s.transcripts.of_session(OUR_SESSION, limit=20), 3, 2),
    "Transcripts.of_contact": Hot(lambda s: s.transcripts.of_contact("bot", "c0", limit=20), 3, 2),
    "Transcripts.between": Hot(lambda s: s.transcripts.between(OUR_SESSION, NOW, None, most=20), 3, 2),
    "Transcripts.troubled": Hot(_troubled, 4, 3),
    "Deliveries.count": Hot(
        lambda s: s.deliveries.count([News(MessageRef.ATTEMPT, f"a-{n}-1") for n in OURS]), 17, 8
    ),
    "Deliveries.sweep": Hot(lambda s: s.deliveries.sweep(NOW, NOW + SOON / 2), 1, 0),
    "Counters.write": Hot(_count, 1, 1),
    "Counters.settle": Hot(_count, 1, 1),
    "CounterFolds.fold": Hot(_fold, 6, 3),
    "Deployments.deploy": Hot(lambda s: s.deployments.deploy(_deploy(1)), 3, 2),
    "Deployments.roll_back": Hot(
        lambda s: s.deployments.roll_back(_deploy(1), {"_id": "e20", "versionNumber": 20}), 3, 2
    ),
    "Deployments.undeploy": Hot(lambda s: s.deployments.undeploy("shop", "f0", by="user"), 3, 2),
    "Deployments.live": Hot(lambda s: s.deployments.live("f0"), 1, 1),
    "Deployments.previous": Hot(lambda s: s.deployments.previous("f0", 21), 1, 1),
    "Deployments.deployed": Hot(lambda s: s.deployments.deployed("f0", "e20"), 1, 1),
    # of conversations, only the index is read
    "Deployments.standing": Hot(lambda s: s.deployments.standing("bot"), 9, 0),
    "Deployments.figures": Hot(lambda s: s.deployments.figures("f0", ["e20", "decoy-1"]), 5, 2),
    "Deployments.flow_data": Hot(lambda s: s.deployments.flow_data(["e20", "version"]), 5, 2),
    "Deployments.lock": Hot(
        lambda s: s.deployments.lock("shop", "f0", reason="x", by="user", until=None), 1, 1
    ),
    "Deployments.unlock": Hot(lambda s: s.deployments.unlock("shop", None), 1, 1),
    "SettingsOfFlows.change": Hot(_change_settings, 13, 12),
    "SettingsOfFlows.set_default": Hot(lambda s: s.flow_settings.set_default("shop", "f0"), 1, 1),
    "Analytics.totals": Hot(lambda s: s.analytics.totals(of_bot("bot"), MONTH), 33, 31),
    "Analytics.series": Hot(lambda s: s.analytics.series(of_bot("bot"), DAY, Bucket.HOUR), 26, 25),
    "Analytics.active": Hot(lambda s: s.analytics.active(["bot", "bot-1"]), 11, 0),
    "Analytics.active_in": Hot(lambda s: s.analytics.active_in("bot", ["version"]), 9, 0),
    "Analytics.standing": Hot(lambda s: s.analytics.standing("bot", "version", DAY, NOW), 9, 0),
    "Overview.bots_of": Hot(lambda s: s.overview.bots_of("user"), 1, 1),
    "Overview.count_flows": Hot(lambda s: s.overview.count_flows(["bot", "decoy-1"]), 8, 0),
    "Overview.flow_names": Hot(lambda s: s.overview.flow_names(["flow", "decoy-1"]), 5, 2),
    "Overview.deployed_versions": Hot(lambda s: s.overview.deployed_versions("f0"), 2, 1),
    "Overview.users": Hot(lambda s: s.overview.users(limit=25, cursor=None, email="decoy77"), 30, 30),
    "Overview.bots": Hot(lambda s: s.overview.bots(limit=25, cursor=None, owner_email=None), 160, 30),
    "Heartbeats.beat": Hot(lambda s: s.heartbeats.beat("w", "worker", {}), 1, 1),
    "Lanes.seize": Hot(lambda s: s.lanes.seize(LANES, "a", 30), 17, 8),
    "Lanes.remove": Hot(lambda s: s.lanes.remove(LEASES), 1, 1),
    "BotRecords.find": Hot(lambda s: s.bot_records.find("bot", owner_id="user"), 1, 1),
    "BotRecords.page": Hot(lambda s: s.bot_records.page("user", limit=25, cursor=None), 2, 1),
    "BotRecords.create": Hot(lambda s: s.bot_records.create("new-bot", "user", "New", ""), 0, 0),
    "BotRecords.change": Hot(lambda s: s.bot_records.change("bot", "user", revision=1, name="x"), 1, 1),
    "BotRecords.overviews": Hot(lambda s: s.bot_records.overviews(["bot", "shop"]), 30, 13),
    "BotVariables.page": Hot(lambda s: s.bot_variables.page("bot", limit=25, cursor=None, prefix="v"), 2, 1),
    "BotVariables.of_bot": Hot(lambda s: s.bot_variables.of_bot("bot"), 2, 1),
    "BotVariables.find": Hot(lambda s: s.bot_variables.find("bot", "v"), 1, 1),
    "BotVariables.put": Hot(
        lambda s: s.bot_variables.put("bot", "new", 1, VariableType.NUMBER, by="user", new_id="x"), 2, 1
    ),
    "BotVariables.delete": Hot(lambda s: s.bot_variables.delete("bot", "v"), 1, 1),
    "BotCopies.take_apart": Hot(
        lambda s: s.bot_copies.take_apart({"_id": "shop", "name": "x"}, most_bytes=2**23), 25, 12
    ),
    "ContactRecords.find": Hot(lambda s: s.contact_records.find("bot", "c0"), 1, 1),
    "ContactRecords.page": Hot(_pages_of_contacts, 9, 8),
    "ContactRecords.sessions": Hot(lambda s: list(s.contact_records.sessions("bot", "c0")), 2, 1),
    "ContactRecords.messages": Hot(lambda s: list(s.contact_records.messages("bot", "c0")), 3, 2),
    "ContactRecords.variables": Hot(lambda s: list(s.contact_records.variables("s-c0")), 2, 1),
    "ContactRecords.steps": Hot(lambda s: list(s.contact_records.steps("s-c0")), 2, 1),
    # all of it: eight conversations and what hangs on each, and a year of figures
    "Deletions.work": Hot(_delete, 370, 365),
    "Deletions.claim": Hot(lambda s: s.deletions.claim(30), 1, 1),
    "Retentions.claim": Hot(lambda s: s.retentions.claim(30), 1, 1),
    "Retentions.apply": Hot(_retain, 58, 36),
}
RARE = {
    "BotCopies.make": "a person's click; writes by _id",
    "CounterFolds.fold_bot": "with a bot's deletion, by its id",
    "Deletions.ask_for_bot": "a person's click, by _id",
    "Deletions.ask_for_contact": "a person's click, by _id",
    "Deletions.remind": "a job of a deleted bot, by _id",
    "Deletions.begin_making": "a person's click, by _id; finds nothing by botId",
    "Deletions.made": "a person's click, by _id",
    "Deletions.let_go": "a person's click, by _id",
    "Deletions.pending": "an operator's command",
    "Retentions.renew": "in the background, by _id",
    "Retentions.finish": "in the background, by _id",
    "Retentions.bots": "an operator's command; reads the index of bots with times of their own",
    "Retentions.leftovers": "once an hour; reads the indexes of what is put aside and of testers",
    "Flows.delete": "a person's click; finds everything by the flow's id",
    "Flows.forget_history": "after a person's click; finds it by the flow's id",
    "Flows.ensure_draft": "seeding",
    "Counters.pending": "tests",
    "Deliveries.sweep_due": "each message a few times in its life, in the background",
    "Overview.counts": "an administrator's look; counts that read no documents",
    "QueueState.look": "an administrator's look, and the metrics; each part stops at ten thousand",
    "QueueState.heartbeats": "reads a handful of documents, all there are",
    "Bots.connected": "an operator's command",
    "Jobs.oldest_pending_at": "an operator's command",
    "Jobs.requeue": "an operator's command",
    "Jobs.route": "an operator's command",
    "Jobs.drop": "an operator's command",
    "Jobs.count_dead": "an operator's command; reads the index of dead jobs only",
    "Heartbeats.seconds_since": "reads a handful of documents, all there are",
    "Heartbeats.stop": "once a process, by _id",
    "WhatsAppAccounts.save": "a person's click; by botId and _id",
    "WhatsAppAccounts.disconnect": "a person's click; by botId",
    "WhatsAppAccounts.checked": "a person's click; by _id",
    "OpenAIAccounts.save": "a person's click; by _id, and the user's bots",
    "OpenAIAccounts.checked": "a person's click; by _id",
    "OpenAIAccounts.delete": "a person's click; by userId",
    "EncryptedRecords.each": "an operator's command; reads every secret, at most two a bot",
    "EncryptedRecords.find": "an operator's command; by _id",
    "EncryptedRecords.replace": "an operator's command; by _id",
    "Bots.ensure_bot": "seeding",
    "Bots.ensure_variable": "seeding",
    "Bots.ensure_flow": "seeding",
    "Bots.ensure_account": "seeding",
    "Bots.ensure_openai": "seeding",
    "Bots.set_active_flow": "a person's click, by _id",
    "Bots.ensure_active_flow": "seeding, by _id",
    "Deployments.put_live": "seeding",
    "Users.ensure": "seeding",
    "Users.with_default_password": "once a start; users are few",
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
