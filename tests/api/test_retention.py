"""Retention per bot: shorter times take effect on what is there already, and on nobody else's."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from bson import Timestamp

from api.cli import create_app as create_commands
from common.clock import utc_now
from tests.api.test_bots import BOTS, make
from tests.http.web_setup import settings_for
from worker.sweeper import Sweeper

if TYPE_CHECKING:
    from pymongo.database import Database

    from common.store.store import Store
    from tests.api.person import Person

Json = dict[str, Any]


@pytest.fixture
def bot_id(ann: Person) -> str:
    bot_id: str = make(ann)["id"]
    return bot_id


@pytest.fixture
def sweeper(store: Store, mongo_uri: str, database: Database[Json]) -> Sweeper:
    return Sweeper(store, settings_for(mongo_uri, database.name))


def keep(who: Person, bot_id: str, revision: int, **days: Any) -> None:
    answer = who.patch(f"{BOTS}/{bot_id}", {"revision": revision, "settings": {"retention": days}})
    assert answer.status == 200, answer.text


def talk(store: Store, bot_id: str, name: str, *, begun: int, ended: int | None = None) -> None:
    """A conversation with a message and a step each day since it began, so many days ago."""
    now = utc_now()
    session = {
        "_id": name, "botId": bot_id, "contactId": f"c-{name}", "channel": "WHATSAPP", "lane": f"wa:c-{name}",
        "isTest": False, "isOpen": ended is None, "status": "PAUSED" if ended is None else "CLOSED", "rev": 1,
        "createdAt": now - timedelta(days=begun),
    }  # fmt: skip
    if ended is not None:
        session["closedAt"] = now - timedelta(days=ended)
    store.database["sessions"].insert_one(session)
    for day in range(ended or 0, begun + 1):
        at = now - timedelta(days=day, minutes=1)
        base = {"sessionId": name, "botId": bot_id, "contactId": f"c-{name}", "seq": begun - day}
        store.database["messages"].insert_one(
            {"_id": f"{name}-{day}", **base, "sentAt": at, "status": "SENT"}
        )
        store.database["execution_logs"].insert_one(
            {
                "_id": f"{name}-{day}",
                "sessionId": name,
                "botId": bot_id,
                "turn": begun - day,
                "place": 0,
                "executedAt": at,
            }
        )


def kept(store: Store, collection: str, bot_id: str) -> list[str]:
    return sorted(document["_id"] for document in store.database[collection].find({"botId": bot_id}))


def put_aside(store: Store, bot_id: str | None, name: str, state: str, days: int) -> None:
    seq = Timestamp(int((utc_now() - timedelta(days=days)).timestamp()), 1)
    job = {"_id": name, "botId": bot_id, "state": state, "lane": None, "payload": "{}", "seq": seq}
    store.database["jobs"].insert_one(job)


def test_shorter_times_take_effect_on_what_is_there(
    ann: Person, bot_id: str, store: Store, sweeper: Sweeper
) -> None:
    other = make(ann, "other")["id"]
    for bot in (bot_id, other):
        talk(store, bot, f"long-{bot}", begun=9)
        talk(store, bot, f"over-{bot}", begun=9, ended=7)
        talk(store, bot, f"new-{bot}", begun=2)
        at = utc_now() - timedelta(days=8)
        store.database["messages"].insert_one(
            {"_id": f"none-{bot}", "botId": bot, "sessionId": None, "sentAt": at}
        )
        put_aside(store, bot, f"dead-{bot}", "DEAD", 8)
        put_aside(store, bot, f"pending-{bot}", "PENDING", 8)
    before = {name: kept(store, name, other) for name in ("messages", "execution_logs", "sessions", "jobs")}
    sweeper.tick()
    assert kept(store, "messages", bot_id) == [one.replace(other, bot_id) for one in before["messages"]]
    keep(ann, bot_id, 1, messageDays=5, executionLogDays=3)
    assert ann.get(f"{BOTS}/{bot_id}").json["keptDays"] == {"messageDays": 5, "executionLogDays": 3}
    assert sweeper.tick() is True
    long, new = f"long-{bot_id}", f"new-{bot_id}"
    assert kept(store, "messages", bot_id) == [
        *(f"{long}-{day}" for day in range(5)), *(f"{new}-{day}" for day in range(3))
    ]  # fmt: skip
    assert kept(store, "execution_logs", bot_id) == [
        *(f"{long}-{day}" for day in range(3)), *(f"{new}-{day}" for day in range(3))
    ]  # fmt: skip
    assert kept(store, "sessions", bot_id) == [long, new], "what is over goes, what is open stays"
    assert kept(store, "jobs", bot_id) == [f"pending-{bot_id}"], "what waits is not too old to be done"
    assert {name: kept(store, name, other) for name in before} == before
    assert sweeper.tick() is False, "not again for an hour"
    keep(ann, bot_id, 2, messageDays=1, executionLogDays=1)
    assert sweeper.tick() is True, "but at once when it is shortened further"
    assert len(kept(store, "messages", bot_id)) == 2


def test_what_waits_to_be_sent_is_not_too_old_for_it(
    ann: Person, bot_id: str, store: Store, sweeper: Sweeper
) -> None:
    talk(store, bot_id, "long", begun=9)
    talk(store, bot_id, "over", begun=9, ended=8)
    waiting = ["long-8", "over-9", "none"]
    at = utc_now() - timedelta(days=8)
    store.database["messages"].insert_one({"_id": "none", "botId": bot_id, "sessionId": None, "sentAt": at})
    store.database["messages"].update_many({"_id": {"$in": waiting}}, {"$set": {"open": True}})
    keep(ann, bot_id, 1, messageDays=1)
    assert sweeper.tick() is True
    assert kept(store, "messages", bot_id) == sorted(["long-0", *waiting])
    assert kept(store, "sessions", bot_id) == ["long", "over"]
    store.database["messages"].update_many({}, {"$unset": {"open": ""}})  # sent
    keep(ann, bot_id, 2, messageDays=2)
    keep(ann, bot_id, 3, messageDays=1)
    assert sweeper.tick() is True
    assert kept(store, "messages", bot_id) == ["long-0"]
    assert kept(store, "sessions", bot_id) == ["long"]


def test_a_bot_without_times_of_its_own_is_left_to_the_database(
    ann: Person, bot_id: str, store: Store, sweeper: Sweeper
) -> None:
    talk(store, bot_id, "long", begun=30)
    keep(ann, bot_id, 1, messageDays=5)
    keep(ann, bot_id, 2, messageDays=None)
    assert ann.get(f"{BOTS}/{bot_id}").json["keptDays"] == {"messageDays": 90, "executionLogDays": 14}
    assert sweeper.tick() is False
    assert len(kept(store, "messages", bot_id)) == 31


@pytest.mark.parametrize(
    ("days", "field"),
    [
        ({"messageDays": 91}, "settings.retention.messageDays"),
        ({"executionLogDays": 15}, "settings.retention.executionLogDays"),
        ({"messageDays": 0}, "settings"),
        ({"messageDays": "7"}, "settings"),
        ({"messageDays": True}, "settings"),
        ({"hours": 1}, "settings"),
    ],
)
def test_times_beyond_the_installations_are_refused(ann: Person, bot_id: str, days: Json, field: str) -> None:
    answer = ann.patch(f"{BOTS}/{bot_id}", {"revision": 1, "settings": {"retention": days}})
    assert answer.status == 422
    assert list(answer.fields) == [field]
    assert ann.get(f"{BOTS}/{bot_id}").json["revision"] == 1


def test_what_nobody_looks_at_again_goes_in_the_end(store: Store, sweeper: Sweeper, bot_id: str) -> None:
    for days in (89, 91):
        put_aside(store, None, f"unrouted-{days}", "UNROUTED", days)
        put_aside(store, bot_id, f"dead-{days}", "DEAD", days)
    for name, days in (("yesterday", 1), ("last-week", 7)):
        store.database["contacts"].insert_one(
            {"_id": name, "botId": bot_id, "aliases": [f"sim:{name}"], "isTest": True,
             "updatedAt": utc_now() - timedelta(days=days)}
        )  # fmt: skip
        # A test's own clock may stand in another year.
        ahead = {"createdAt": utc_now() + timedelta(days=400), "contactId": name, "botId": bot_id, "seq": 1}
        store.database["messages"].insert_one({"_id": name, **ahead, "sentAt": ahead["createdAt"]})
    assert sweeper.tick() is False, "the testers are asked for"
    assert sweeper.tick() is True, "and deleted like any contact"
    assert {job["_id"] for job in store.database["jobs"].find()} == {"unrouted-89", "dead-89"}
    assert [contact["_id"] for contact in store.database["contacts"].find()] == ["yesterday"]
    assert kept(store, "messages", bot_id) == ["yesterday"]


def test_the_command_counts_and_deletes(
    ann: Person, bot_id: str, store: Store, mongo_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk(store, bot_id, "long", begun=9, ended=8)
    keep(ann, bot_id, 1, messageDays=5)
    gone = make(ann, "gone")["id"]
    ann.delete(f"{BOTS}/{gone}")
    settings = settings_for(mongo_uri, store.database.name, lease_seconds=1.0)
    monkeypatch.setattr("api.retention_command.open_store", lambda: (settings, store))
    run = create_commands().test_cli_runner()
    dry = run.invoke(args=["retention", "run", "--dry-run"])
    assert dry.exit_code == 0, dry.output
    assert "would delete          2 messages" in dry.output
    assert "1 deletions are not complete" in dry.output
    assert len(kept(store, "messages", bot_id)) == 2
    real = run.invoke(args=["retention", "run"])
    assert real.exit_code == 0, real.output
    assert kept(store, "messages", bot_id) == kept(store, "sessions", bot_id) == []
    again = run.invoke(args=["retention", "run"])
    assert "Nothing has been kept for too long." in again.output
