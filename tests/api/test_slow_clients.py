"""Clients that ask for much and read nothing: they hold places of their own, and nobody else waits for them."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from api import request_slots
from api.downloads import Downloads
from api.request_slots import RequestSlots
from common.errors import AppError
from tests.api.test_bots import BOTS, make
from tests.api.test_contacts import meet
from tests.http.web_setup import Server, gunicorn
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from common.store.store import Store
    from tests.api.person import Person

MANY = 30  # more than the process has threads
MB = 1_000_000


@pytest.fixture
def contact(ann: Person, store: Store) -> tuple[str, str]:
    """A bot of Ann's and its contact, with 20 MB of messages."""
    bot_id = make(ann)["id"]
    contact_id = meet(store, bot_id, "4917011", "Ada")
    messages = store.database["messages"]
    one = messages.find_one({"contactId": contact_id, "sessionId": f"{contact_id}-1"})
    assert one is not None
    for number in range(20):
        text = {"messageContent": "x" * MB, "seq": 1000 + number, "wamid": f"long.{number}"}
        messages.insert_one({**one, **text, "_id": f"long:{number}"})
    return bot_id, contact_id


@pytest.fixture
def server(mongo_uri: str, store: Store, tmp_path: Path) -> Iterator[Server]:
    small = {"WEB_THREADS": "4", "WEB_STREAMS": "2"}
    with gunicorn(mongo_uri, store.database.name, tmp_path / "log", **small) as server:
        yield server


def ask(server: Server, person: Person, path: str) -> socket.socket:
    """Ask for this, and read nothing."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", server.port))
    head = f"GET {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {person.token}\r\n\r\n"
    connection.sendall(head.encode())
    return connection


@pytest.mark.parametrize(
    "what", ["contacts/{contact}/export", "sessions/{contact}-1/messages?limit=100", "flows"]
)
def test_who_reads_nothing_keeps_nobody_from_being_served(
    server: Server, ann: Person, contact: tuple[str, str], what: str
) -> None:
    bot_id, contact_id = contact
    path = f"{BOTS}/{bot_id}/{what.format(contact=contact_id)}"
    with contextlib.ExitStack() as open_now:
        connections = [open_now.enter_context(ask(server, ann, path)) for _ in range(MANY)]
        wait_until(lambda: all(has_begun(each) for each in connections), "all answers have begun")
        begun = time.monotonic()
        assert server.request("GET", "/health/live")[0] == 200
        assert server.deliver({"object": "whatsapp_business_account", "entry": []}) == 200
        assert time.monotonic() - begun < 5
        first_lines = [each.recv(12, socket.MSG_PEEK) for each in connections]
    if what != "flows":
        assert b"HTTP/1.1 200" in first_lines
        assert b"HTTP/1.1 429" in first_lines
    else:
        assert set(first_lines) == {b"HTTP/1.1 200"}


def has_begun(connection: socket.socket) -> bool:
    try:
        return len(connection.recv(12, socket.MSG_PEEK | socket.MSG_DONTWAIT)) == 12
    except BlockingIOError:
        return False


def test_whoever_has_read_one_export_gets_the_next(
    server: Server, ann: Person, contact: tuple[str, str]
) -> None:
    path = f"{BOTS}/{contact[0]}/contacts/{contact[1]}/export"
    for _ in range(3):
        status, text = server.request("GET", path, headers={"Authorization": f"Bearer {ann.token}"})
        assert (status, len(text) > 20 * MB) == (200, True)


def test_who_reads_nothing_for_long_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_slots, "SEND_SECONDS", 1)
    slots = RequestSlots(of_size(50 * MB), 1, most_long=1)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        client = socket.create_connection(listener.getsockname())
        ours, _ = listener.accept()
    with client, ours:
        answer: Any = slots({"gunicorn.socket": ours}, started([]))
        begun = time.monotonic()
        with pytest.raises(BlockingIOError):
            ours.sendall(next(answer))
        assert time.monotonic() - begun < 10
        statuses: list[str] = []
        slots({}, started(statuses))
        assert statuses == ["429 Too Many Requests"]
        answer.close()
        slots({}, started(statuses))
        assert statuses[1:] == ["200 OK"]
        with pytest.raises(BrokenPipeError):
            ours.sendall(b"more")


def of_size(size: int) -> Any:
    def app(_environ: object, start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [("Content-Length", str(size))])
        return [b"x" * size]

    return app


def started(statuses: list[str]) -> Any:
    return lambda status, _headers: statuses.append(status)


def test_places_for_downloads_are_counted_by_user_and_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.downloads._PLACE_SECONDS", 0.05)
    downloads = Downloads(2)
    mine = downloads.begin("ann")
    with pytest.raises(AppError, match="Too many downloads"):
        downloads.begin("ann")
    other = downloads.begin("bob")
    with pytest.raises(AppError):
        downloads.begin("cat")
    mine.close()
    mine.close()  # twice gives back one place
    cats = downloads.begin("cat")
    with pytest.raises(AppError):
        downloads.begin("ann")
    del cats  # forgotten
    assert downloads.begin("ann").user_id == "ann"
    other.close()


def test_who_may_not_wait_is_answered_at_once(ann: Person, store: Store) -> None:
    """Controls and deletions wait in slots that webhooks need: only some of them at a time."""
    bot_id = make(ann)["id"]
    contact_id = meet(store, bot_id, "4917011", "Ada")
    patience = ann.app.extensions["web"].patience
    with contextlib.ExitStack() as waiting:
        most = ann.app.extensions["web"].settings.web_threads // 4
        assert [waiting.enter_context(patience.may_wait()) for _ in range(most + 1)] == [True] * most + [
            False
        ]
        begun = time.monotonic()
        answer = ann.post(f"{BOTS}/{bot_id}/contacts/{contact_id}/pause", {})
        assert answer.status == 202
        assert ann.delete(f"{BOTS}/{bot_id}/contacts/{contact_id}").status == 202
        assert time.monotonic() - begun < 1.5
        assert store.deletions.pending() == 1
    with patience.may_wait() as may_wait:
        assert may_wait
