"""The judge itself: a good history passes, and each kind of bad one is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.history import Allowed, History, Said, violations

AT = datetime(2026, 1, 1, tzinfo=UTC)


def good() -> History:
    """Two messages of one person, each answered once; a call; all at rest."""
    jobs = [{"_id": f"n:{n}", "state": "DONE", "lane": "wa:1"} for n in (1, 2)]
    log = [
        {"sessionId": "s", "lane": "wa:1", "turn": n, "place": 0, "fence": n, "jobId": f"n:{n}", "executedAt": AT}
        for n in (1, 2)
    ]  # fmt: skip
    inbound = [{"_id": f"n:{n}", "direction": "IN", "status": "RECEIVED", "lane": "wa:1"} for n in (1, 2)]
    outbound: list[dict[str, Any]] = [
        {"_id": f"s:{n}:0", "direction": "OUT", "status": "SENT", "lane": "wa:1", "seq": 2 * n, "attemptIds": [f"a{n}"]}
        for n in (1, 2)
    ]  # fmt: skip
    return History(
        said=[Said("49", "one", "n:1"), Said("49", "two", "n:2")],
        sent=[{"opaque": "a1"}, {"opaque": "a2"}],
        calls=[{"headers": {"idempotency-key": "s:1"}}],
        database={
            "jobs": jobs,
            "execution_logs": log,
            "messages": inbound + outbound,
            "lanes": [{"_id": "wa:1", "fence": 2, "owner": None}],
            "sessions": [{"_id": "s", "createdAt": AT, "status": "PAUSED"}],
        },
    )


def test_a_good_history_has_no_violations() -> None:
    assert violations(good()) == []


Damage = Callable[[History], object]


def _swap_turns(history: History) -> None:
    first, second = history.database["execution_logs"]
    first["jobId"], second["jobId"] = second["jobId"], first["jobId"]


def _set(collection: str, place: int, **fields: object) -> Damage:
    return lambda history: history.database[collection][place].update(fields)


def _send_again(history: History) -> None:
    history.database["messages"][2]["attemptIds"].append("b1")
    history.sent.append({"opaque": "b1"})


BAD: dict[str, tuple[str, Damage]] = {
    "job vanished": ("lost", lambda h: h.database["jobs"].pop()),
    "job dead": ("lost", _set("jobs", 0, state="DEAD")),
    "job unrouted": ("lost", _set("jobs", 0, state="UNROUTED")),
    "done without a trace": (
        "lost",
        lambda h: (h.database["execution_logs"].pop(), h.database["messages"].pop(1)),
    ),
    "run twice": (
        "executed twice",
        lambda h: h.database["execution_logs"].append(
            {**h.database["execution_logs"][1], "turn": 3, "fence": 2}
        ),
    ),
    "run in the wrong order": ("out of order", _swap_turns),
    "sent in the wrong order": ("out of order", lambda h: h.sent.reverse()),
    "older holder wrote": ("overlap", _set("execution_logs", 1, fence=0)),
    "fence from nowhere": ("overlap", _set("lanes", 0, fence=1)),
    "turn stands twice": ("overlap", _set("execution_logs", 1, turn=1)),
    "sent twice": ("sent twice", lambda h: h.sent.append({"opaque": "a1"})),
    "sent again by a new attempt": ("sent twice", _send_again),
    "sent from nowhere": ("stray send", lambda h: h.sent.append({"opaque": "zz"})),
    "never sent": ("never sent", lambda h: h.sent.pop()),
    "failed": ("never sent", _set("messages", 2, status="FAILED")),
    "left unknown": ("never sent", _set("messages", 2, status="UNKNOWN")),
    "still queued": ("unfinished", _set("messages", 2, status="QUEUED")),
    "still waited for": ("unfinished", _set("messages", 2, open=True)),
    "called twice": ("called twice", lambda h: h.calls.append(copy.deepcopy(h.calls[0]))),
    "job pending": ("unfinished", _set("jobs", 1, state="PENDING")),
    "lane leased": ("unfinished", _set("lanes", 0, owner="somebody")),
    "lane due": ("unfinished", _set("lanes", 0, dueAt=AT)),
    "session in the middle": ("unfinished", _set("sessions", 0, status="ACTIVE")),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_history_is_found(name: str) -> None:
    kind, damage = BAD[name]
    history = good()
    damage(history)
    assert kind in {violation.kind for violation in violations(history)}


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("job dead", Allowed(dead=True)),
        ("failed", Allowed(unsent=True)),
        ("sent twice", Allowed(repeats=1)),
        ("called twice", Allowed(calls_per_key=2)),
    ],
)
def test_what_a_test_means_to_happen_is_allowed_and_nothing_else(name: str, allowed: Allowed) -> None:
    history = good()
    BAD[name][1](history)
    assert violations(history, allowed) == []
    _swap_turns(history)
    assert [violation.kind for violation in violations(history, allowed)] == ["out of order"]
