"""The life of a message that we send: forward only, in whatever order the news come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any

import pytest

from common.model.outbox import STATUS_BY_NAME, MessageStatus, StatusUpdate
from common.model.turn_records import OutboundMessage, ReplyButton
from common.store.marks import (
    Mark,
    mark_accepted,
    mark_failed,
    mark_requeued,
    mark_sending,
    mark_unknown,
)
from common.store.messages import outbound_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.store.store import Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NUMBER = "999"
ERROR = {"code": 131049, "message": "$wamid"}
TIMES = {name: NOW + timedelta(seconds=n) for n, name in enumerate(STATUS_BY_NAME)}


def add_message(store: Store, message_id: str = "m1", lane: str = "wa:1", seq: int = 1) -> None:
    document = outbound_document(
        message_id=message_id, session_id="s1", lane=lane, bot_id="b1", contact_id="c1", seq=seq,
        message=OutboundMessage("node", "hi", (ReplyButton("id", "Yes"),)), phone_number_id=NUMBER,
        request_id="r1", is_open=True, now=NOW,
    )  # fmt: skip
    store.database["messages"].insert_one(document)


def update(name: str, message_id: str = "m1", *, by: str = "attempt", number: str = NUMBER) -> StatusUpdate:
    return StatusUpdate(
        phone_number_id=number,
        wamid=f"wamid.{message_id}",
        status=name,
        attempt_id=f"attempt-{message_id}" if by == "attempt" else None,
        at=TIMES.get(name),
        error=ERROR if name == "failed" else None,
    )


def message(store: Store, message_id: str = "m1") -> dict[str, Any]:
    document = store.database["messages"].find_one({"_id": message_id})
    assert document is not None
    return document


def state_of(store: Store, message_id: str = "m1") -> str:
    return str(message(store, message_id)["status"])


def sending(message_id: str = "m1") -> Mark:
    return mark_sending(message_id, f"attempt-{message_id}", NOW)


def news(store: Store, message_id: str, name: str, by: str) -> None:
    if name == "ACCEPTED":
        assert store.messages.write([mark_accepted(message_id, f"wamid.{message_id}")]) == 1
    else:
        store.messages.apply_statuses([update(name, message_id, by=by)])


STATUSES = ("sent", "delivered", "read", "failed")
SETS = [names for size in (1, 2, 3, 4) for names in combinations(STATUSES, size)]


@pytest.mark.parametrize("names", SETS, ids="+".join)
def test_any_order_of_the_news_ends_in_the_same_state(store: Store, names: Sequence[str]) -> None:
    """Each order of these statuses, with the answer to the POST before, between and after them."""
    orders = list(permutations(("ACCEPTED", *names)))
    ids = [f"m{n}" for n in range(len(orders))]
    for n, message_id in enumerate(ids):
        add_message(store, message_id, seq=n)
    store.messages.write([sending(message_id) for message_id in ids])
    for message_id, order in zip(ids, orders, strict=True):
        for name in order:
            news(store, message_id, name, "attempt")
    finals = []
    for message_id in ids:
        final = message(store, message_id)
        assert final.pop("wamid") == f"wamid.{message_id}"
        for own in ("_id", "attemptIds", "seq", "acceptedAt"):
            final.pop(own)
        finals.append(final)
    assert all(final == finals[0] for final in finals)
    highest = max((STATUS_BY_NAME[name] for name in names), key=lambda status: status.rank)
    assert (finals[0]["status"], finals[0]["rank"]) == (highest.value, highest.rank)
    assert finals[0].get("error") == (ERROR if highest is MessageStatus.FAILED else None)
    assert finals[0]["reachedAt"] == {STATUS_BY_NAME[name].value: TIMES[name] for name in names}
    assert finals[0]["sentAt"] == NOW  # its place in the transcript
    assert "open" not in finals[0]


def test_in_one_batch_it_is_the_same(store: Store) -> None:
    orders = list(permutations(STATUSES))
    for n in range(len(orders)):
        add_message(store, f"m{n}", seq=n)
    store.messages.write([sending(f"m{n}") for n in range(len(orders))])
    store.messages.apply_statuses([update(name, f"m{n}") for n, order in enumerate(orders) for name in order])
    assert {state_of(store, f"m{n}") for n in range(len(orders))} == {"READ"}


def test_without_the_attempt_id_the_wamid_decides(store: Store) -> None:
    add_message(store)
    store.messages.write([sending()])
    unmatched = [update("sent", by="wamid")]
    assert store.messages.apply_statuses(unmatched) == set()
    assert state_of(store) == "SENDING"  # nobody can know yet whose it is
    assert store.messages.unmatched(unmatched) == {"wamid.m1"}
    store.messages.write([mark_accepted("m1", "wamid.m1")])
    assert store.messages.unmatched(unmatched) == set()
    store.messages.apply_statuses([update("delivered", by="wamid")])
    assert state_of(store) == "DELIVERED"


@pytest.mark.parametrize("by", ["attempt", "wamid"])
def test_a_status_of_another_number_changes_nothing(store: Store, by: str) -> None:
    add_message(store)
    store.messages.write([sending(), mark_accepted("m1", "wamid.m1")])
    store.database["messages"].update_one({"_id": "m1"}, {"$set": {"open": True}})
    before = message(store)
    for name in STATUSES:
        assert store.messages.apply_statuses([update(name, by=by, number="666")]) == set()
    assert message(store) == before


def test_unknown_statuses_and_messages_change_nothing(store: Store) -> None:
    add_message(store)
    store.messages.write([sending()])
    before = message(store)
    assert store.messages.apply_statuses([update("deleted"), update("warning"), update("$set")]) == {"wa:1"}
    store.messages.apply_statuses([update("read", "m2"), update("read", "m2", by="wamid")])
    assert store.messages.apply_statuses([]) == set()
    assert message(store) == before


def test_a_customers_message_takes_no_status(store: Store) -> None:
    document = {"_id": "in", "wamid": "wamid.in", "direction": "IN", "phoneNumberId": NUMBER, "rank": 0}
    store.database["messages"].insert_one({**document, "status": "RECEIVED", "lane": "wa:1"})
    before = message(store, "in")
    store.messages.apply_statuses([update("read", "in", by="wamid")])
    assert message(store, "in") == before


def test_only_one_holder_can_begin_to_send(store: Store) -> None:
    add_message(store)
    assert store.messages.write([mark_sending("m1", "first", NOW), mark_sending("m1", "second", NOW)]) == 1
    assert message(store)["attemptIds"] == ["first"]
    assert store.messages.sending(["first", "second"]) == {"first"}
    assert store.messages.write([]) == 0


def test_a_message_that_was_certainly_not_sent_waits_again(store: Store) -> None:
    add_message(store)
    store.messages.write([mark_sending("m1", "first", NOW), mark_requeued("m1", "throttled")])
    assert (state_of(store), message(store)["lastError"]) == ("QUEUED", "throttled")
    store.messages.write([mark_sending("m1", "second", NOW)])
    assert message(store)["attempts"] == 2
    (waiting,) = store.messages.open_in(["wa:1"])["wa:1"]
    assert (waiting.attempts, waiting.attempt_id, waiting.status) == (2, "second", MessageStatus.SENDING)
    # The first attempt arrived after all: that is known by its id.
    late = StatusUpdate(NUMBER, "wamid.first", "sent", "first", NOW)
    assert store.messages.apply_statuses([late]) == {"wa:1"}
    assert (state_of(store), message(store)["wamid"]) == ("SENT", "wamid.first")


@pytest.mark.parametrize("name", ["sent", "delivered", "read", "failed"])
def test_what_meta_said_is_not_taken_back(store: Store, name: str) -> None:
    add_message(store)
    store.messages.write([sending()])
    store.messages.apply_statuses([update(name)])
    before = message(store)
    ours = [
        mark_requeued("m1", "x"), mark_failed("m1", 1, "x"), sending(),
        mark_unknown("m1", is_final=False), mark_unknown("m1", is_final=True),
    ]  # fmt: skip
    assert store.messages.write(ours) == 0
    assert message(store) == before


def test_an_unknown_outcome_is_corrected_by_a_late_status(store: Store) -> None:
    for message_id in ("m1", "m2", "m3"):
        add_message(store, message_id)
    store.messages.write([sending(f"m{n}") for n in (1, 2, 3)])
    store.messages.write([mark_unknown("m1", is_final=False), mark_unknown("m2", is_final=True)])
    store.messages.write([mark_failed("m3", "not_sent", "gave up")])
    assert [state_of(store, f"m{n}") for n in (1, 2, 3)] == ["UNKNOWN", "UNKNOWN", "FAILED"]
    assert ["open" in message(store, f"m{n}") for n in (1, 2, 3)] == [True, False, False]
    # Only who still waits is told.
    assert store.messages.apply_statuses([update("delivered", f"m{n}") for n in (1, 2, 3)]) == {"wa:1"}
    assert [state_of(store, f"m{n}") for n in (1, 2, 3)] == ["DELIVERED"] * 3
    assert "error" not in message(store, "m3")


def test_the_outbox_is_read_in_the_order_of_the_conversation(store: Store) -> None:
    for seq in (3, 1, 2):
        add_message(store, f"m{seq}", seq=seq)
        add_message(store, f"n{seq}", "wa:2", seq)
    store.messages.write([sending("m1"), mark_accepted("m1", "wamid.m1")])
    found = store.messages.open_in(["wa:1", "wa:2", "wa:3"])
    assert {lane: [each.message_id for each in waiting] for lane, waiting in found.items()} == {
        "wa:1": ["m2", "m3"],
        "wa:2": ["n1", "n2", "n3"],
    }
    assert found["wa:2"][0].message == OutboundMessage("node", "hi", (ReplyButton("id", "Yes"),))
