"""What administrators watch: all of it, read only, without a word of any conversation."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from api.resources import operations
from api.rest.access import Access
from common.clock import utc_now
from common.model.jobs import JobKind, NewJob
from common.store.audit import audit_entry
from tests.api.figures import count, download
from tests.api.victim import give_everything

if TYPE_CHECKING:
    from collections.abc import Callable

    from pymongo.database import Database

    from common.store.store import Store
    from tests.api.person import Person

ROUTES = [operation for operation in operations() if operation.path.startswith("/api/admin")]
SECRET = "wombat-in-a-secret"


def test_there_is_nothing_to_change() -> None:
    assert len(ROUTES) >= 8
    assert {(operation.method, operation.access) for operation in ROUTES} == {("GET", Access.ADMIN)}


def test_the_platform_in_numbers(database: Database[dict[str, Any]], ann: Person, admin: Person) -> None:
    ids = give_everything(database, ann)
    database["whatsapp_accounts"].update_one({"botId": ids["bot_id"]}, {"$set": {"stoppedFor": "190"}})
    answer = admin.get("/api/admin/overview").json
    assert answer == {
        "users": 1, "administrators": 1, "bots": 1, "connectedNumbers": 1, "stoppedNumbers": 1, "flows": 1,
        "liveFlows": 1, "contacts": 1, "sessions": 1, "activeSessions": 0,
    }  # fmt: skip


def test_users_page_by_page(
    database: Database[dict[str, Any]], person: Callable[..., Person], admin: Person
) -> None:
    people = [person(f"user{n}") for n in range(5)]
    give_everything(database, people[0])
    first = admin.get("/api/admin/users", limit=4).json
    rest = admin.get("/api/admin/users", limit=4, cursor=first["nextCursor"]).json
    emails = [user["email"] for user in first["items"] + rest["items"]]
    assert sorted(emails) == ["root@example.com", *(f"user{n}@example.com" for n in range(5))]
    assert rest["nextCursor"] is None
    found = admin.get("/api/admin/users", email="USER0@").json["items"]
    assert [(user["email"], user["botCount"], user["role"]) for user in found] == [
        ("user0@example.com", 1, "USER")
    ]
    assert admin.get("/api/admin/users", email=".*").json["items"] == []
    assert "passwordHash" not in json.dumps(first)


def test_bots_with_their_owners(
    database: Database[dict[str, Any]], ann: Person, bob: Person, admin: Person
) -> None:
    hers, his = give_everything(database, ann), give_everything(database, bob)
    bots = {bot["id"]: bot for bot in admin.get("/api/admin/bots").json["items"]}
    assert bots[hers["bot_id"]]["ownerEmail"] == "ann@example.com"
    assert (bots[his["bot_id"]]["flowCount"], bots[his["bot_id"]]["isConnected"]) == (1, True)
    only = admin.get("/api/admin/bots", ownerEmail="bob@example.com").json["items"]
    assert [bot["id"] for bot in only] == [his["bot_id"]]
    assert admin.get("/api/admin/bots", ownerEmail="nobody@example.com").json["items"] == []


def test_the_figures_of_all_bots_together(
    store: Store, database: Database[dict[str, Any]], ann: Person, bob: Person, admin: Person
) -> None:
    hers, his = give_everything(database, ann), give_everything(database, bob)
    count(store, hers, utc_now() - timedelta(hours=3), folded=True, n__starts=2)
    count(store, his, n__starts=3)
    assert admin.get("/api/admin/analytics").json["totals"]["starts"] == 5
    points = admin.get("/api/admin/analytics/series", range="24h").json["points"]
    assert sum(point["starts"] for point in points) == 5
    table = download(admin, "/api/admin/analytics/series.csv", range="24h")
    assert table.headers["Content-Disposition"] == 'attachment; filename="analytics-platform.csv"'
    database["bots"].delete_one({"_id": his["bot_id"]})
    count(store, his, utc_now() - timedelta(hours=1), folded=True, n__starts=1)
    assert admin.get("/api/admin/analytics").json["totals"]["starts"] == 6


def test_the_health_of_the_queue(store: Store, database: Database[dict[str, Any]], admin: Person) -> None:
    quiet = admin.get("/api/admin/queue").json
    assert (quiet["pendingJobs"], quiet["oldestDueSeconds"], quiet["missing"]) == (0, 0, ["worker", "timer"])
    now = utc_now()
    store.jobs.insert([NewJob(f"j{n}", JobKind.MESSAGE, f"wa:{n}", "{}", "r", "bot") for n in range(4)], now)
    store.jobs.fail("j0", "broken", max_attempts=0)
    store.lanes.wake([f"wa:{n}" for n in range(4)])
    database["lanes"].update_one({"_id": "wa:1"}, {"$set": {"dueAt": now - timedelta(seconds=90)}})
    database["lanes"].update_one({"_id": "wa:2"}, {"$set": {"dueAt": now + timedelta(hours=1), "owner": "w"}})
    parked = {"dueAt": now + timedelta(hours=1), "parkedFor": "bot_stopped"}
    database["lanes"].update_one({"_id": "wa:3"}, {"$set": parked})
    database["messages"].insert_one({"_id": "m", "lane": "wa:1", "seq": 1, "open": True, "status": "UNKNOWN"})
    database["sessions"].insert_one({"_id": "s", "resumeAt": now - timedelta(seconds=30)})
    store.heartbeats.beat("w1", "worker", {"host": "here", "pid": 12})
    look = admin.get("/api/admin/queue").json
    assert (look["pendingJobs"], look["deadJobs"], look["dueLanes"], look["leasedLanes"]) == (3, 1, 2, 1)
    assert 89 < look["oldestDueSeconds"] < 120
    assert (look["lateTimers"], look["latestTimerSeconds"] > 29) == (1, True)
    assert look["parkedLanes"] == [{"kind": "bot_stopped", "count": 1}]
    assert (look["unsentMessages"], look["unknownSends"]) == ([{"kind": "UNKNOWN", "count": 1}], 1)
    assert look["missing"] == ["timer"]
    (process,) = look["processes"]
    assert (process["kind"], process["host"], process["pid"], process["isAlive"]) == (
        "worker",
        "here",
        12,
        True,
    )


def test_the_audit_log_by_what_was_done_and_by_whom(store: Store, ann: Person, admin: Person) -> None:
    for n in range(3):
        entry = audit_entry(
            action="flow.deployed" if n else "user.logged_in", actor_id=ann.user_id, actor_email=ann.email,
            target_type="flow", target_id=f"f{n}", bot_id="bot-1" if n == 2 else None, ip="::1", request_id="r",
            detail={"n": n},
        )  # fmt: skip
        store.audit.record(entry)
    log = admin.get("/api/admin/audit-log").json["items"]
    assert [entry["targetId"] for entry in log] == ["f2", "f1", "f0"]
    assert log[0]["detail"] == {"n": 2}
    for query, wanted in (
        ({"action": "flow.deployed"}, ["f2", "f1"]),
        ({"actorId": "somebody else"}, []),
        ({"botId": "bot-1"}, ["f2"]),
        ({"from": "2020-01-01T00:00:00Z", "to": "2021-01-01T00:00:00Z"}, []),
    ):
        found = admin.get("/api/admin/audit-log", **query).json["items"]
        assert [entry["targetId"] for entry in found] == wanted, query
    backwards = admin.get(
        "/api/admin/audit-log", **{"from": "2021-01-01T00:00:00Z", "to": "2020-01-01T00:00:00Z"}
    )
    assert backwards.status == 422


@pytest.mark.parametrize("operation", ROUTES, ids=lambda operation: operation.path)
def test_no_secret_and_no_word_of_a_conversation(
    database: Database[dict[str, Any]], ann: Person, admin: Person, operation: Any
) -> None:
    ids = give_everything(database, ann)
    database["users"].update_one({"_id": ann.user_id}, {"$set": {"passwordHash": SECRET}})
    database["messages"].update_many({}, {"$set": {"messageContent": SECRET, "open": True}})
    secret = dict.fromkeys(("phoneNumber", "accessToken", "stoppedFor"), SECRET)
    database["whatsapp_accounts"].update_one({"botId": ids["bot_id"]}, {"$set": secret})
    database["jobs"].insert_one({"_id": "j", "state": "DEAD", "payload": SECRET, "reason": SECRET, "seq": 1})
    text = download(admin, operation.path).get_data(as_text=True)
    assert text
    assert SECRET not in text
