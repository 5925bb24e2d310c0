"""How many requests are worked on at a time, and how many long answers are written, whatever clients do.

A thread that writes is stuck where the client does not read. So nothing is written without a bound: a short answer
fits into the socket's buffer, a long one takes one of a few places, and streams brought places of their own. The rest
of the threads is always there for webhooks.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from common.errors import ErrorCode
from common.settings import WEB_LONG_ANSWERS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SEND_SECONDS: Final = 30  # who reads nothing for so long is cut off
_BUFFER_BYTES: Final = 192 * 1024
_SHORT_BYTES: Final = 64 * 1024  # a third of the buffer: as much as is free where a socket is writable
_REFUSAL: Final = "Too many long answers are being sent. Try again in a moment."


class RequestSlots:
    """A WSGI layer. A request holds a slot while it is worked on, and none while its answer is written."""

    def __init__(self, app: WSGIApplication, most: int, most_long: int = WEB_LONG_ANSWERS) -> None:
        self._app = app
        self._slots = threading.BoundedSemaphore(most)
        self._long = threading.BoundedSemaphore(most_long)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        connection = environ.get("gunicorn.socket")
        connection = connection if isinstance(connection, socket.socket) else None
        if connection is not None:
            _bound_sending(connection)
        head = _Head()
        with self._slots:
            body = self._app(environ, head)
        answer = _Answer(body, connection)
        if head.size is not None and (head.size > _SHORT_BYTES or not _is_writable(connection)):
            if not self._long.acquire(blocking=False):
                answer.close(is_whole=True)
                return _refusal(head, start_response, connection)
            answer.when_over(self._long.release)
        head.pass_on(start_response)
        return answer


class _Head:
    """The `start_response` of the application: kept until it is clear that the answer can be written."""

    def __init__(self) -> None:
        self._given: tuple[Any, ...] = ()
        self.headers: dict[str, str] = {}
        self.size: int | None = None  # None: a stream, which has a place of its own

    def __call__(self, status: str, headers: list[tuple[str, str]], *more: Any) -> Callable[[bytes], object]:
        self._given = (status, headers, *more)
        self.headers = {name.lower(): value for name, value in headers}
        if "text/event-stream" not in self.headers.get("content-type", ""):
            size = self.headers.get("content-length")
            self.size = int(size) if size is not None else None
        return _no_write

    def pass_on(self, start_response: StartResponse) -> None:
        if self._given:
            start_response(*self._given)


def _no_write(_data: bytes) -> object:
    raise NotImplementedError("answers are returned, not written")


class _Answer:
    """An answer's body. One that breaks off ends its connection at once: nothing waits for such a client."""

    def __init__(self, body: Iterable[bytes], connection: socket.socket | None) -> None:
        self._body = body
        self._pieces = iter(body)
        self._connection = connection
        self._is_whole = False
        self._free: list[Callable[[], None]] = []

    def when_over(self, free: Callable[[], None]) -> None:
        self._free.append(free)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except StopIteration:
            self._is_whole = True
            self._end()
            raise

    def close(self, *, is_whole: bool = False) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._end()
            if not (self._is_whole or is_whole) and self._connection is not None:
                _cut(self._connection)

    def _end(self) -> None:
        while self._free:
            self._free.pop()()


def _bound_sending(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", SEND_SECONDS, 0))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)


def _is_writable(connection: socket.socket | None) -> bool:
    """Whether the client has read most of what came before on this connection."""
    if connection is None:
        return True
    poll = select.poll()
    poll.register(connection, select.POLLOUT)
    return bool(poll.poll(0))


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the client has done so


def _refusal(head: _Head, start_response: StartResponse, connection: socket.socket | None) -> Iterable[bytes]:
    if not _is_writable(connection):
        raise ConnectionResetError("the client does not read")  # gunicorn then closes the connection
    request_id = head.headers.get("x-request-id", "")
    error = {"code": ErrorCode.TOO_MANY_STREAMS, "message": _REFUSAL, "fields": {}, "requestId": request_id}
    body = json.dumps({"error": error}).encode()
    status = HTTPStatus.TOO_MANY_REQUESTS
    start_response(
        f"{status.value} {status.phrase}",
        [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("Retry-After", "1"),
            ("X-Request-Id", request_id),
        ],
    )
    return [body]
