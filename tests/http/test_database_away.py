"""The database stands still or is gone: 503 within three seconds, and nothing is lost or doubled afterwards."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from pymongo import MongoClient

from api.app import create_app
from scripts.local.mongod import EmbeddedMongod
from tests.http.meta_webhooks import NUMBER, message, post, value
from tests.http.web_setup import connect_numbers, deliver, gunicorn, settings_for, stored_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

AT_ONCE = 32
LIMIT_SECONDS = 3.0
BACK_SECONDS = 15.0


@pytest.fixture(scope="module")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMongod]:
    """One that the tests may stop; everybody else's runs on."""
    with EmbeddedMongod(tmp_path_factory.mktemp("own-mongod")) as mongod:
        yield mongod


@contextmanager
def frozen(mongod: EmbeddedMongod) -> Iterator[None]:
    """It takes connections and bytes, and says nothing."""
    assert mongod.pid is not None
    os.kill(mongod.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(mongod.pid, signal.SIGCONT)


@contextmanager
def gone(mongod: EmbeddedMongod) -> Iterator[None]:
    """Nobody listens; afterwards it is back at the same address."""
    mongod.stop()
    try:
        yield
    finally:
        mongod.start()


def post_of(number: int) -> dict[str, Any]:
    return post(value(messages=[message(f"wamid.{number}", sender=str(49170 + number))]))


def all_at_once(send: Callable[[int], int]) -> list[tuple[int, float]]:
    """Status and seconds of each of as many posts as there are."""
    together = Barrier(AT_ONCE)

    def timed(number: int) -> tuple[int, float]:
        together.wait(10)
        begun = time.monotonic()
        return send(number), time.monotonic() - begun

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(timed, range(AT_ONCE)))


def check_outage(
    mongod: EmbeddedMongod,
    database_name: str,
    outage: Callable[[EmbeddedMongod], AbstractContextManager[None]],
    send: Callable[[int], int],
) -> None:
    assert send(1_000) == 200
    with outage(mongod):
        answers = all_at_once(send)
        # Whoever comes later is told so at once, or after one more attempt.
        answers += [all_at_once(send)[0]]
    assert {code for code, _ in answers} == {503}
    assert max(seconds for _, seconds in answers) < LIMIT_SECONDS
    end = time.monotonic() + BACK_SECONDS
    while send(0) != 200:
        assert time.monotonic() < end
    assert [code for code, _ in all_at_once(send)] == [200] * AT_ONCE  # Meta repeats them all
    client: MongoClient[dict[str, Any]] = MongoClient(mongod.uri)
    with client:
        database = client[database_name]
        numbers = [*range(AT_ONCE), 1_000]
        assert sorted(stored_ids(database)) == sorted(f"{NUMBER}:wamid.{n}" for n in numbers)
        assert database["jobs"].count_documents({"state": "PENDING"}) == len(numbers)
        assert database["lanes"].count_documents({"dueAt": {"$exists": True}}) == len(numbers)


@pytest.mark.parametrize("outage", [frozen, gone])
def test_gunicorn_refuses_in_time_and_loses_nothing(
    mongod: EmbeddedMongod,
    tmp_path: Path,
    outage: Callable[[EmbeddedMongod], AbstractContextManager[None]],
) -> None:
    name = f"gunicorn_{outage.__name__}"
    client: MongoClient[dict[str, Any]] = MongoClient(mongod.uri)
    with client:
        connect_numbers(client[name])
    with gunicorn(mongod.uri, name, tmp_path / "log") as server:
        check_outage(mongod, name, outage, lambda number: server.deliver(post_of(number)))


def test_every_thread_of_a_process_refuses_in_time(mongod: EmbeddedMongod) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(mongod.uri)
    with client:
        connect_numbers(client["threads"])
    app = create_app(settings_for(mongod.uri, "threads", web_threads=AT_ONCE))
    check_outage(mongod, "threads", frozen, lambda number: deliver(app, post_of(number)).status_code)
    app.extensions["web"].store.close()


def test_an_outage_is_told_as_one_and_hides_no_bad_signature(mongod: EmbeddedMongod) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(mongod.uri)
    with client:
        connect_numbers(client["told"])
    app = create_app(settings_for(mongod.uri, "told"))
    with frozen(mongod):
        answer = deliver(app, post_of(1))
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "1"
        error = answer.get_json()["error"]
        assert error["code"] == "database_unavailable"
        assert error["requestId"] == answer.headers["X-Request-Id"]
        assert "127.0.0.1" not in answer.text
        unsigned = app.test_client().post("/api/webhook/whatsapp", data=b"{}")
        assert unsigned.status_code == 401
        begun = time.monotonic()
        assert app.test_client().get("/health/ready").status_code == 503
        assert time.monotonic() - begun < 2
        assert app.test_client().get("/health/live").status_code == 200
    app.extensions["web"].store.close()
