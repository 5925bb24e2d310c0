"""Figures are written with what they count, once, and are the same wherever they are on their way."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from pymongo.errors import OperationFailure

from common.model.counters import CountKey, NodeFigure, Total, node_path
from common.model.periods import HOUR, Bucket, period
from common.store.analytics import OF_PLATFORM, Subject, of_bot, of_flow, of_user, of_version
from common.store.counter_folds import MOST_FLOWS
from common.store.deliveries import MessageRef, News
from common.store.marks import mark_accepted, mark_failed, mark_sending, mark_unknown
from common.store.turns import TurnWrites
from tests.integration.test_message_states import NOW as WRITTEN_AT
from tests.integration.test_message_states import add_message, update
from tests.integration.test_turn_commit import BAD_TURNS, LONG, hold_lanes, turn_of
from tests.support.remains import remains

if TYPE_CHECKING:
    from collections.abc import Sequence

    from common.store.lanes import Lease
    from common.store.store import Store

NOW = datetime(2026, 11, 22, 12, 34, tzinfo=UTC)
KEY = CountKey("bot-1", "flow-1", "version-1")
LATER = NOW + timedelta(minutes=10)
PERIOD = period(NOW - timedelta(days=2), LATER, NOW)
SUBJECTS = [
    of_bot("bot-1"), of_flow("bot-1", "flow-1"), of_version("bot-1", "version-1"), of_user("ann", ["bot-1"]), OF_PLATFORM,
]  # fmt: skip


@pytest.fixture(autouse=True)
def _bot(store: Store) -> None:
    store.database["bots"].insert_one({"_id": "bot-1", "userId": "ann"})


def counted_turn(lease: Lease, key: CountKey = KEY) -> TurnWrites:
    turn = turn_of(lease)
    turn.counted = [(key, {Total.TURNS.path: 1, node_path("ask", NodeFigure.VISITS): 2})]
    return turn


def put(store: Store, at: datetime = NOW, key: CountKey = KEY, **totals: int) -> None:
    """Add these totals, in a transaction of their own."""
    amounts = {f"n.{name}": amount for name, amount in totals.items()} | {
        node_path("ask", NodeFigure.VISITS): 1
    }
    with store.database.client.start_session() as session:
        session.with_transaction(lambda tx: store.counters.write([(key, amounts)], at, tx))
    store.counters.settle()


def totals(store: Store, subject: Subject = SUBJECTS[0], *, in_detail: bool = False) -> dict[str, int]:
    return store.analytics.totals(subject, PERIOD, in_detail=in_detail)


# Writing


def test_a_batch_counts_in_one_document_a_version(store: Store) -> None:
    leases = hold_lanes(store, 5)
    store.turns.commit([counted_turn(lease) for lease in leases], LONG, NOW)
    (document,) = store.database["counters"].find()
    assert (document["botId"], document["flowId"], document["versionId"]) == KEY
    assert document["at"] == datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
    assert (document["n"], document["nodes"]) == ({"turns": 5}, {"ask": {"v": 10}})


@pytest.mark.parametrize(("spoil", "errors"), BAD_TURNS, ids=[spoil.__name__ for spoil, _ in BAD_TURNS])
def test_what_is_not_written_is_not_counted(store: Store, spoil: Any, errors: Any) -> None:
    leases = hold_lanes(store, 2)
    bad = spoil(store, leases[0])
    bad.counted = [(KEY, {Total.TURNS.path: 1})]
    with pytest.raises(errors):
        store.turns.commit([bad, counted_turn(leases[1])], LONG, NOW)
    assert totals(store) == {}
    store.turns.commit([counted_turn(leases[1])], LONG, NOW)
    assert totals(store) == {"n.turns": 1}


class _Stumble:
    """The counters' write, failing once the way a server does that wants the transaction to be tried again."""

    def __init__(self, store: Store) -> None:
        self.write, self.left = store.counters.write, 1

    def __call__(self, *arguments: Any) -> None:
        self.write(*arguments)
        if self.left:
            self.left -= 1
            raise OperationFailure("try again", 112, {"errorLabels": ["TransientTransactionError"]})


def test_a_transaction_that_is_tried_again_counts_once_in_a_new_document(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = hold_lanes(store, 2)
    store.turns.commit([counted_turn(leases[0])], LONG, NOW)
    monkeypatch.setattr(store.counters, "write", _Stumble(store))
    store.turns.commit([counted_turn(leases[1])], LONG, NOW)
    assert totals(store) == {"n.turns": 2}
    # The first attempt may still hold the old one, wherever its connection went.
    assert store.database["counters"].count_documents({}) == 2


def test_threads_never_meet_on_a_document(store: Store) -> None:
    leases = hold_lanes(store, 32)
    aborted = store.database.client.admin.command("serverStatus")["transactions"]["totalAborted"]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda lease: store.turns.commit([counted_turn(lease)], LONG, NOW), leases))
    after = store.database.client.admin.command("serverStatus")["transactions"]["totalAborted"]
    assert after == aborted
    assert totals(store) == {"n.turns": 32}
    assert 1 < store.database["counters"].count_documents({}) <= 8


# What becomes of messages


FUNNEL = {"ACCEPTED": 1, "sent": 2, "failed": 1, "delivered": 3, "read": 4}
STAGES = ("accepted", "sent", "delivered", "read")
ORDERS: list[tuple[str, ...]] = [
    *permutations(("ACCEPTED", "sent", "delivered", "read")),
    *permutations(("ACCEPTED", "failed", "sent")),
    *permutations(("ACCEPTED", "failed", "read")),
]


def expected(names: Sequence[str]) -> Counter[str]:
    """What a message adds of which these things were told."""
    found = Counter(STAGES[: max(FUNNEL[name] for name in names)])
    is_failed = "failed" in names and not set(names) & {"delivered", "read"}
    return found + Counter(["sendFailed"] if is_failed else [])


def send(store: Store, message_ids: Sequence[str]) -> None:
    for n, message_id in enumerate(message_ids):
        add_message(store, message_id, seq=n)
    key = dict(zip(("botId", "flowId", "flowVersionId"), KEY, strict=True))
    store.database["messages"].update_many({}, {"$set": key})
    store.messages.write([mark_sending(each, f"attempt-{each}", NOW) for each in message_ids])


def tell(store: Store, name: str, message_id: str = "m1") -> None:
    if name == "ACCEPTED":
        store.messages.write([mark_accepted(message_id, f"wamid.{message_id}")])
    else:
        store.messages.apply_statuses([update(name, message_id)])


def look_at(store: Store, *message_ids: str) -> int:
    """Count them, by each of the ways in which they are known."""
    refs = {MessageRef.ID: "", MessageRef.ATTEMPT: "attempt-", MessageRef.WAMID: "wamid."}
    return store.deliveries.count(
        [News(ref, prefix + each) for each in message_ids for ref, prefix in refs.items()]
    )


def deliveries(store: Store) -> Counter[str]:
    """The figures of messages, what was put right taken off."""
    found: Counter[str] = Counter()
    for document in store.counters.pending():
        found.update(document["n"])
    for name, corrected in (("sendFailed", "failedCorrected"), ("sendUnknown", "unknownCorrected")):
        found[name] -= found.pop(corrected, 0)
    return +found


@pytest.mark.parametrize("names", ORDERS, ids="+".join)
def test_each_state_counts_once_in_whatever_order_it_is_told(store: Store, names: tuple[str, ...]) -> None:
    """Counted after each of them, or only now and then, or twice: it comes to the same."""
    send(store, ["each", "seldom", "twice"])
    for place, name in enumerate(names):
        for message_id in ("each", "seldom", "twice"):
            tell(store, name, message_id)
        look_at(store, "each", *(["twice", "twice"] if place % 2 else []))
        if place % 2:
            look_at(store, "twice")
    look_at(store, "each", "seldom", "twice")
    wanted = expected(names)
    assert deliveries(store) == Counter({name: 3 * count for name, count in wanted.items()})
    for name in names:
        tell(store, name, "each")
    assert look_at(store, "each", "seldom", "twice") == 0


def test_what_failed_or_was_left_unknown_counts_until_it_is_put_right(store: Store) -> None:
    ids = ["m1", "m2", "m3", "m4"]
    send(store, ids)
    marks = [
        mark_failed("m1", 1, "no", "attempt-m1"),
        mark_unknown("m2", is_final=True, attempt_id="attempt-m2"),
        mark_unknown("m3", is_final=False, attempt_id="attempt-m3"),
        mark_accepted("m4", "wamid.m4"),
    ]
    assert [mark.counts for mark in marks] == [True, True, False, True]
    store.messages.write(marks)
    assert look_at(store, *ids) == 3
    assert deliveries(store) == Counter(sendFailed=1, sendUnknown=1, accepted=1)
    store.messages.write([mark_failed("m1", 1, "no", "attempt-m1"), mark_accepted("m2", "wamid.m2")])
    look_at(store, *ids)
    assert deliveries(store) == Counter(sendFailed=1, accepted=2)
    store.messages.apply_statuses([update("read", message_id) for message_id in ids])
    look_at(store, *ids)
    assert deliveries(store) == Counter(accepted=4, sent=4, delivered=4, read=4)


def test_holders_that_come_too_late_count_nothing(store: Store) -> None:
    send(store, ["m1"])
    store.messages.write([mark_failed("m1", 1, "no", "an older attempt")])
    store.messages.write([mark_unknown("m1", is_final=True, attempt_id="an older attempt")])
    store.messages.apply_statuses([update("read", number="666"), update("nonsense"), update("read", "m2")])
    assert look_at(store, "m1", "m2") == 0
    assert deliveries(store) == Counter()


def test_the_same_message_by_many_at_once_counts_once(store: Store) -> None:
    ids = [f"m{n}" for n in range(20)]
    send(store, ids)
    for name in ("ACCEPTED", "sent", "delivered"):
        with ThreadPoolExecutor(6) as pool:
            told = [pool.submit(tell, store, name, each) for each in ids]
            counts = [pool.submit(look_at, store, *ids) for _ in range(4)]
            assert all(future.result(30) is None for future in told)
            assert sum(future.result(30) for future in counts) >= 0
    look_at(store, *ids)
    assert deliveries(store) == Counter(accepted=20, sent=20, delivered=20)


def test_a_message_from_before_there_were_figures_counts_nothing(store: Store) -> None:
    add_message(store)
    store.database["messages"].update_one({"_id": "m1"}, {"$unset": {"flowVersionId": "", "flowId": ""}})
    store.messages.write([mark_sending("m1", "attempt-m1", NOW)])
    tell(store, "read")
    assert look_at(store, "m1") == store.deliveries.sweep(NOW - HOUR, NOW + HOUR) == 0


@pytest.mark.parametrize("names", [*ORDERS, ("ACCEPTED",), ("failed",)], ids="+".join)
def test_what_a_dead_process_did_not_count_is_found(store: Store, names: tuple[str, ...]) -> None:
    """The database's own reckoning of how a message stands is the same as ours."""
    send(store, ["m1", "m2", "m3"])
    for name in names:
        tell(store, name)
    store.messages.write([mark_unknown("m2", is_final=True)])
    look_at(store, "m2")
    assert store.deliveries.sweep(NOW + HOUR, NOW + 2 * HOUR) == 0  # not of that time
    assert store.deliveries.sweep(NOW - HOUR, NOW + HOUR) == 1
    assert store.deliveries.sweep(NOW - HOUR, NOW + HOUR) == 0
    assert deliveries(store) == expected(names) + Counter(["sendUnknown"])


def test_a_message_is_looked_at_at_several_ages_and_no_span_is_left_out(store: Store) -> None:
    send(store, ["m1"])
    tell(store, "ACCEPTED")
    for minutes in range(0, 20, 5):  # not old enough, then old enough
        swept = store.deliveries.sweep_due(WRITTEN_AT + timedelta(minutes=minutes))
        assert swept == (1 if minutes == 15 else 0), minutes
    tell(store, "sent")
    # Nobody swept for hours: the spans in between come one after the other.
    assert sum(store.deliveries.sweep_due(WRITTEN_AT + timedelta(hours=5)) for _ in range(8)) == 1
    tell(store, "read")
    assert sum(store.deliveries.sweep_due(WRITTEN_AT + timedelta(days=1, hours=1)) for _ in range(60)) == 1
    assert deliveries(store) == Counter(STAGES)


def test_a_sweep_that_counts_nothing_ends(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Should the database ever reckon otherwise than we do, it finds the same messages again and again."""
    send(store, ["m1"])
    tell(store, "ACCEPTED")
    looks: list[int] = []

    def see_nothing(message: dict[str, Any]) -> Any:
        looks.append(1)
        assert len(looks) < 5, "it looks without end"
        return message.get("counted", 0)

    monkeypatch.setattr("common.store.deliveries.standing", see_nothing)
    assert store.deliveries.sweep(NOW - HOUR, NOW + HOUR) == 0


def test_a_test_in_the_simulator_is_not_found(store: Store) -> None:
    send(store, ["m1"])
    tell(store, "ACCEPTED")
    store.database["messages"].update_many({}, {"$set": {"lane": "sim:c1"}})
    assert store.deliveries.sweep(NOW - HOUR, NOW + HOUR) == 0


# Folding and reading


def test_figures_are_the_same_before_and_after_folding(store: Store) -> None:
    for hours in range(0, 40, 3):
        put(store, NOW - timedelta(hours=hours), turns=1, starts=2)
        put(store, NOW - timedelta(hours=hours), CountKey("bot-1"), messagesIn=1)
    before = {subject.scope: totals(store, subject) for subject in SUBJECTS}
    hourly = store.analytics.series(SUBJECTS[0], PERIOD, Bucket.HOUR)
    daily = store.analytics.series(SUBJECTS[0], PERIOD, Bucket.DAY)
    assert before[SUBJECTS[0].scope] == {"n.turns": 14, "n.starts": 28, "n.messagesIn": 14}
    assert before[SUBJECTS[1].scope] == before[SUBJECTS[2].scope] == {"n.turns": 14, "n.starts": 28}
    assert store.counter_folds.fold(LATER) == 28
    assert store.counters.pending() == []
    assert store.counter_folds.fold(LATER) == 0
    assert {subject.scope: totals(store, subject) for subject in SUBJECTS} == before
    assert store.analytics.series(SUBJECTS[0], PERIOD, Bucket.HOUR) == hourly
    assert store.analytics.series(SUBJECTS[0], PERIOD, Bucket.DAY) == daily
    assert {at.hour for at, amounts in hourly.items() if amounts} == {*range(0, 24, 3)} | {*range(0, 24, 3)}
    assert totals(store, SUBJECTS[2], in_detail=True)["nodes.ask.v"] == 14
    assert totals(store, SUBJECTS[3], in_detail=True)["flows.flow-1.s"] == 28


def test_a_span_under_way_is_left_alone(store: Store) -> None:
    put(store, turns=1)
    assert store.counter_folds.fold(NOW + timedelta(minutes=1)) == 0
    assert totals(store) == {"n.turns": 1}


def test_what_comes_after_its_span_was_folded_is_not_lost(store: Store) -> None:
    """A process that was frozen wakes up and commits."""
    put(store, turns=1)
    assert store.counter_folds.fold(LATER) == 1
    put(store, turns=1)
    assert totals(store) == {"n.turns": 2}
    assert store.counter_folds.fold(LATER) == 1
    assert totals(store) == {"n.turns": 2}
    assert store.database["counter_hours"].find_one({"scope": "b"}, {"n": 1}) is not None


def test_a_reader_sees_every_amount_once_while_it_is_folded(store: Store) -> None:
    for n in range(60):
        put(store, NOW - timedelta(hours=n % 30), CountKey("bot-1", "flow-1", f"version-{n}"), turns=1)
    wanted = {"n.turns": 60}
    seen: list[dict[str, int]] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(totals(store))

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        while store.database["counters"].count_documents({}):
            # One by one, so that there is something to see in between.
            (oldest,) = store.database["counters"].find().sort("at", 1).limit(1)
            store.counter_folds.fold(oldest["at"] + timedelta(minutes=6))
        done.set()
        for reader in readers:
            reader.result(30)
    assert seen
    assert [each for each in seen if each != wanted] == []


def test_two_timers_fold_each_amount_once(store: Store) -> None:
    for n in range(40):
        put(store, NOW - timedelta(hours=n), turns=1)
    before = totals(store)
    with ThreadPoolExecutor(4) as pool:
        folded = list(pool.map(lambda _: store.counter_folds.fold(LATER), range(8)))
    assert sum(folded) == 40
    assert totals(store) == before


def test_of_a_deleted_bot_only_the_platform_remembers(store: Store) -> None:
    put(store, key=CountKey("gone", "flow-9", "version-9"), turns=3)
    store.counter_folds.fold(LATER)
    assert totals(store, OF_PLATFORM) == {"n.turns": 3}
    assert store.database["counter_hours"].distinct("owner") == ["*"]


def test_an_owner_with_endless_flows_has_a_document_of_bounded_size(store: Store) -> None:
    store.database["counter_days"].insert_one(
        {
            "_id": "u:ann|*|2026112200", "owner": "u:ann", "scope": "*", "at": NOW.replace(hour=0, minute=0),
            "flows": {f"old-{n}": {"s": 1} for n in range(MOST_FLOWS - 1)},
        }
    )  # fmt: skip
    for n in range(3):
        put(store, key=CountKey("bot-1", f"new-{n}", f"v-{n}"), starts=1)
    store.counter_folds.fold(LATER)
    day = store.database["counter_days"].find_one({"owner": "u:ann"})
    assert day is not None
    assert len(day["flows"]) == MOST_FLOWS + 1
    assert day["flows"]["other"] == {"s": 2}
    assert day["n"] == {"starts": 3}


def test_figures_outlive_the_flow_and_are_kept_by_version_and_node(store: Store) -> None:
    put(store, turns=1)
    put(store, key=CountKey("bot-1", "flow-1", "version-2"), turns=1)
    store.counter_folds.fold(LATER)
    assert totals(store, of_version("bot-1", "version-1"), in_detail=True) == {"n.turns": 1, "nodes.ask.v": 1}
    assert totals(store, of_flow("bot-1", "flow-1")) == {"n.turns": 2}
    assert totals(store, of_version("bot-2", "version-1")) == {}


def test_who_is_under_way_is_counted_where_they_stand(store: Store) -> None:
    silent, fresh = NOW - timedelta(days=3), NOW - timedelta(minutes=1)
    rows = [("ask", silent), ("ask", silent - timedelta(days=30)), ("ask", fresh), ("pay", fresh)]
    for n, (node, at) in enumerate(rows):
        store.database["sessions"].insert_one(
            {"_id": f"s{n}", "contactId": f"c{n}", "channel": "WHATSAPP", "botId": "bot-1", "isOpen": True, "runsFor": "bot-1",
             "flowVersionId": "version-1", "currentNodeId": node, "updatedAt": at}
        )  # fmt: skip
    standing = store.analytics.standing(
        "bot-1", "version-1", period(NOW - timedelta(days=7), NOW, NOW), NOW - timedelta(days=1)
    )
    shown = {node: (each.waiting, each.silent, each.silent_in_period) for node, each in standing.items()}
    assert shown == {"ask": (3, 2, 1), "pay": (1, 0, 0)}
    assert store.analytics.active(["bot-1"]) == store.analytics.active() == 4
    assert store.analytics.active(["bot-2"]) == 0
    assert store.analytics.active_in("bot-1", ["version-1", "version-2"]) == {"version-1": 4, "version-2": 0}
    assert store.analytics.active_in("bot-2", ["version-1"]) == {"version-1": 0}
    assert store.analytics.active_in("bot-1", []) == {}


@pytest.mark.parametrize("meanwhile", ["nothing", "a fold", "a straggler"])
def test_what_a_deleted_bot_counted_last_stays_with_its_owner_and_the_platform(
    store: Store, meanwhile: str
) -> None:
    put(store, turns=3)
    assert store.deletions.ask_for_bot("bot-1")
    if meanwhile == "a fold":
        store.counter_folds.fold(LATER)
    for _ in range(2):  # the second pass is for what was written during the first
        tombstone = store.deletions.claim(30)
        assert tombstone is not None
        sum(store.deletions.work(tombstone, lease_seconds=30, settle_seconds=0))
        if meanwhile == "a straggler" and not tombstone.is_settled:
            put(store, turns=2)
    expected_turns = {"n.turns": 5 if meanwhile == "a straggler" else 3}
    assert totals(store, of_user("ann", [])) == totals(store, OF_PLATFORM) == expected_turns
    assert remains(store.database, ["bot-1", "flow-1", "version-1"]) == {}
