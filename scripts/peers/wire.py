"""A small HTTP/1.1 keep-alive server on asyncio: cheap per request, and able to misbehave on purpose."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

MAX_HEAD_BYTES = 64 * 1024
MAX_BODY_BYTES = 8 * 1024 * 1024
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Request:
    """One request as it came in; header names are lower case."""

    method: str
    path: str
    query_text: str
    headers: dict[str, str]
    body: bytes

    def query(self) -> dict[str, str]:
        """The query's parameters; of a repeated one the last."""
        return dict(parse_qsl(self.query_text, keep_blank_values=True))


@dataclass(slots=True)
class Answer:
    """What goes back; `then` runs once the bytes were handed to the socket."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    then: Callable[[], None] | None = None


@dataclass(slots=True)
class Reset:
    """Reset the connection (RST) without an answer."""


@dataclass(slots=True)
class Hang:
    """Say nothing and keep the connection; close it after `seconds`, or when the server stops."""

    seconds: float | None = None


@dataclass(slots=True)
class Drip:
    """Send the answer's body in small pieces, spread over `seconds`."""

    answer: Answer
    seconds: float
    pieces: int = 20


Outcome = Answer | Reset | Hang | Drip
Handler = Callable[[Request], Outcome | Coroutine[Any, Any, Outcome]]


class BadRequestError(Exception):
    """The bytes are no request that this server takes: an HTTP status and a sentence."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class _Head:
    """A request whose body has not fully arrived yet."""

    method: str
    target: str
    headers: dict[str, str]
    length: int
    keep_alive: bool


@dataclass
class Listener:
    """What all connections of one server share."""

    handler: Handler
    connections: set[Connection] = field(default_factory=set)

    def connect(self) -> Connection:
        """A new connection's protocol (asyncio's factory)."""
        return Connection(self)

    def abort_all(self) -> None:
        """Drop every connection, finished or not."""
        for connection in list(self.connections):
            connection.abort()


class Connection(asyncio.Protocol):
    """One client's connection: requests are answered one after the other, in order."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._buffer = bytearray()
        self._head: _Head | None = None
        self._is_busy = False
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_server always gives
        self._transport = transport
        self._listener.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._listener.connections.discard(self)
        self._transport = None
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._advance()

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _advance(self) -> None:
        """Answer every request that is complete, unless one is still being worked on."""
        while not self._is_busy and self._transport is not None:
            try:
                taken = self._take()
            except BadRequestError as error:
                self._write(Answer(error.status, b'{"error":"%s"}' % str(error).encode()), keep_alive=False)
                return
            if taken is None:
                return
            head, request = taken
            outcome = self._listener.handler(request)
            if isinstance(outcome, Answer):
                self._write(outcome, keep_alive=head.keep_alive)
            else:
                self._is_busy = True
                self._task = asyncio.get_running_loop().create_task(self._finish(outcome, head))

    def _take(self) -> tuple[_Head, Request] | None:
        head = self._head
        if head is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0 or end > MAX_HEAD_BYTES:
                if len(self._buffer) > MAX_HEAD_BYTES:
                    raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head too large")
                return None
            head = self._head = _parse_head(self._buffer[:end].decode("latin-1"))
            del self._buffer[: end + 4]
            if len(self._buffer) < head.length and head.headers.get("expect", "").lower() == "100-continue":
                self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if len(self._buffer) < head.length:
            return None
        body = bytes(self._buffer[: head.length])
        del self._buffer[: head.length]
        self._head = None
        path, _, query_text = head.target.partition("?")
        return head, Request(head.method, path, query_text, head.headers, body)

    async def _finish(self, outcome: Outcome | Coroutine[Any, Any, Outcome], head: _Head) -> None:
        if isinstance(outcome, Coroutine):
            outcome = await outcome
        if isinstance(outcome, Answer):
            self._write(outcome, keep_alive=head.keep_alive)
        elif isinstance(outcome, Reset):
            self._reset()
        elif isinstance(outcome, Drip):
            await self._drip(outcome)
            self._close()
        else:
            await asyncio.sleep(outcome.seconds if outcome.seconds is not None else 86_400)
            self._close()
        self._is_busy, self._task = False, None
        self._advance()

    async def _drip(self, drip: Drip) -> None:
        body = drip.answer.body
        self._send(_head_bytes(drip.answer, keep_alive=False))
        size = max(1, -(-len(body) // drip.pieces))
        for start in range(0, len(body), size):
            await asyncio.sleep(drip.seconds / drip.pieces)
            self._send(body[start : start + size])

    def _write(self, answer: Answer, *, keep_alive: bool) -> None:
        self._send(_head_bytes(answer, keep_alive=keep_alive) + answer.body)
        if answer.then is not None:
            answer.then()
        if not keep_alive:
            self._close()

    def _send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _reset(self) -> None:
        if self._transport is not None:
            plug: socket.socket = self._transport.get_extra_info("socket")
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self._transport.abort()


_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_BODILESS = frozenset({204, 304})


def _head_bytes(answer: Answer, *, keep_alive: bool) -> bytes:
    lines = f"HTTP/1.1 {int(answer.status)} {_PHRASES.get(int(answer.status), 'Unknown')}\r\n"
    if int(answer.status) not in _BODILESS:
        lines += f"Content-Type: {answer.content_type}\r\nContent-Length: {len(answer.body)}\r\n"
    for name, value in answer.headers:
        lines += f"{name}: {value}\r\n"
    return (lines + ("\r\n" if keep_alive else "Connection: close\r\n\r\n")).encode("latin-1", "replace")


def _parse_head(text: str) -> _Head:
    request_line, *lines = text.split("\r\n")
    parts = request_line.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1.") or not parts[1].startswith("/"):  # noqa: PLR2004 - method, target, version
        raise BadRequestError(HTTPStatus.BAD_REQUEST, "no HTTP/1.1 request line")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequestError(HTTPStatus.BAD_REQUEST, "header line without a colon")
        headers[name.lower()] = value.strip()
    if "transfer-encoding" in headers:
        raise BadRequestError(HTTPStatus.LENGTH_REQUIRED, "send a Content-Length, not chunks")
    length_text = headers.get("content-length", "0")
    if not (length_text.isascii() and length_text.isdigit() and len(length_text) < 16):  # noqa: PLR2004 - far above any body
        raise BadRequestError(HTTPStatus.BAD_REQUEST, "Content-Length is no number")
    if int(length_text) > MAX_BODY_BYTES:
        raise BadRequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body too large")
    connection = headers.get("connection", "").lower()
    keep_alive = connection == "keep-alive" if parts[2] == "HTTP/1.0" else connection != "close"
    return _Head(parts[0], parts[1], headers, int(length_text), keep_alive)
