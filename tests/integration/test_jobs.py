"""Jobs: each key once, in the order of acceptance, and an end for each of them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from common.model.jobs import JobState
from common.store.jobs import job_from_document
from tests.integration.store_setup import in_processes, new_job, store_at

if TYPE_CHECKING:
    from common.store.store import Store

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def job(store: Store, job_id: str) -> dict[str, Any]:
    document = store.jobs.find(job_id)
    assert document is not None
    return document


def by_seq(store: Store, **query: Any) -> list[str]:
    """The ids in their order, which no two of them share a place in."""
    found = list(store.database["jobs"].find(query).sort("seq", 1))
    assert len({document["seq"] for document in found}) == len(found)
    return [document["_id"] for document in found]


def test_a_job_comes_back_as_it_was_stored(store: Store) -> None:
    new = new_job("1")
    assert store.jobs.insert([new], NOW) == 1
    stored = job_from_document(job(store, "1"))
    assert (stored.job_id, stored.kind, stored.lane, stored.payload) == ("1", new.kind, "wa:1", '{"n":1}')
    assert (stored.request_id, stored.bot_id, stored.phone_number_id) == ("request-1", "bot-1", "999")
    assert (stored.received_at, stored.attempts) == (NOW, 0)


def test_known_jobs_fall_away_and_cost_the_new_ones_nothing(store: Store) -> None:
    assert store.jobs.insert([new_job("1"), new_job("2"), new_job("1")], NOW) == 2
    store.jobs.finish(["1"])
    before = job(store, "1"), job(store, "2")
    assert store.jobs.insert([new_job("0"), new_job("1"), new_job("2"), new_job("3")], NOW) == 2
    assert (job(store, "1"), job(store, "2")) == before
    assert by_seq(store) == ["1", "2", "0", "3"]
    assert store.jobs.insert([], NOW) == 0
    assert store.jobs.insert([new_job("1")], NOW) == 0


def test_a_batch_keeps_its_order(store: Store) -> None:
    ids = [f"{n:04}" for n in range(1_500)]
    ids.reverse()
    assert store.jobs.insert([new_job(job_id) for job_id in ids], NOW) == 1_500
    assert by_seq(store) == ids


def insert_timed(uri: str, database: str, name: str, count: int) -> list[tuple[str, float, float]]:
    """Insert one by one; (id, begun, acknowledged) by the machine's monotonic clock."""
    done = []
    with store_at(uri, database) as store:
        for n in range(count):
            begun = time.monotonic()
            store.jobs.insert([new_job(f"{name}-{n}")], NOW)
            done.append((f"{name}-{n}", begun, time.monotonic()))
    return done


def test_later_accepted_means_later_in_line_across_processes(mongo_uri: str, store: Store) -> None:
    database = store.database.name
    results = in_processes(insert_timed, [(mongo_uri, database, name, 150) for name in ("a", "b")])
    inserted = [each for result in results for each in result]
    place = {job_id: n for n, job_id in enumerate(by_seq(store))}
    assert len(place) == 300
    both = min(max(end for _, _, end in result) for result in results)
    assert sum(begun < both for _, begun, _ in inserted) > 150  # they did run at the same time
    for earlier, _, acknowledged in inserted:
        for later, begun, _ in inserted:
            if acknowledged < begun:
                assert place[earlier] < place[later]


def test_finishing_takes_the_payload_and_keeps_the_key(store: Store) -> None:
    store.jobs.insert([new_job("1"), new_job("2")], NOW)
    assert store.jobs.finish(["1", "2", "unknown"], outcome="status") == 2
    done = job(store, "1")
    assert (done["state"], done["outcome"]) == ("DONE", "status")
    assert "payload" not in done
    assert done["doneAt"] is not None
    assert store.jobs.finish(["1", "2"]) == 0
    assert job(store, "1") == done


def test_a_job_is_dead_after_its_last_attempt(store: Store) -> None:
    store.jobs.insert([new_job("1")], NOW)
    outcomes = [store.jobs.fail("1", f"$payload {n}", max_attempts=3) for n in range(3)]
    assert outcomes == [False, False, True]
    dead = job(store, "1")
    assert (dead["state"], dead["attempts"], dead["reason"]) == ("DEAD", 3, "$payload 2")
    assert dead["payload"] == '{"n":1}'
    assert dead["deadAt"] is not None
    assert not store.jobs.fail("1", "again", max_attempts=3)
    assert job(store, "1") == dead
    assert store.jobs.count_dead() == 1
    assert store.jobs.finish(["1"]) == 0
    store.jobs.insert([new_job("2")], NOW)
    assert not store.jobs.fail("2", "first", max_attempts=2)
    assert "deadAt" not in job(store, "2")
    assert store.jobs.fail("2", "at once", max_attempts=0)
    assert not store.jobs.fail("unknown", "x", max_attempts=0)


def test_dead_jobs_are_in_nobodys_way(store: Store) -> None:
    store.jobs.insert([new_job("1"), new_job("2")], NOW)
    store.jobs.fail("1", "x", max_attempts=1)
    store.lanes.wake(["wa:1"])
    (lease,) = store.lanes.claim("a", 1, 30, 10)[0]
    assert [document["_id"] for document in lease.jobs] == ["2"]


def test_a_requeued_job_goes_to_the_end_and_keeps_its_key(store: Store) -> None:
    store.jobs.insert([new_job("1"), new_job("2"), new_job("3")], NOW)
    for job_id in ("1", "3"):
        store.jobs.fail(job_id, "x", max_attempts=1)
    store.jobs.insert([new_job("4")], NOW)
    assert store.jobs.requeue(["1", "2", "unknown"]) == ["wa:1"]
    requeued = job(store, "1")
    assert (requeued["state"], requeued["attempts"]) == ("PENDING", 0)
    assert not {"reason", "deadAt"} & set(requeued)
    assert requeued["payload"] == '{"n":1}'
    assert by_seq(store, state="PENDING") == ["2", "4", "1"]
    assert store.jobs.insert([new_job("1")], NOW) == 0  # Meta's repetition is still one
    store.jobs.insert([new_job("5")], NOW)
    assert by_seq(store, state="PENDING") == ["2", "4", "1", "5"]
    assert store.jobs.requeue([]) == []


def test_rejected_jobs_can_be_requeued_those_without_a_lane_and_done_ones_cannot(store: Store) -> None:
    store.jobs.insert([new_job("1"), new_job("2", None, reason="unknown phone number id"), new_job("3")], NOW)
    store.jobs.reject("1", "bot was deleted")
    store.jobs.finish(["3"])
    store.jobs.reject("3", "too late")
    assert [job(store, n)["state"] for n in "123"] == ["UNROUTED", "UNROUTED", "DONE"]
    assert store.jobs.requeue(["1", "2", "3"]) == ["wa:1"]
    assert [job(store, n)["state"] for n in "123"] == ["PENDING", "UNROUTED", "DONE"]


def test_dropped_jobs_end_and_stay_known(store: Store) -> None:
    store.jobs.insert([new_job("1"), new_job("2"), new_job("3", None, reason="x")], NOW)
    store.jobs.fail("1", "x", max_attempts=1)
    assert store.jobs.drop(["1", "2", "3", "unknown"]) == 2
    assert [job(store, n)["state"] for n in "123"] == ["DONE", "PENDING", "DONE"]
    assert job(store, "1")["outcome"] == "dropped"
    assert "payload" not in job(store, "1")
    assert store.jobs.insert([new_job("1")], NOW) == 0


def test_what_waits_for_a_person_is_listed_newest_first(store: Store) -> None:
    store.jobs.insert([new_job(str(n)) for n in range(4)], NOW)
    store.jobs.insert([new_job("u", None, reason="x")], NOW)
    for n in range(3):
        store.jobs.fail(str(n), "x", max_attempts=1)
    dead = [JobState.DEAD]
    assert [document["_id"] for document in store.jobs.waiting(dead)] == ["2", "1", "0"]
    assert [document["_id"] for document in store.jobs.waiting(dead, limit=1)] == ["2"]
    assert len(store.jobs.waiting([JobState.DEAD, JobState.UNROUTED])) == 4
    assert len(store.jobs.waiting(dead, bot_id="bot-1")) == 3
    assert store.jobs.waiting(dead, bot_id="bot-2") == []


def test_moved_jobs_keep_their_place(store: Store) -> None:
    store.jobs.insert([new_job("1", "a"), new_job("2", "b"), new_job("3", "a"), new_job("4", "a")], NOW)
    store.jobs.finish(["4"])
    store.jobs.move(["1", "3", "4"], "b")
    assert by_seq(store, lane="b", state="PENDING") == ["1", "2", "3"]
    assert job(store, "4")["lane"] == "a"


def test_lanes_with_work_are_found_page_by_page(store: Store) -> None:
    store.jobs.insert([new_job(f"{n}-{m}", f"wa:{n}") for n in range(5) for m in range(3)], NOW)
    store.jobs.insert([new_job("done", "wa:9"), new_job("dead", "wa:8"), new_job("u", None, reason="x")], NOW)
    store.jobs.finish(["done"])
    store.jobs.fail("dead", "x", max_attempts=1)
    found: list[str] = []
    while page := store.jobs.lanes_with_pending(found[-1] if found else "", 2):
        assert len(page) <= 2
        found += page
    assert found == [f"wa:{n}" for n in range(5)]
