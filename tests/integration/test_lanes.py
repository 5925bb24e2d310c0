"""Lanes: claimed by one at a time, never forgotten while there is work, and deaf to holders that lost theirs."""

from __future__ import annotations

import time
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient
from pymongo.errors import BulkWriteError
from pymongo.monitoring import CommandListener

from common.model.parking import ParkedFor
from common.store.store import Store
from tests.integration.store_setup import in_processes, new_job, store_at

if TYPE_CHECKING:
    from pymongo.database import Database
    from pymongo.monitoring import CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent

    from common.store.lanes import Lease

LANE = "wa:1"
LONG = 30.0


def claim_one(store: Store, owner: str = "a", lease_seconds: float = LONG, jobs_each: int = 10) -> Lease:
    leases, _ = store.lanes.claim(owner, 1, lease_seconds, jobs_each)
    assert len(leases) == 1
    return leases[0]


def claim_when_due(store: Store, owner: str) -> Lease:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        leases, _ = store.lanes.claim(owner, 1, LONG, 1)
        if leases:
            return leases[0]
    raise AssertionError("the lane is never due")


def lane_of(store: Store, name: str = LANE) -> dict[str, Any]:
    lane = store.database["lanes"].find_one({"_id": name})
    assert lane is not None
    return lane


def is_claimable(store: Store) -> bool:
    return store.lanes.oldest_due_at() is not None


# Claiming


def test_nothing_is_due_where_nothing_was_woken(store: Store) -> None:
    store.jobs.insert([new_job("1")], datetime.now().astimezone())
    assert store.lanes.claim("a", 10, LONG, 10) == ([], None)
    assert store.lanes.oldest_due_at() is None


def test_a_claim_brings_the_first_jobs_in_their_order(store: Store) -> None:
    now = datetime.now().astimezone()
    store.jobs.insert([new_job(str(n)) for n in range(5)], now)
    store.jobs.insert([new_job("other", "wa:2"), new_job("done"), new_job("unrouted", None, reason="x")], now)
    store.jobs.finish(["done", "0"])
    store.lanes.wake([LANE])
    lease = claim_one(store, jobs_each=3)
    assert [job["_id"] for job in lease.jobs] == ["1", "2", "3"]
    assert (lease.lane, lease.fence, lease.was_interrupted, lease.interruptions) == (LANE, 1, False, 0)


def test_a_claim_takes_no_more_than_its_limit_and_the_oldest_first(store: Store) -> None:
    for n in range(6):
        store.lanes.wake([f"wa:{n}"])
    leases, now = store.lanes.claim("a", 2, LONG, 1)
    assert len(leases) == 2
    # Twice the limit are looked at, so that claims of the same moment seldom meet.
    assert {lease.lane for lease in leases} <= {"wa:0", "wa:1", "wa:2", "wa:3"}
    assert now == lane_of(store, leases[0].lane)["claimedAt"]
    rest, _ = store.lanes.claim("b", 10, LONG, 1)
    assert {lease.lane for lease in [*leases, *rest]} == {f"wa:{n}" for n in range(6)}


def test_a_lane_with_more_work_goes_to_the_back(store: Store) -> None:
    store.lanes.wake(["busy"])
    lease = claim_one(store)
    store.lanes.wake(["quiet-1", "quiet-2"])
    store.lanes.release([lease], has_more=frozenset({"busy"}))
    due = store.database["lanes"].find().sort("dueAt", 1)
    assert [lane["_id"] for lane in due][-1] == "busy"


def claim_in_rounds(uri: str, database: str, owner: str, rounds: int) -> tuple[list[tuple[str, int]], int]:
    """Claim and release; returns what was claimed, and how often somebody else was in a lane at that time."""
    claimed: list[tuple[str, int]] = []
    met = 0
    with store_at(uri, database) as store:
        inside = store.database["inside"]
        for _ in range(rounds):
            leases, _ = store.lanes.claim(owner, 10, LONG, 1)
            if not leases:
                continue
            claimed += [(lease.lane, lease.fence) for lease in leases]
            try:
                inside.insert_many([{"_id": lease.lane} for lease in leases], ordered=False)
            except BulkWriteError:
                met += 1
            assert store.lanes.hold(leases, LONG) == len(leases)
            inside.delete_many({"_id": {"$in": [lease.lane for lease in leases]}})
            store.lanes.release(leases, has_more=frozenset(lease.lane for lease in leases))
    return claimed, met


def test_eight_processes_never_hold_a_lane_together(mongo_uri: str, store: Store) -> None:
    names = [f"wa:{n}" for n in range(200)]
    store.lanes.wake(names)
    rounds = [(mongo_uri, store.database.name, f"process-{n}", 25) for n in range(8)]
    results = in_processes(claim_in_rounds, rounds)
    assert [met for _, met in results] == [0] * 8
    claims = [pair for claimed, _ in results for pair in claimed]
    assert len(claims) > 8 * 25 * 5  # they did get in each other's way, but not much
    assert max(Counter(claims).values()) == 1  # no fence twice
    for claimed, _ in results:
        for name in names:
            fences = [fence for lane, fence in claimed if lane == name]
            assert fences == sorted(fences)
    # Every number was given to somebody: none was skipped, none handed out without being known.
    per_lane = Counter(lane for lane, _ in claims)
    assert {name: lane_of(store, name)["fence"] for name in names} == {name: per_lane[name] for name in names}


# Leases


def test_a_lease_ends_by_itself_and_the_next_holder_knows(store: Store) -> None:
    store.lanes.wake([LANE])
    first = claim_one(store, lease_seconds=0.2)
    assert store.lanes.claim("b", 1, LONG, 1) == ([], None)
    ends_at = lane_of(store)["dueAt"]
    second = claim_when_due(store, "b")
    assert lane_of(store)["claimedAt"] >= ends_at
    assert (second.fence, second.was_interrupted, second.interruptions) == (2, True, 1)
    assert second.claim != first.claim
    assert lane_of(store)["owner"] == "b"


def test_holders_that_vanish_are_counted_until_one_does_not(store: Store) -> None:
    store.lanes.wake([LANE])
    counts = []
    for _ in range(3):
        lease = claim_when_due(store, "a")
        counts.append(lease.interruptions)
        store.lanes.hold([lease], 0)  # it dies: the lease is over
    lease = claim_when_due(store, "a")
    store.lanes.park([(lease, 0, ParkedFor.RETRY_SEND)])
    after_parking = claim_when_due(store, "a")
    assert counts == [0, 1, 2]
    assert (lease.interruptions, after_parking.interruptions) == (3, 0)
    assert after_parking.was_interrupted  # its outbox may hold something
    store.lanes.release([after_parking])
    store.lanes.wake([LANE])
    assert not claim_one(store).was_interrupted


class Sent(CommandListener):
    def __init__(self) -> None:
        self.commands: list[Any] = []

    def started(self, event: CommandStartedEvent) -> None:
        self.commands.append(event.command)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing to note."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing to note."""


def times_in(value: Any) -> list[datetime]:
    if isinstance(value, datetime):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [time for each in inner for time in times_in(each)]


def test_no_time_of_this_machine_decides_about_a_lease(
    mongo_uri: str, database: Database[dict[str, Any]]
) -> None:
    sent = Sent()
    client: MongoClient[dict[str, Any]] = MongoClient(mongo_uri, tz_aware=True, event_listeners=[sent])
    with client:
        lanes = Store(client[database.name]).lanes
        lanes.wake([LANE], delay_seconds=0.001)
        while not (leases := lanes.claim("a", 1, LONG, 1)[0]):
            pass
        lanes.hold(leases, LONG)
        lanes.hear([LANE], ParkedFor.UNKNOWN_SEND)
        lanes.park([(leases[0], 0, ParkedFor.UNKNOWN_SEND)])
        lanes.unpark_all([LANE], ParkedFor.UNKNOWN_SEND)
        lanes.release(lanes.claim("a", 1, LONG, 1)[0])
        lanes.oldest_due_at()
    assert len(sent.commands) > 10
    assert [time for command in sent.commands for time in times_in(dict(command))] == []


@pytest.mark.parametrize("with_new_holder", [True, False])
def test_who_lost_a_lease_changes_nothing(store: Store, *, with_new_holder: bool) -> None:
    store.lanes.wake([LANE])
    lost = claim_one(store, lease_seconds=0)
    new = claim_when_due(store, "b")
    if not with_new_holder:
        store.lanes.release([new])
    before = lane_of(store)
    store.lanes.release([lost])
    store.lanes.release([lost], has_more=frozenset({LANE}))
    store.lanes.park([(lost, 0, ParkedFor.RETRY_SEND)])
    assert store.lanes.hold([lost], LONG) == 0
    assert store.lanes.held([lost]) == set()
    assert lane_of(store) == before


def test_holding_renews_only_what_is_still_ours(store: Store) -> None:
    store.lanes.wake(["wa:1", "wa:2", "wa:3"])
    leases, _ = store.lanes.claim("a", 10, 5, 1)
    store.database["lanes"].update_one({"_id": "wa:2"}, {"$set": {"claim": "somebody-else", "fence": 9}})
    before = lane_of(store, "wa:2")
    assert store.lanes.hold(leases, 60) == 2
    assert store.lanes.held(leases) == {"wa:1", "wa:3"}
    assert lane_of(store, "wa:2") == before
    assert lane_of(store, "wa:1")["dueAt"] > before["dueAt"]
    # One claim, another's fence: lane and claim must fit together.
    other = store.lanes
    store.lanes.wake(["wa:4"])
    (fourth,) = other.claim("a", 10, 5, 1)[0]
    assert other.hold([*leases, fourth], 60) == 3
    assert other.hold([], 60) == 0
    assert other.held([]) == set()


# Waking


def test_a_wake_up_during_a_lease_survives_the_release(store: Store) -> None:
    store.lanes.wake([LANE])
    lease = claim_one(store)
    store.lanes.wake([LANE])
    assert not is_claimable(store)  # it does not end the lease
    store.lanes.release([lease])
    assert claim_one(store, "b").fence == 2


def test_a_lane_nobody_woke_sleeps_after_its_release(store: Store) -> None:
    store.lanes.wake([LANE])
    store.lanes.release([claim_one(store)])
    assert "dueAt" not in lane_of(store)
    assert store.lanes.asleep([LANE, "unknown"]) == [LANE, "unknown"]
    store.lanes.wake([LANE])
    assert store.lanes.asleep([LANE]) == []
    assert is_claimable(store)


def test_a_wake_up_during_a_lease_survives_parking(store: Store) -> None:
    store.lanes.wake([LANE])
    lease = claim_one(store)
    store.lanes.wake([LANE])
    store.lanes.park([(lease, LONG, ParkedFor.UNKNOWN_SEND)])
    assert claim_one(store, "b").was_interrupted


def test_a_parked_lane_waits_and_a_message_does_not_change_that(store: Store) -> None:
    store.lanes.wake([LANE])
    store.lanes.park([(claim_one(store), LONG, ParkedFor.JOB_FAILED)])
    parked = lane_of(store)
    assert (parked["parkedFor"], parked["owner"]) == ("job_failed", None)
    store.lanes.wake([LANE])
    assert not is_claimable(store)
    assert lane_of(store)["dueAt"] == parked["dueAt"]


def test_a_lane_whose_messages_a_person_holds_back_is_woken_by_any_job(store: Store) -> None:
    store.lanes.wake([LANE])
    store.lanes.park([(claim_one(store), LONG, ParkedFor.BOT_PAUSED)])
    assert not is_claimable(store)
    store.lanes.wake([LANE])
    assert claim_one(store).was_interrupted


def test_what_it_waits_for_ends_the_parking_and_nothing_else_does(store: Store) -> None:
    store.lanes.wake([LANE])
    store.lanes.park([(claim_one(store), LONG, ParkedFor.UNKNOWN_SEND)])
    store.lanes.hear([LANE], ParkedFor.BOT_STOPPED)
    assert store.lanes.unpark_all([LANE], ParkedFor.BOT_STOPPED) == 0
    assert not is_claimable(store)
    store.lanes.hear([LANE], ParkedFor.UNKNOWN_SEND)
    assert claim_one(store).was_interrupted


def test_unparking_frees_exactly_those_parked_for_it(store: Store) -> None:
    store.lanes.wake(["wa:1", "wa:2", "wa:3"])
    leases = {lease.lane: lease for lease in store.lanes.claim("a", 10, LONG, 1)[0]}
    store.lanes.park(
        [(leases["wa:1"], LONG, ParkedFor.BOT_STOPPED), (leases["wa:2"], LONG, ParkedFor.UNKNOWN_SEND)]
    )
    assert store.lanes.unpark_all(["wa:1", "wa:2", "wa:3"], ParkedFor.BOT_STOPPED) == 1
    assert [lease.lane for lease in store.lanes.claim("a", 10, LONG, 1)[0]] == ["wa:1"]


def test_news_during_a_lease_are_heard_after_it(store: Store) -> None:
    store.lanes.wake([LANE])
    lease = claim_one(store)
    store.lanes.hear([LANE], ParkedFor.UNKNOWN_SEND)
    store.lanes.park([(lease, LONG, ParkedFor.UNKNOWN_SEND)])
    assert is_claimable(store)


def test_news_for_an_idle_or_unknown_lane_wake_nobody(store: Store) -> None:
    store.lanes.wake([LANE])
    store.lanes.release([claim_one(store)])
    store.lanes.hear([LANE, "unknown"], ParkedFor.UNKNOWN_SEND)
    assert not is_claimable(store)
    assert store.database["lanes"].count_documents({}) == 1


def test_a_delayed_wake_up_comes_later_and_delays_nobody_else(store: Store) -> None:
    store.lanes.wake(["late"], delay_seconds=LONG)
    assert not is_claimable(store)
    store.lanes.wake([LANE])
    store.lanes.wake([LANE], delay_seconds=LONG)
    assert claim_one(store).lane == LANE


def test_many_wake_ups_at_once_are_one_lane(store: Store) -> None:
    store.lanes.wake([LANE] * 50)
    assert lane_of(store)["wakes"] == 1
    store.lanes.wake([])
    store.lanes.release([])
    store.lanes.park([])
    assert store.database["lanes"].count_documents({}) == 1


def test_a_message_during_a_send_does_not_cut_its_back_off_short(store: Store) -> None:
    store.lanes.wake([LANE])
    lease = claim_one(store)
    store.lanes.wake([LANE])
    store.lanes.park([(lease, LONG, ParkedFor.RETRY_SEND)])
    assert not is_claimable(store)
