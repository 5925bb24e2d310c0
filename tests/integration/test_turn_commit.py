"""Turns are written whole or not at all, and only by those who still hold the lane."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from pymongo.errors import PyMongoError

from common.model.contacts import Channel, Contact
from common.model.session import Session, SessionStatus
from common.store.sessions import StoredSession, session_document
from common.store.turns import Conflict, LeaseLost, TurnWrites
from tests.integration.store_setup import everything, new_job

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.store.lanes import Lease
    from common.store.store import Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LONG = 30.0


def hold_lanes(store: Store, count: int, lease_seconds: float = LONG) -> list[Lease]:
    """So many lanes, each with one job, all claimed."""
    names = [f"wa:c{n}" for n in range(count)]
    store.jobs.insert([new_job(f"job-{name}", name) for name in names], NOW)
    store.lanes.wake(names)
    leases, _ = store.lanes.claim("a", count, lease_seconds, 10)
    assert len(leases) == count
    return sorted(leases, key=lambda lease: lease.lane)


def turn_of(lease: Lease, *, rev_before: int = 0, job_id: str | None = None, **session: Any) -> TurnWrites:
    """A turn that writes to every collection there is."""
    contact_id = lease.lane.partition(":")[2]
    session_id = f"s-{contact_id}"
    state = Session(session_id, "bot-1", contact_id, "version-1", **{"node_id": "ask", "turn": 1, **session})
    stored = StoredSession(state, Channel.WHATSAPP, "flow-1", NOW, rev=rev_before)
    turn = rev_before + 1
    return TurnWrites(
        lease=lease,
        job_id=job_id or f"job-{lease.lane}",
        session=session_document(stored, NOW, None, lease.lane, resume_at=None),
        rev_before=rev_before,
        variables_set={"name": "Ada", "count": turn},
        variables_deleted=("gone",),
        messages=[{"_id": f"m-{session_id}-{turn}", "lane": lease.lane, "seq": turn, "open": True}],
        steps=[{"_id": f"x-{session_id}-{turn}", "sessionId": session_id}],
        contact=Contact(contact_id, "bot-1", (f"wa:{contact_id}",), message_seq=turn, last_inbound_at=NOW),
        outcome="turn",
    )


def count(store: Store) -> dict[str, int]:
    names = ("sessions", "session_variables", "messages", "execution_logs", "contacts")
    return {name: store.database[name].count_documents({}) for name in names}


def test_a_turn_writes_everything_at_once(store: Store) -> None:
    (lease,) = hold_lanes(store, 1, 5)
    due_before = store.database["lanes"].find_one({"_id": lease.lane}, {"dueAt": 1})
    store.turns.commit([turn_of(lease)], LONG, NOW)
    assert count(store) == {
        "sessions": 1, "session_variables": 2, "messages": 1, "execution_logs": 1, "contacts": 1
    }  # fmt: skip
    job = store.jobs.find(f"job-{lease.lane}")
    assert job is not None
    assert (job["state"], job["outcome"]) == ("DONE", "turn")
    (stored,) = store.sessions.load_open(["c0"], Channel.WHATSAPP).values()
    assert (stored.rev, stored.session.node_id, stored.session.turn) == (1, "ask", 1)
    assert stored.session.variables == {"name": "Ada", "count": 1}
    assert store.contacts.load(["c0"])["c0"].message_seq == 1
    due = store.database["lanes"].find_one({"_id": lease.lane}, {"dueAt": 1})
    assert due is not None
    assert due_before is not None
    assert due["dueAt"] > due_before["dueAt"]  # the commit renews the lease


def test_turns_follow_each_other(store: Store) -> None:
    (lease,) = hold_lanes(store, 1)
    store.jobs.insert([new_job("job-2", lease.lane), new_job("job-3", lease.lane)], NOW)
    store.turns.commit([turn_of(lease)], LONG, NOW)
    second = turn_of(lease, rev_before=1, job_id="job-2", node_id="next")
    second.variables_set, second.variables_deleted = {"count": 2}, ("name",)
    assert second.contact is not None
    second.contact.last_inbound_at = NOW - timedelta(hours=1)
    store.turns.commit([second], LONG, NOW)
    (stored,) = store.sessions.load_open(["c0"], Channel.WHATSAPP).values()
    assert (stored.rev, stored.session.node_id, stored.session.variables) == (2, "next", {"count": 2})
    assert store.contacts.load(["c0"])["c0"].last_inbound_at == NOW  # it only ever grows
    closing = turn_of(lease, rev_before=2, job_id="job-3", status=SessionStatus.CLOSED)
    closing.clears_variables = True
    store.turns.commit([closing], LONG, NOW)
    assert store.sessions.load_open(["c0"], Channel.WHATSAPP) == {}
    assert count(store)["session_variables"] == 0
    assert count(store)["messages"] == 3


def test_an_answer_to_a_call_needs_no_job(store: Store) -> None:
    (lease,) = hold_lanes(store, 1)
    turn = turn_of(lease)
    turn.job_id = None
    store.turns.commit([turn], LONG, NOW)
    job = store.jobs.find(f"job-{lease.lane}")
    assert job is not None
    assert job["state"] == "PENDING"
    store.turns.commit([], LONG, NOW)


def test_what_is_only_recorded_needs_no_session(store: Store) -> None:
    (lease,) = hold_lanes(store, 1)
    turn = turn_of(lease)
    turn.session, turn.outcome = None, None
    store.turns.commit([turn], LONG, NOW)
    assert count(store) == {
        "sessions": 0, "session_variables": 0, "messages": 1, "execution_logs": 1, "contacts": 1
    }  # fmt: skip


def lose_to_another(store: Store, lease: Lease) -> TurnWrites:
    store.lanes.hold([lease], 0)
    while not store.lanes.claim("b", 1, LONG, 1)[0]:
        pass
    return turn_of(lease)


def lose_by_release(store: Store, lease: Lease) -> TurnWrites:
    store.lanes.release([lease])
    return turn_of(lease)


def finish_job_before(store: Store, lease: Lease) -> TurnWrites:
    store.jobs.finish([f"job-{lease.lane}"])
    return turn_of(lease)


def kill_job_before(store: Store, lease: Lease) -> TurnWrites:
    store.jobs.fail(f"job-{lease.lane}", "x", max_attempts=0)
    return turn_of(lease)


def move_session_on(store: Store, lease: Lease) -> TurnWrites:
    store.jobs.insert([new_job("earlier", lease.lane)], NOW)
    store.turns.commit([turn_of(lease, job_id="earlier")], LONG, NOW)
    return turn_of(lease, rev_before=7)


def open_session_elsewhere(store: Store, lease: Lease) -> TurnWrites:
    store.jobs.insert([new_job("earlier", lease.lane)], NOW)
    other = turn_of(lease, job_id="earlier")
    assert other.session is not None
    other.session["_id"] = "another-session"
    store.turns.commit([other], LONG, NOW)
    return turn_of(lease)


def hold_a_surrogate(_store: Store, lease: Lease) -> TurnWrites:
    turn = turn_of(lease)
    turn.variables_set = {"name": "\ud800"}
    return turn


def hold_too_much(_store: Store, lease: Lease) -> TurnWrites:
    turn = turn_of(lease)
    turn.steps.append({"_id": "big", "detail": "x" * 17 * 1024 * 1024})
    return turn


def repeat_a_message(_store: Store, lease: Lease) -> TurnWrites:
    turn = turn_of(lease)
    turn.messages *= 2
    return turn


def share_an_alias(store: Store, lease: Lease) -> TurnWrites:
    store.database["contacts"].insert_one({"_id": "somebody", "botId": "bot-1", "aliases": ["wa:4917"]})
    turn = turn_of(lease)
    assert turn.contact is not None
    turn.contact = replace(turn.contact, aliases=("bsuid:US.1", "wa:4917"))
    return turn


BAD_TURNS: list[tuple[Callable[[Store, Lease], TurnWrites], tuple[type[Exception], ...]]] = [
    (lose_to_another, (LeaseLost,)),
    (lose_by_release, (LeaseLost,)),
    (finish_job_before, (Conflict,)),
    (kill_job_before, (Conflict,)),
    (move_session_on, (Conflict,)),
    (open_session_elsewhere, (PyMongoError,)),
    (hold_a_surrogate, (UnicodeError,)),
    (hold_too_much, (Exception,)),
    (repeat_a_message, (PyMongoError,)),
    (share_an_alias, (PyMongoError,)),
]


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize(("spoil", "errors"), BAD_TURNS, ids=[spoil.__name__ for spoil, _ in BAD_TURNS])
def test_one_bad_turn_of_three_and_nothing_is_written(
    store: Store,
    spoil: Callable[[Store, Lease], TurnWrites],
    errors: tuple[type[Exception], ...],
    place: int,
) -> None:
    leases = hold_lanes(store, 3)
    turns = [spoil(store, lease) if n == place else turn_of(lease) for n, lease in enumerate(leases)]
    before = everything(store.database)
    with pytest.raises(errors):
        store.turns.commit(turns, LONG, NOW)
    assert everything(store.database) == before
    good = [turn for n, turn in enumerate(turns) if n != place]
    store.turns.commit(good, LONG, NOW)  # one by one, or without the bad one, the others go through
    assert count(store)["sessions"] >= 2


def test_of_two_holders_at_once_one_writes(store: Store) -> None:
    """The old one wakes up while the new one commits, again and again."""
    for n in range(10):
        name = f"wa:r{n}"
        store.jobs.insert([new_job(f"job-{name}", name)], NOW)
        store.lanes.wake([name])
        (old,) = store.lanes.claim("old", 1, 0, 1)[0]
        new: list[Lease] = []
        while not new:
            new = store.lanes.claim("new", 1, LONG, 1)[0]

        def commit(lease: Lease) -> str:
            turn = turn_of(lease)
            turn.outcome = f"fence {lease.fence}"
            try:
                store.turns.commit([turn], LONG, NOW)
            except LeaseLost:
                return "lost"
            return "written"

        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(commit, [old, new[0]])) == ["lost", "written"]
        job = store.jobs.find(f"job-{name}")
        assert job is not None
        assert job["outcome"] == "fence 2"


def test_the_same_turn_twice_is_written_once(store: Store) -> None:
    """A commit whose answer was lost is repeated by whoever does not know."""
    (lease,) = hold_lanes(store, 1)
    store.turns.commit([turn_of(lease)], LONG, NOW)
    before = {name: rows for name, rows in everything(store.database).items() if name != "lanes"}
    with pytest.raises(Conflict):
        store.turns.commit([turn_of(lease)], LONG, NOW)
    assert {name: rows for name, rows in everything(store.database).items() if name != "lanes"} == before


def test_a_call_begins_only_where_the_session_stands_still(store: Store) -> None:
    (lease,) = hold_lanes(store, 1)
    store.turns.commit([turn_of(lease)], LONG, NOW)
    assert store.sessions.begin_call("s-c0", 1)
    assert not store.sessions.begin_call("s-c0", 2)
    assert not store.sessions.begin_call("unknown", 1)
    (stored,) = store.sessions.load_open(["c0"], Channel.WHATSAPP).values()
    assert stored.call_starts == 1
