"""Live events over real processes: in order, none lost and none twice, whoever dies, leaves or comes back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from api.app import create_app
from common.ids import new_ulid
from common.store.indexes import Retention, ensure_indexes
from common.store.store import Store
from scripts.local.stack import Running, Stack
from tests.api.event_streams import EventStream
from tests.api.person import Person
from tests.api.simulated import Json, Trial, give_bot, somebody
from tests.http.web_setup import APP_SECRET, ENCRYPTION_KEYS, JWT_SECRET, VERIFY_TOKEN, settings_for
from tests.support.flows import ask, count, echo, end, flow, say, wait
from tests.support.waiting import wait_until
from tests.support.world import SMALL

if TYPE_CHECKING:
    from flask import Flask
    from pymongo import MongoClient

_SECRETS = {
    "ENCRYPTION_KEYS": ENCRYPTION_KEYS,
    "JWT_SECRET": JWT_SECRET,
    "META_APP_SECRET": APP_SECRET,
    "WEBHOOK_VERIFY_TOKEN": VERIFY_TOKEN,
}


@dataclass
class House:
    """An application in this process to ask, and real processes that answer."""

    app: Flask
    store: Store
    stack: Stack
    ann: Person
    web: Running
    worker: Running
    streams: list[EventStream] = field(default_factory=list)

    def trial(self, flow_data: Json, person: Person | None = None) -> Trial:
        person = person or self.ann
        bot_id, (flow_id,) = give_bot(self.store.database, person, flow_data)
        return Trial(person, self.store, bot_id, flow_id)

    def watch(
        self, trial: Trial, *, after: str | None = None, last_event_id: str | None = None
    ) -> EventStream:
        query = f"?after={after}" if after is not None else ""
        path = f"{trial.path}/events{query}"
        self.streams.append(EventStream(self.stack.port, path, trial.person.token or "", last_event_id))
        return self.streams[-1]


@pytest.fixture
def house(
    mongo_uri: str, _mongo_client: MongoClient[Json], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    database = _mongo_client[f"test_{new_ulid()}"]
    ensure_indexes(database, Retention())
    app = create_app(settings_for(mongo_uri, database.name, api_requests_per_minute=1_000_000))
    store = app.extensions["web"].store
    settings = {
        **SMALL, **_SECRETS, "WEB_PROCESSES": "1", "WEB_THREADS": "2", "WEB_STREAMS": "3", "STREAMS_PER_USER": "2",
    }  # fmt: skip
    with Stack(tmp_path_factory.mktemp("events"), mongo_uri, database.name, settings) as stack:
        worker = stack.start_worker()
        stack.start_timer()
        web = stack.start_web()
        made = House(app, store, stack, somebody(app, store), web, worker)
        yield made
        for stream in made.streams:
            stream.close()
    store.close()
    _mongo_client.drop_database(database.name)


def talk() -> Json:
    nodes = {"count": count(), "hello": say("hello {{n}}"), "ask": ask("{{n}}:{{lastMessage}}"), "end": end()}
    return flow(nodes, "start > count, count > hello, hello > ask, ask.success > count, ask.failure > end")


def test_everything_that_happens_is_told_in_order(house: House) -> None:
    trial = house.trial(talk())
    trial.open()
    stream = house.watch(trial, after="0")
    assert stream.status == 200
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-store"
    wait_until(lambda: stream.names() == ["waiting", "state"], "how it stands")
    trial.say("hi")
    stream.wait_for("hello 1", "1:hi")
    told = [(event.name, event.data.get("nodeId")) for event in stream.events[2:]]
    assert told == [
        ("message", None),
        ("step", "start"),
        ("step", "count"),
        ("variables", "count"),
        ("step", "hello"),
        ("message", "hello"),
        ("step", "ask"),
        ("message", "ask"),
        ("waiting", None),
        ("state", None),
    ]
    assert [event.data["set"] for event in stream.events if event.name == "variables"] == [{"n": 1}]
    state = stream.events[-1].data
    assert state["session"]["currentNodeId"] == "ask"
    assert stream.events[-2].data["wait"]["kind"] == "REPLY"
    assert state["lastEventId"] == stream.events[-1].id
    again = trial.state()
    assert {**again, "clock": None} == {**state, "clock": None}
    stream.close()


def test_whoever_comes_back_goes_on_behind_any_event(house: House) -> None:
    """From each id of the whole story on, exactly the rest is told."""
    trial = house.trial(talk())
    for text in ("a", "b"):
        trial.say(text)
        wait_until(lambda: trial.texts() and trial.texts()[-1].endswith(text), "an answer")  # noqa: B023 - awaited here
    whole = house.watch(trial, after="0")
    whole.wait_for("hello 1", "1:a", "hello 2", "2:b")
    whole.close()
    ids = whole.ids()
    assert len(set(ids)) == len(ids)
    for place, last in enumerate(ids[:-1]):
        rest = house.watch(trial, last_event_id=last)
        expected = ids[place + 1 :]
        wait_until(lambda: rest.ids() and rest.ids()[-1] == ids[-1], "the rest")  # noqa: B023 - awaited here
        rest.close()
        wait_until(lambda: rest.has_ended, "its end")  # noqa: B023 - as above
        assert rest.ids() == expected
        assert [event.name for event in rest.events] == [e.name for e in whole.events[place + 1 :]]


def test_nothing_is_lost_or_told_twice_while_workers_are_killed_and_the_watcher_reconnects(
    house: House,
) -> None:
    trial = house.trial(talk())
    trial.open()
    stream = house.watch(trial, after="0")
    ids: list[str] = []
    said: list[str] = []
    worker = house.worker
    for number in range(1, 7):
        trial.say(f"m{number}")
        if number % 2:
            worker.kill()
            worker = house.stack.start_worker()
        if number % 3 == 0:
            stream.close()
            wait_until(lambda: stream.has_ended, "the old stream ends")  # noqa: B023 - awaited here
            ids += stream.ids()
            said += stream.said()
            stream = house.watch(trial, last_event_id=ids[-1])
    expected = [text for number in range(1, 7) for text in (f"hello {number}", f"{number}:m{number}")]
    wait_until(lambda: len(said) + len(stream.said()) >= len(expected), "all of it", 40)
    wait_until(lambda: stream.events[-1].name == "state", "the state after it")
    ids += stream.ids()
    said += stream.said()
    assert said == expected
    assert len(set(ids)) == len(ids)
    stream.close()
    whole = house.watch(trial, after="0")
    whole.wait_for(*expected)
    kept = [event.id for event in whole.events if event.name not in ("waiting", "state")]
    told = [event_id for event_id in ids if event_id in set(kept)]
    assert told == kept
    whole.close()


def test_a_web_process_that_is_killed_takes_nothing_along(house: House) -> None:
    trial = house.trial(talk())
    trial.open()
    stream = house.watch(trial, after="0")
    trial.say("a")
    stream.wait_for("hello 1", "1:a")
    house.web.kill()
    wait_until(lambda: stream.has_ended, "the stream breaks")
    trial.say("b")  # into the queue by another process
    house.stack.start_web()
    resumed = house.watch(trial, last_event_id=stream.ids()[-1])
    resumed.wait_for("hello 2", "2:b")
    resumed.close()


def test_breakpoints_timers_and_controls_are_seen_as_they_happen(house: House) -> None:
    nodes = {"one": say("1"), "wait": wait(3600), "two": end("2")}
    trial = house.trial(flow(nodes, "start > one, one > wait, wait > two"))
    trial.open()
    stream = house.watch(trial)
    trial.do("breakpoints", {"nodeIds": ["wait"]}, method="PUT")
    wait_until(lambda: stream.events and stream.events[-1].data.get("breakpoints") == ["wait"], "breakpoints")
    trial.say("hi")
    stream.wait_for("1")
    assert stream.events[-2].data["wait"] | {"nodeId": "wait"} == stream.events[-2].data["wait"]
    assert stream.events[-2].data["wait"]["kind"] == "BREAKPOINT"
    trial.do("go-on", {"action": "CONTINUE"})
    wait_until(
        lambda: (stream.events[-1].data.get("session") or {}).get("wait", {}).get("kind") == "TIME", "a delay"
    )
    due_at = stream.events[-1].data["session"]["wait"]["dueAt"]
    trial.do("clock", {"toNextTimer": True})
    stream.wait_for("1", "2")
    assert stream.events[-1].data["clock"]["now"] >= due_at
    assert stream.events[-1].data["session"]["status"] == "CLOSED"
    controls = [
        e.data["detail"]["control"]["action"] for e in stream.events if "control" in e.data.get("detail", {})
    ]
    assert controls == ["CONTINUE", "ADVANCE_CLOCK"]
    stream.close()


def test_too_many_streams_are_refused_and_a_closed_one_makes_room(house: House) -> None:
    trial = house.trial(echo())
    trial.open()
    bob = somebody(house.app, house.store)
    his = house.trial(echo(), bob)
    his.open()
    open_streams = [house.watch(trial) for _ in range(2)]
    refused = house.watch(trial)
    assert refused.status == 429
    assert refused.error is not None
    assert refused.error["error"]["code"] == "too_many_streams"
    open_streams.append(house.watch(his))  # the third and last place
    assert house.watch(his).status == 429
    began = time.monotonic()
    for _ in range(20):  # requests have their threads all the same
        with urlopen(f"http://127.0.0.1:{house.stack.port}/health/live", timeout=5) as answer:
            assert answer.status == 200
    assert time.monotonic() - began < 10
    open_streams.pop(0).close()

    def is_admitted() -> bool:
        tried = house.watch(trial)
        if tried.status == 200:
            open_streams.append(tried)
        return tried.status == 200

    wait_until(is_admitted, "the place that was left", 10)
    for stream in open_streams:
        stream.close()


def test_a_process_that_stops_does_not_wait_for_watchers(house: House) -> None:
    trial = house.trial(echo())
    trial.open()
    stream = house.watch(trial)
    wait_until(lambda: stream.names() == ["waiting", "state"], "how it stands")
    began = time.monotonic()
    assert house.web.stop() == 0
    assert time.monotonic() - began < 8
    wait_until(lambda: stream.has_ended, "the stream ends")
    assert stream.events[-1].name == "end"
    assert stream.events[-1].data == {"reason": "stopping"}


def test_strangers_watch_nothing(house: House) -> None:
    trial = house.trial(echo())
    trial.open()
    bob = somebody(house.app, house.store)
    for token, status in ((bob.token or "", 404), ("", 401), ("x", 401)):
        stream = EventStream(house.stack.port, f"{trial.path}/events", token)
        assert stream.status == status
    assert (
        EventStream(house.stack.port, f"{trial.path}/events?after=x", trial.person.token or "").status == 422
    )
