"""Whether a load balancer may send requests here: alive, and ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.store.indexes import Retention, ensure_indexes

if TYPE_CHECKING:
    from flask import Flask
    from pymongo.database import Database


@pytest.fixture
def ready_app(app: Flask, database: Database[dict[str, Any]]) -> Flask:
    """An application that could be sent requests."""
    ensure_indexes(database, Retention())
    return app


def state(app: Flask) -> tuple[int, dict[str, Any]]:
    answer = app.test_client().get("/health/ready")
    body: dict[str, Any] = answer.get_json()
    assert body["status"] == ("ok" if answer.status_code == 200 else "unavailable")
    return answer.status_code, body


def test_alive_is_whatever_answers(app: Flask) -> None:
    assert app.test_client().get("/health/live").get_json() == {"status": "ok"}


def test_ready_names_the_processes_that_nobody_has_seen(ready_app: Flask) -> None:
    store = ready_app.extensions["web"].store
    assert state(ready_app) == (
        200,
        {
            "status": "ok", "database": "ok", "indexes": "ok", "keys": "ok", "process": "ok",
            "missing": ["worker", "timer"],
        },
    )  # fmt: skip
    store.heartbeats.beat("w1", "worker", {})
    assert state(ready_app)[1]["missing"] == ["timer"]
    store.heartbeats.beat("t1", "timer", {})
    assert state(ready_app)[1]["missing"] == []


def test_without_its_indexes_it_is_not_ready(app: Flask, database: Database[dict[str, Any]]) -> None:
    ensure_indexes(database, Retention())
    database["jobs"].drop_index("lane_1_seq_1")
    status, body = state(app)
    assert (status, body["indexes"]) == (503, "missing")
    ensure_indexes(database, Retention())
    assert state(app)[0] == 200


def test_a_process_that_was_told_to_stop_is_not_ready(ready_app: Flask) -> None:
    ready_app.extensions["is_draining"] = lambda: True
    status, body = state(ready_app)
    assert (status, body["process"]) == (503, "draining")


def test_keys_that_read_nothing_are_found(ready_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.secrets.KeyRing.decrypt", lambda *_: "something else")
    status, body = state(ready_app)
    assert (status, body["keys"]) == (503, "unusable")


def test_ready_tells_nobody_what_the_keys_are(ready_app: Flask) -> None:
    text = ready_app.test_client().get("/health/ready").get_data(as_text=True)
    settings = ready_app.extensions["web"].settings
    assert settings.encryption_keys.partition(":")[2] not in text
    assert settings.mongodb_uri not in text
