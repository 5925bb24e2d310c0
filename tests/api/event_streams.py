"""A browser's EventSource, as far as tests need one."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any

from tests.support.waiting import wait_until

Json = dict[str, Any]


@dataclass
class Event:
    """One event: its id, name and data."""

    id: str | None
    name: str
    data: Json


@dataclass
class EventStream:
    """Reads a stream in a thread of its own until it ends or `close`."""

    port: int
    path: str
    token: str
    last_event_id: str | None = None
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    comments: int = 0
    has_ended: bool = False
    error: Json | None = None

    def __post_init__(self) -> None:
        self._connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "text/event-stream"}
        if self.last_event_id:
            headers["Last-Event-ID"] = self.last_event_id
        self._connection.request("GET", self.path, headers=headers)
        self._socket = self._connection.sock  # the connection forgets it where the answer ends with it
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self.headers = {name.lower(): value for name, value in self._response.getheaders()}
        if self.status == HTTPStatus.OK:
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()
        else:
            self.error = json.loads(self._response.read())
            self._let_go()

    def _read(self) -> None:
        lines: list[str] = []
        with contextlib.suppress(OSError, HTTPException, ValueError, AttributeError):
            while raw := self._response.readline():
                line = raw.decode().rstrip("\n")
                if line:
                    lines.append(line)
                else:
                    self._take(lines)
                    lines = []
        self._let_go()
        self.has_ended = True

    def _let_go(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            self._response.close()
        self._connection.close()

    def _take(self, lines: list[str]) -> None:
        fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
        self.comments += sum(line.startswith(":") for line in lines)
        if "event" in fields:
            self.events.append(Event(fields.get("id"), fields["event"], json.loads(fields["data"])))

    def close(self) -> None:
        """Go away, as a closed tab does; the reading thread closes what is left."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(2)
        if self.status == HTTPStatus.OK:
            self._thread.join(5)

    def names(self) -> list[str]:
        return [event.name for event in self.events]

    def ids(self) -> list[str]:
        return [event.id for event in self.events if event.id]

    def said(self) -> list[str]:
        """What the bot said."""
        found = [event.data for event in self.events if event.name == "message"]
        return [message["text"] for message in found if message["direction"] == "OUT"]

    def wait_for(self, *texts: str, seconds: float = 20) -> None:
        """Wait until the bot has said exactly this in the stream, and the turn is told to its end."""
        wait_until(lambda: len(self.said()) >= len(texts), f"{texts} in the stream", seconds)
        wait_until(lambda: self.events[-1].name == "state", "the state after it", seconds)
        assert self.said() == list(texts)
