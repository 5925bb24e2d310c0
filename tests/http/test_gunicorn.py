"""The web process as it runs: odd requests over a real socket, and kill -9 at every point of receiving."""

from __future__ import annotations

import contextlib
import socket
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING, Any

import pytest

from common.ids import new_ulid
from common.store.store import Store
from tests.http.meta_webhooks import NUMBER, message, post, sign, to_wire, value
from tests.http.web_setup import APP_SECRET, PATH, Server, connect_numbers, gunicorn, wait_until_live

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo import MongoClient
    from pymongo.database import Database

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def shared(_mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """One database for all tests here, since the healthy server is one."""
    name = f"test_{new_ulid()}"
    connect_numbers(_mongo_client[name])
    yield _mongo_client[name]
    _mongo_client.drop_database(name)


@pytest.fixture(scope="module")
def healthy(
    mongo_uri: str, shared: Database[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    with gunicorn(mongo_uri, shared.name, tmp_path_factory.mktemp("gunicorn") / "log") as server:
        yield server


def jobs_with(database: Database[dict[str, Any]], wamid: str) -> list[dict[str, Any]]:
    return list(database["jobs"].find({"_id": {"$regex": wamid}}))


# point -> jobs stored, lane awake, when the process was killed there
CRASHES = {"W1": (0, False), "W3": (3, False), "W2": (3, True)}


@pytest.mark.parametrize("point", CRASHES)
def test_kill_9_while_receiving_loses_and_doubles_nothing(
    mongo_uri: str, shared: Database[dict[str, Any]], healthy: Server, tmp_path: Any, point: str
) -> None:
    body = post(value(messages=[message(f"wamid.{point}.{n}", sender=point) for n in range(3)]))
    with gunicorn(mongo_uri, shared.name, tmp_path / "log", CRASHPOINT=point) as server:
        with pytest.raises((OSError, HTTPException)):
            server.deliver(body)
        wait_until_live(server, tmp_path / "log")  # only the worker process died, and there is a new one
    stored, is_awake = CRASHES[point]
    before = jobs_with(shared, f"wamid.{point}")
    assert len(before) == stored
    lanes = [job["lane"] for job in before]
    assert (
        shared["lanes"].find_one({"_id": {"$in": lanes}, "dueAt": {"$exists": True}}) is not None
    ) is is_awake
    for _ in range(2):
        assert healthy.deliver(body) == 200  # Meta repeats what was not answered
    after = jobs_with(shared, f"wamid.{point}")
    assert sorted(job["_id"] for job in after) == [f"{NUMBER}:wamid.{point}.{n}" for n in range(3)]
    assert {job["state"] for job in after} == {"PENDING"}
    lane = shared["lanes"].find_one({"_id": after[0]["lane"]})
    assert lane is not None
    assert "dueAt" in lane
    order = [job["_id"] for job in sorted(after, key=lambda job: job["seq"])]
    assert order == [f"{NUMBER}:wamid.{point}.{n}" for n in range(3)]


def test_a_chunked_body_has_the_same_limit(healthy: Server, shared: Database[dict[str, Any]]) -> None:
    before = shared["jobs"].count_documents({})
    with contextlib.closing(HTTPConnection("127.0.0.1", healthy.port, timeout=20)) as connection:
        chunks = (b"x" * MIB for _ in range(5))
        headers = {"X-Hub-Signature-256": sign(APP_SECRET, b"x" * 5 * MIB)}
        connection.request("POST", PATH, chunks, headers, encode_chunked=True)
        answer = connection.getresponse()
        assert answer.status == 413
        assert b'"too_large"' in answer.read()
    assert shared["jobs"].count_documents({}) == before


def test_a_chunked_body_below_it_is_taken(healthy: Server, shared: Database[dict[str, Any]]) -> None:
    raw = to_wire(post(value(messages=[message("wamid.chunked")])))
    with contextlib.closing(HTTPConnection("127.0.0.1", healthy.port, timeout=20)) as connection:
        headers = {"X-Hub-Signature-256": sign(APP_SECRET, raw)}
        connection.request(
            "POST", PATH, (raw[i : i + 7] for i in range(0, len(raw), 7)), headers, encode_chunked=True
        )
        assert connection.getresponse().status == 200
    assert len(jobs_with(shared, "wamid.chunked")) == 1


@pytest.mark.parametrize(
    "signature", [b"sha256=\xff\xfe\xe9", b"sha256=" + b"\xc3\xa9" * 32, b"sha256=" + b"0" * 60_000]
)
def test_a_signature_of_odd_bytes_is_refused(healthy: Server, signature: bytes) -> None:
    raw = to_wire(post(value(messages=[message("wamid.odd")])))
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\nX-Hub-Signature-256: %s\r\n\r\n"
    with socket.create_connection(("127.0.0.1", healthy.port), timeout=10) as connection:
        connection.sendall(head % (PATH.encode(), len(raw), signature) + raw)
        answer = connection.recv(100)
    code = int(answer.split()[1])
    assert code == 401 if len(signature) < 1_000 else 400 <= code < 500


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(
    healthy: Server, shared: Database[dict[str, Any]]
) -> None:
    raw = to_wire(post(value(messages=[message("wamid.half")])))
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nX-Hub-Signature-256: %s\r\n\r\n"
    with socket.create_connection(("127.0.0.1", healthy.port), timeout=10) as connection:
        connection.sendall(head % (PATH.encode(), len(raw), sign(APP_SECRET, raw).encode()) + raw[:-5])
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1000)  # the answer, or the end
    assert jobs_with(shared, "wamid.half") == []
    assert healthy.deliver(post(value(messages=[message("wamid.after")]))) == 200


def test_production_warns_while_a_default_password_is_unchanged(
    mongo_uri: str, database: Database[dict[str, Any]], tmp_path: Any
) -> None:
    users = Store(database).users
    users.ensure("abhi@gmail.com", "hash", "USER", must_change_password=True)
    users.ensure("ann@example.com", "hash", "USER", must_change_password=False)
    for environment, is_warned in (("production", True), ("development", False)):
        log = tmp_path / environment
        with gunicorn(mongo_uri, database.name, log, APP_ENV=environment):
            words = log.read_text()
        assert ("account.default_password" in words) is is_warned, words
        assert "ann@example.com" not in words
