"""Streams of Server-Sent Events: what happened since the last one, then each thing as it happens.

Whatever is sent comes from the database, never from memory: a watcher who lost the connection, or met another
process, goes on behind the last event that they had, with none missing and none twice.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import structlog
from flask import Response, request, stream_with_context

from api.live.happenings import Happening, Place, of_session, of_test, read_place
from api.live.hub import Hub, Watcher
from api.live.states import STATE_PLACE, WAITING_PLACE, last_place, session_state, test_state, waiting
from api.rest.schemas import View
from api.rest.tokens import is_still_good
from common.clock import utc_now
from common.store.database import Document
from common.store.store import DatabaseError, Store

log = structlog.get_logger()

HEARTBEAT_SECONDS: Final = 15.0
_LOOK_SECONDS: Final = 1.0  # between looks whether the client is still there
_RETRY_MS: Final = 2000
_MOST_FAILURES: Final = 10
_LEFT: Final = "left"


@dataclass(slots=True)
class Look:
    """What a source saw: the happenings since, and how things stand at turn `number`, if it saw all of them."""

    number: int
    read_to: int
    happenings: list[Happening]
    waiting: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)


class Source(Protocol):
    """A conversation that can be watched."""

    def look(self, after: Place | None) -> Look | None: ...  # None: there is no such thing any more


class TestSource:
    """A test conversation: all that happens in it, over all its sessions."""

    __test__ = False

    def __init__(self, store: Store, conversation: Document, view: View) -> None:
        self._store, self._conversation, self._view = store, conversation, view

    def look(self, after: Place | None) -> Look:
        """What happened behind this place."""
        turn = None if after is None else max(after.turn - 1, 0)
        sight = self._store.live.conversation(self._conversation["_id"], after=turn)
        state: dict[str, Any] = self._view.dump(test_state(self._conversation, sight, utc_now()))
        session = state.get("session") or {}
        return Look(
            number=sight.number,
            read_to=sight.read_to,
            happenings=of_test(sight.steps, sight.messages),
            waiting={"status": session.get("status"), "wait": session.get("wait")},
            state=state,
        )


class SessionSource:
    """A customer's session: the path, and where it stands."""

    def __init__(self, store: Store, session_id: str, view: View) -> None:
        self._store, self._session_id, self._view = store, session_id, view

    def look(self, after: Place | None) -> Look | None:
        """What happened behind this place."""
        turn = None if after is None else max(after.turn - 1, 0)
        sight = self._store.live.session(self._session_id, after=turn)
        if sight.session is None:
            return None
        state: dict[str, Any] = self._view.dump(session_state(sight.session))
        wait = state["wait"] if waiting(sight.session) else None
        return Look(
            sight.number,
            sight.read_to,
            of_session(sight.steps),
            {"status": state["status"], "wait": wait},
            state,
        )


def stream(hub: Hub, store: Store, watcher: Watcher, source: Source, after: str | None) -> Response:
    """The response that sends a source's events until the client, its token or this process is gone."""
    place = read_place(request.headers.get("Last-Event-ID")) or read_place(after)
    events = _Stream(hub, store, watcher, source, place, _gone_check())
    response = Response(stream_with_context(events.run()), mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"  # a proxy must not collect events
    response.call_on_close(watcher.close)
    return response


def _gone_check() -> Callable[[], bool]:
    connection = request.environ.get("gunicorn.socket")
    return lambda: isinstance(connection, socket.socket) and _is_gone(connection)


def _is_gone(connection: socket.socket) -> bool:
    """Whether the other end has closed; writing alone would find out one heartbeat later."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@dataclass(slots=True)
class _Stream:
    hub: Hub
    store: Store
    watcher: Watcher
    source: Source
    place: Place | None
    is_gone: Callable[[], bool]
    beaten_at: float = field(default_factory=time.monotonic)
    failures: int = 0

    def run(self) -> Iterator[str]:
        try:
            yield f"retry: {_RETRY_MS}\n\n"
            yield from self._send()
        except Exception as error:  # a border: the status is sent already, so all that is left is to end
            log.exception("live.stream_failed", error=type(error).__name__)
        finally:
            self.watcher.close()

    def _send(self) -> Iterator[str]:
        while True:
            try:
                look = self.source.look(self.place)
            except DatabaseError as error:
                self.failures += 1
                log.warning("live.database_away", error=type(error).__name__)
                if self.failures > _MOST_FAILURES:
                    return
                look = None
            else:
                self.failures = 0
                if look is None:
                    yield _event("end", {"reason": "gone"})
                    return
                yield from self._tell(look)
                if look.read_to < look.number:
                    continue
            reason = yield from self._rest()
            if reason is not None:
                self.watcher.close()
                if reason != _LEFT:
                    yield _event("end", {"reason": reason})
                return

    def _tell(self, look: Look) -> Iterator[str]:
        if self.place is not None and self.place.turn > look.number:
            self.place = None  # it was deleted, and began anew
        for happening in look.happenings:
            if self.place is not None and happening.place > self.place:
                yield _event(happening.name, happening.data, happening.place)
                self.place = happening.place
        if look.read_to < look.number:
            self.place = last_place(look.read_to)
            return
        for name, data, number in (
            ("waiting", look.waiting, WAITING_PLACE),
            ("state", look.state, STATE_PLACE),
        ):
            place = Place(look.number, number)
            if self.place is None or self.place < place:
                yield _event(name, data, place)
                self.place = place

    def _rest(self) -> Generator[str, None, str | None]:
        """Wait for news; yields heartbeats, returns why the stream ends (None: there may be news)."""
        while True:
            has_news = self.watcher.wait(_LOOK_SECONDS)
            if self.hub.is_stopping:
                return "stopping"
            if self.is_gone():
                return _LEFT
            if time.monotonic() - self.beaten_at >= HEARTBEAT_SECONDS:
                self.beaten_at = time.monotonic()
                yield ": still here\n\n"
                if not self._is_welcome():
                    return "signed_out"
                return None  # a look without news: the net below the change stream
            if has_news or self.failures:
                return None

    def _is_welcome(self) -> bool:
        try:
            return is_still_good(self.store)
        except DatabaseError:
            return True  # it is asked again


def _event(name: str, data: dict[str, Any], place: Place | None = None) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    named = f"id: {place}\n" if place else ""
    return f"{named}event: {name}\ndata: {text}\n\n"
