"""Timers: found when due by the database's clock, fired once by however many processes, never taken too early."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from common.settings import Settings
from tests.integration.store_setup import in_processes, store_at
from worker.timer_worker import TimerWorker

if TYPE_CHECKING:
    from common.store.store import Store

SESSIONS = 300


def now() -> datetime:
    return datetime.now(UTC)


def session(name: str, due_in_seconds: float | None, *, wait_id: int = 1, **fields: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "_id": name, "lane": f"wa:{name}", "botId": "bot-1", "contactId": name, "channel": "WHATSAPP",
        "isOpen": True, "wait": {"waitId": wait_id}, **fields,
    }  # fmt: skip
    if due_in_seconds is not None:
        document["resumeAt"] = now() + timedelta(seconds=due_in_seconds)
    return document


def add(store: Store, *sessions: dict[str, Any]) -> None:
    store.database["sessions"].insert_many(sessions)


def test_what_is_due_comes_oldest_first_and_nothing_else(store: Store) -> None:
    add(store, session("late", -5), session("later", -60), session("future", 60), session("none", None))
    due = store.timers.due(10)
    assert [timer.session_id for timer in due] == ["later", "late"]
    assert [timer.session_id for timer in store.timers.due(1)] == ["later"]
    first = due[0]
    assert (first.lane, first.bot_id, first.wait_id) == ("wa:later", "bot-1", 1)
    job = first.job()
    assert (job.job_id, job.kind.value, job.lane) == ("t:later:1", "TIMER", "wa:later")
    assert json.loads(job.payload) == {
        "sessionId": "later", "waitId": 1, "dueAt": first.due_at.isoformat()
    }  # fmt: skip


def test_the_next_one_is_known_beforehand(store: Store) -> None:
    assert store.timers.seconds_to_next() is None
    add(store, session("none", None))
    assert store.timers.seconds_to_next() is None
    add(store, session("far", 3_600), session("near", 60))
    seconds = store.timers.seconds_to_next()
    assert seconds is not None
    assert 50 < seconds <= 60.1
    add(store, session("past", -60))
    overdue = store.timers.seconds_to_next()
    assert overdue is not None
    assert -70 < overdue <= -59.9


def test_a_newer_wait_keeps_its_timer(store: Store) -> None:
    add(store, session("same", -5), session("newer", -5), session("moved", -5), session("gone", -5))
    due = store.timers.due(10)
    sessions = store.database["sessions"]
    # Meanwhile turns were committed: one began another wait, one waits for longer, one was closed.
    sessions.update_one({"_id": "newer"}, {"$set": {"wait.waitId": 2}})
    sessions.update_one({"_id": "moved"}, {"$set": {"resumeAt": now() + timedelta(seconds=60)}})
    sessions.update_one({"_id": "gone"}, {"$set": {"wait": None}, "$unset": {"resumeAt": ""}})
    store.timers.clear(due)
    has_timer = {document["_id"]: "resumeAt" in document for document in sessions.find()}
    assert has_timer == {"same": False, "newer": True, "moved": True, "gone": False}
    store.timers.clear([])
    assert [timer.job_id for timer in store.timers.due(10)] == ["t:newer:2"]


def fire(uri: str, database: str) -> int:
    """A timer process that looks until nothing is due; returns how often it looked."""
    with store_at(uri, database) as store:
        worker = TimerWorker(store, Settings(app_env="test", timer_batch=50))
        looks = 0
        while store.timers.due(1):
            worker.tick()
            looks += 1
        return looks


def test_two_timer_processes_fire_each_timer_once(mongo_uri: str, store: Store) -> None:
    for _ in range(5):  # until both were at it: one may be done before the other has begun
        for name in ("sessions", "jobs", "lanes"):
            store.database[name].delete_many({})
        add(store, *(session(f"s{n}", -1 - n / 100) for n in range(SESSIONS)), session("future", 600))
        looks = in_processes(fire, [(mongo_uri, store.database.name)] * 2)
        if min(looks) > 0:
            break
    assert min(looks) > 0
    jobs = list(store.database["jobs"].find())
    assert sorted(job["_id"] for job in jobs) == sorted(f"t:s{n}:1" for n in range(SESSIONS))
    assert store.database["lanes"].count_documents({"dueAt": {"$exists": True}}) == SESSIONS
    assert [
        document["_id"] for document in store.database["sessions"].find({"resumeAt": {"$exists": True}})
    ] == ["future"]


def test_a_timer_that_was_fired_and_found_again_is_not_fired_again(store: Store) -> None:
    """The process died between storing the job and taking the timer off; meanwhile the job was done."""
    add(store, session("s", -5))
    due = store.timers.due(10)
    store.jobs.insert([timer.job() for timer in due], now())
    store.jobs.finish(["t:s:1"])
    TimerWorker(store, Settings(app_env="test")).tick()
    job = store.jobs.find("t:s:1")
    assert job is not None
    assert job["state"] == "DONE"
    assert store.timers.due(10) == []
