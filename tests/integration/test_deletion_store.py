"""Deletions step by step, without processes: who may write when, and what a step that was cut off leaves behind."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from common.clock import utc_now
from common.model.contacts import Channel, Contact, alias_of_number, contact_id_for, lane_for
from common.store.contacts import upsert_contact
from common.store.deletions import DeletionLost, Tombstone
from common.store.lanes import Lease
from tests.integration.store_setup import new_job
from tests.support.remains import remains

if TYPE_CHECKING:
    from common.store.store import Store

BOT = "bot-1"
ALIAS, OTHER_ALIAS = alias_of_number("4917011"), "bsuid:AT.1"
CONTACT = contact_id_for(BOT, ALIAS)
LANE = lane_for(Channel.WHATSAPP, CONTACT)
OTHER_LANE = lane_for(Channel.WHATSAPP, contact_id_for(BOT, OTHER_ALIAS))
LEASE_SECONDS = 30.0


@pytest.fixture(autouse=True)
def _contact(store: Store) -> None:
    contact = Contact(CONTACT, BOT, (ALIAS, OTHER_ALIAS), wa_id="4917011")
    store.database["contacts"].bulk_write([upsert_contact(contact)])
    add_session(store, "s-1")


def add_session(store: Store, session_id: str, bot_id: str = BOT) -> None:
    now = utc_now()
    session = {"_id": session_id, "botId": bot_id, "contactId": CONTACT, "channel": "WHATSAPP", "lane": LANE,
               "isOpen": False, "createdAt": now, "rev": 1}  # fmt: skip
    store.database["sessions"].insert_one(session)
    for name in ("session_variables", "execution_logs", "messages"):
        store.database[name].insert_one(
            {"_id": f"{name}-{session_id}", "sessionId": session_id, "contactId": CONTACT, "botId": bot_id, "seq": 1,
             "turn": session_id, "variableName": "v", "createdAt": now}
        )  # fmt: skip


def ask(store: Store) -> Tombstone:
    contact = store.contact_records.find(BOT, CONTACT)
    assert contact is not None
    return claimed(store, store.deletions.ask_for_contact(contact))


def claimed(store: Store, tombstone_id: str | None = None) -> Tombstone:
    tombstone = store.deletions.claim(LEASE_SECONDS, tombstone_id)
    assert tombstone is not None
    return tombstone


def work(store: Store, tombstone: Tombstone, settle_seconds: float = 0.0) -> Any:
    return store.deletions.work(tombstone, lease_seconds=LEASE_SECONDS, settle_seconds=settle_seconds)


def claim_lanes(store: Store) -> list[Lease]:
    return store.lanes.claim("worker", 10, LEASE_SECONDS, 10)[0]


def test_whoever_holds_the_lane_loses_it_and_nobody_gets_it_until_all_is_gone(store: Store) -> None:
    store.lanes.wake([LANE])
    (lease,) = claim_lanes(store)
    steps = work(store, ask(store))
    next(steps)
    assert store.lanes.hold([lease], LEASE_SECONDS) == 0
    store.jobs.insert([new_job("later", LANE)], utc_now())
    store.lanes.wake([LANE])
    assert claim_lanes(store) == [], "the new message waits"
    assert sum(steps) > 0
    (lease,) = claim_lanes(store)
    assert [job["_id"] for job in lease.jobs] == ["later"], "and begins a new contact"
    assert store.database["contacts"].find_one() is None
    assert store.deletions.pending() == 0


def test_a_lane_that_nobody_woke_goes(store: Store) -> None:
    store.lanes.wake([LANE])
    assert sum(work(store, ask(store))) == 5
    assert remains(store.database, [CONTACT]) == {}


def test_messages_accepted_before_are_deleted_in_whatever_lane_they_wait(store: Store) -> None:
    store.jobs.insert([new_job("a", LANE), new_job("b", OTHER_LANE), new_job("c", "wa:somebody")], utc_now())
    store.lanes.wake([LANE, OTHER_LANE, "wa:somebody"])
    sum(work(store, ask(store)))
    assert [job["_id"] for job in store.database["jobs"].find()] == ["c"]
    assert [lane["_id"] for lane in store.database["lanes"].find()] == ["wa:somebody"]


def test_what_was_said_after_a_broken_deletion_began_stays(store: Store) -> None:
    """The first attempt died at once; before the second one the person wrote again."""
    steps = work(store, ask(store))
    next(steps)
    steps.close()
    add_session(store, "s-2")
    store.database["lanes"].update_one(
        {"_id": LANE}, {"$set": {"owner": None, "claim": None, "dueAt": utc_now()}}
    )
    store.database["deletions"].update_one({}, {"$set": {"dueAt": utc_now()}})
    sum(work(store, claimed(store)))
    assert [session["_id"] for session in store.database["sessions"].find()] == ["s-2"]
    assert store.database["messages"].count_documents({"sessionId": "s-2"}) == 1
    assert store.database["messages"].count_documents({"sessionId": "s-1"}) == 0
    contact = store.contact_records.find(BOT, CONTACT)
    assert contact is not None, "its messages are numbered on"


def test_a_turn_between_the_wish_and_the_deletion_is_deleted_with_the_rest(store: Store) -> None:
    """The lane's holder committed once more before it lost the lane."""
    tombstone = ask(store)
    time.sleep(0.01)  # a later millisecond
    store.jobs.insert([new_job("late", LANE)], utc_now())
    add_session(store, "s-2")
    store.jobs.finish(["late"])
    time.sleep(0.01)
    sum(work(store, tombstone))
    assert remains(store.database, [CONTACT, LANE]) == {}
    assert store.database["contacts"].find_one() is None


def test_deleting_a_contact_again_forgets_when_the_lanes_were_taken_at_first(store: Store) -> None:
    steps = work(store, ask(store))
    next(steps)
    steps.close()
    time.sleep(0.01)
    add_session(store, "s-2")
    time.sleep(0.01)
    sum(work(store, ask(store)))
    assert remains(store.database, [CONTACT]) == {}


def test_two_never_work_on_one_deletion(store: Store) -> None:
    first = ask(store)
    assert store.deletions.claim(LEASE_SECONDS) is None
    store.database["deletions"].update_one({}, {"$set": {"dueAt": utc_now()}})  # its lease ends
    second = claimed(store)
    with pytest.raises(DeletionLost):
        sum(work(store, first))
    sum(work(store, second))
    assert store.deletions.pending() == 0


def delete_bot(store: Store) -> None:
    store.database["bots"].insert_one({"_id": BOT, "userId": "u", "name": "Bot"})
    assert store.deletions.ask_for_bot(BOT) is True


def test_a_bot_takes_two_passes_and_the_second_one_finds_what_came_in_between(store: Store) -> None:
    delete_bot(store)
    assert store.deletions.ask_for_bot(BOT) is False
    sum(work(store, claimed(store)))
    assert remains(store.database, [CONTACT]) == {}
    # A web process and a worker that had not heard of it yet.
    store.database["bot_variables"].insert_one({"_id": "v", "botId": BOT, "variableName": "v"})
    add_session(store, "s-2")
    assert store.deletions.pending() == 1
    sum(work(store, claimed(store)))
    assert store.deletions.pending() == 0
    assert remains(store.database, [BOT, CONTACT]) == {}


def test_the_second_pass_waits_until_nobody_can_be_left(store: Store) -> None:
    delete_bot(store)
    sum(work(store, claimed(store), settle_seconds=60))
    assert store.deletions.claim(LEASE_SECONDS) is None
    assert store.deletions.pending() == 1


def test_what_turns_up_during_the_last_pass_is_looked_for_again(store: Store) -> None:
    delete_bot(store)
    sum(work(store, claimed(store)))
    add_session(store, "s-2")
    steps = work(store, claimed(store))
    next(steps)
    store.deletions.remind(BOT)
    sum(steps)
    assert store.deletions.pending() == 1
    sum(work(store, claimed(store)))
    assert store.deletions.pending() == 0


def test_a_reminder_never_deletes_a_bot_that_is_there(store: Store) -> None:
    store.database["bots"].insert_one({"_id": BOT, "userId": "u", "name": "Bot"})
    store.deletions.remind(BOT)
    assert sum(work(store, claimed(store))) == 0
    assert store.database["sessions"].count_documents({}) == 1
    assert store.deletions.pending() == 0


def test_a_turn_on_a_session_that_is_being_deleted_fits_no_longer(store: Store) -> None:
    """Whatever it computed, its commit asks for the session as it was."""
    store.database["sessions"].update_one({"_id": "s-1"}, {"$set": {"isOpen": True, "resumeAt": utc_now()}})
    store.lanes.wake([LANE])
    (lease,) = claim_lanes(store)
    delete_bot(store)
    steps = work(store, claimed(store))
    next(steps)
    assert store.lanes.hold([lease], LEASE_SECONDS) == 0
    session = store.database["sessions"].find_one({"_id": "s-1"})
    assert session is not None, "its log goes first"
    assert (session["rev"], session["isOpen"], "resumeAt" in session) == (2, False, False)
    assert store.sessions.begin_call("s-1", 1) is False
