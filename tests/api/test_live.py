"""Streams from the inside: heartbeats, tokens that end, a change stream that dies, and what a real session shows."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from pymongo.errors import AutoReconnect

from api.live import hub as hub_module
from api.live import streams
from api.live.happenings import Place, of_test, read_place
from api.live.hub import Hub, Watcher
from api.request_slots import RequestSlots
from common.clock import utc_now
from common.errors import AppError
from common.store.changes import Changes, Watched
from common.store.store import Store
from tests.api.simulated import Json, give_bot
from tests.api.victim import MARK, give_everything
from tests.support.flows import echo
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from flask import Flask
    from pymongo.database import Database

    from tests.api.person import Person


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.2)
    monkeypatch.setattr(streams, "_LOOK_SECONDS", 0.05)


class Open:
    """A stream in this process, read in a thread."""

    def __init__(self, app: Flask, person: Person, path: str) -> None:
        self.text = ""
        self.has_ended = False
        headers = {"Authorization": f"Bearer {person.token}"}
        threading.Thread(target=self._read, args=(app, path, headers), daemon=True).start()

    def _read(self, app: Flask, path: str, headers: dict[str, str]) -> None:
        response = app.test_client().get(path, headers=headers)
        chunks: Iterator[Any] = iter(response.response)
        for chunk in chunks:
            self.text += chunk if isinstance(chunk, str) else chunk.decode()
        response.close()
        self.has_ended = True


@pytest.fixture
def conversation(api: Flask, store: Store, ann: Person) -> str:
    """The path of a test conversation of Ann's that has not begun."""
    bot_id, (flow_id,) = give_bot(store.database, ann, echo())
    path = f"/api/bots/{bot_id}/simulator/conversations"
    made = ann.post(path, {"flowId": flow_id, "phoneNumber": "491701234567"})
    return f"{path}/{made.json['id']}/events"


def change(store: Store, path: str, number: int) -> None:
    """What a worker writes at the least."""
    contact_id = path.split("/")[-2]
    store.database["contacts"].update_one(
        {"_id": contact_id},
        {"$set": {"conversationTurn": number, "botId": "b", "aliases": [contact_id]}},
        upsert=True,
    )


def test_a_quiet_stream_shows_that_it_lives(api: Flask, ann: Person, conversation: str) -> None:
    stream = Open(api, ann, conversation)
    wait_until(lambda: stream.text.count(": still here\n\n") >= 3, "heartbeats")
    assert stream.text.startswith("retry: 2000\n\nid: 0:999999\nevent: waiting\n")
    assert stream.text.count("event: state") == 1
    ann.post("/api/auth/logout-everywhere")
    wait_until(lambda: stream.has_ended, "its end")


@pytest.mark.parametrize("way", ["logout", "logout-everywhere"])
def test_a_stream_ends_with_the_token(api: Flask, ann: Person, conversation: str, way: str) -> None:
    stream = Open(api, ann, conversation)
    wait_until(lambda: "event: state" in stream.text, "how it stands")
    ann.post(f"/api/auth/{way}")
    wait_until(lambda: stream.has_ended, "its end")
    assert stream.text.endswith('event: end\ndata: {"reason":"signed_out"}\n\n')
    assert api.extensions["web"].live.count() == 0


def test_news_are_told_at_once(
    api: Flask, ann: Person, store: Store, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 60)  # no net below the change stream
    stream = Open(api, ann, conversation)
    for number in (1, 2, 3):
        change(store, conversation, number)
        wait_until(lambda: f"id: {number}:1000000" in stream.text, "the news", 5)  # noqa: B023 - awaited here
    ann.post("/api/auth/logout-everywhere")


def test_a_change_stream_that_dies_is_opened_again_and_nothing_is_missed(
    api: Flask, ann: Person, store: Store, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 60)
    monkeypatch.setattr(hub_module, "_PAUSE_SECONDS", 0.05)
    stream = Open(api, ann, conversation)
    wait_until(lambda: "event: state" in stream.text, "how it stands")
    really_next = Changes.next
    deaths = itertools.count()

    def die(changes: Changes) -> Watched | None:
        if next(deaths) < 3:
            change(store, conversation, 7)  # while nobody listens
            changes.close()
            raise AutoReconnect("gone")
        return really_next(changes)

    monkeypatch.setattr(Changes, "next", die)
    wait_until(lambda: "id: 7:1000000" in stream.text, "what came meanwhile", 5)
    monkeypatch.setattr(Changes, "next", really_next)
    change(store, conversation, 8)
    wait_until(lambda: "id: 8:1000000" in stream.text, "what comes afterwards", 5)


def test_what_somebody_else_watches_is_no_news(api: Flask, store: Store) -> None:
    hub = Hub(store, most=9, most_each=9)
    mine, other = hub.watch("u", Watched("contacts", "a")), hub.watch("u", Watched("contacts", "b"))
    wait_until(lambda: mine.wait(0.1), "the stream is open")
    wait_until(lambda: not (mine.wait(0.5) or other.wait(0.01)), "it is quiet")
    store.database["contacts"].insert_one({"_id": "a", "botId": "b", "aliases": ["x"]})
    assert mine.wait(5)
    assert not other.wait(0.3)
    mine.close()
    other.close()


def test_places_are_counted_by_user_and_for_all(
    api: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_PLACE_SECONDS", 0.05)
    hub = Hub(store, most=3, most_each=2)
    one = Watched("contacts", "a")
    open_now = [hub.watch("ann", one), hub.watch("ann", one)]
    with pytest.raises(AppError, match="Too many live views"):
        hub.watch("ann", one)
    open_now.append(hub.watch("bob", one))
    with pytest.raises(AppError):
        hub.watch("bob", one)
    open_now[0].close()
    open_now[0].close()  # twice gives back one place
    open_now.append(hub.watch("bob", one))
    with pytest.raises(AppError):
        hub.watch("cat", one)
    assert hub.count() == 3
    for watcher in open_now:
        watcher.close()


def test_who_leaves_makes_room_for_who_waits_and_many_never_wait(api: Flask, store: Store) -> None:
    hub = Hub(store, most=1, most_each=1)
    first = hub.watch("ann", Watched("contacts", "a"))
    came: list[Watcher] = []
    refused: list[AppError] = []

    def try_it() -> None:
        try:
            came.append(hub.watch("ann", Watched("contacts", "a")))
        except AppError as error:
            refused.append(error)

    threads = [threading.Thread(target=try_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(refused) == 4, "those beyond the second are refused at once", 0.8)
    first.close()
    for thread in threads:
        thread.join()
    assert (len(came), len(refused)) == (1, 5)
    came[0].close()


def test_a_real_session_shows_its_path_and_no_word(
    api: Flask, database: Database[Json], ann: Person, bob: Person
) -> None:
    ids = give_everything(database, ann)
    path = f"/api/bots/{ids['bot_id']}/sessions/{ids['session_id']}/events"
    database["execution_logs"].update_one(
        {"sessionId": ids["session_id"]},
        {
            "$set": {
                "handle": "output", "executionDuration": 1.0, "notes": [MARK], "detail": f'{{"saw":"{MARK}"}}',
                "outputVariables": f'{{"x":"{MARK}"}}', "error": "api.timeout", "errorMessage": MARK,
            }
        },
    )  # fmt: skip
    stream = Open(api, ann, f"{path}?after=0")
    wait_until(lambda: "event: state" in stream.text, "how it stands")
    assert "id: 1:1\nevent: step\n" in stream.text
    assert '"error":"api.timeout"' in stream.text
    assert MARK not in stream.text
    assert bob.get(path).status == 404
    database["sessions"].delete_one({"_id": ids["session_id"]})
    wait_until(lambda: stream.has_ended, "its end")
    assert stream.text.endswith('event: end\ndata: {"reason":"gone"}\n\n')


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("3:14", Place(3, 14)), ("3", Place(3, 0)), ("0", Place(0, 0)), (None, None), ("", None), ("x", None),
        ("-1:2", None), ("3:x", None), ("9" * 13, None), ("٣:1", None), ("3:1:1", None), (" 3", None),
    ],
)  # fmt: skip
def test_an_id_names_a_place_or_none(text: str | None, place: Place | None) -> None:
    assert read_place(text) == place


Make = Callable[..., Json]


def step(node_id: str, place: int, **more: Any) -> Json:
    return {
        "conversationTurn": 1, "sessionId": "s", "turn": 1, "place": place, "nodeId": node_id, "nodeType": "MESSAGE",
        "handle": None, "nextNodeId": None, "executionDuration": 0.1, "executedAt": utc_now(), **more,
    }  # fmt: skip


def message(node_id: str | None, text: str, direction: str = "OUT") -> Json:
    return {
        "_id": text, "conversationTurn": 1, "sessionId": "s", "direction": direction, "messageType": "TEXT",
        "messageContent": text, "nodeId": node_id, "status": "ACCEPTED", "sentAt": utc_now(),
    }  # fmt: skip


def test_messages_stand_at_the_steps_that_said_them() -> None:
    steps = [step("ask", 0), step("a", 1), step("ask", 2), step("end", 3)]
    messages = [
        message(None, "in", "IN"),
        message("a", "one"),
        message("ask", "two"),
        message("nowhere", "three"),
    ]
    told = [h.data.get("text") or h.data["nodeId"] for h in of_test(steps, messages)]
    assert told == ["in", "ask", "a", "one", "ask", "two", "end", "three"]


def test_secrets_of_a_call_are_not_told() -> None:
    detail = '{"request":{"method":"GET","url":"https://u:pw@api.test/x?token=abc"},"saw":{"password":"p"}}'
    (told,) = of_test([step("call", 0, detail=detail)], [])
    assert told.data["detail"]["request"]["url"].startswith("https://api.test/x?token=")
    assert "abc" not in told.data["detail"]["request"]["url"]
    assert told.data["detail"]["saw"] == {"password": "••••"}


def test_a_stream_holds_no_slot_of_requests_and_requests_hold_no_more_than_theirs() -> None:
    """One slot: an open stream leaves it to others; two requests at once take turns."""
    under_way, most = [0], [0]
    entered = threading.Event()

    def app(environ: Json, _start: object) -> Iterator[bytes] | list[bytes]:
        if environ["kind"] == "stream":
            return iter([b"first", b"second"])
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        entered.wait(0.1)
        under_way[0] -= 1
        return [b"done"]

    slots: Any = RequestSlots(app, 1)
    stream = slots({"kind": "stream"}, None)
    assert next(stream) == b"first"
    threads = [threading.Thread(target=slots, args=({"kind": "request"}, None)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(5)
    assert not any(thread.is_alive() for thread in threads)
    assert most == [1]
    assert next(stream) == b"second"


def test_a_long_session_is_told_some_turns_at_a_time(store: Store) -> None:
    """What retention has taken from the beginning of its log is not looked through."""
    store.database["sessions"].insert_one({"_id": "long", "contactId": "c", "turn": 1_000})
    store.database["execution_logs"].insert_many(
        [{"sessionId": "long", "turn": turn, "place": 0} for turn in range(701, 1_001)]
    )
    after, looks, turns = 0, 0, []
    while True:
        sight = store.live.session("long", after=after)
        turns += [step["turn"] for step in sight.steps]
        looks += 1
        if sight.is_whole:
            break
        assert len(sight.steps) == 100
        after = sight.read_to
    assert (turns, looks) == (list(range(701, 1_001)), 3)
    assert store.live.session("long", after=1_000).steps == []
