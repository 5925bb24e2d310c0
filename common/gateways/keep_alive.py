"""A pool of kept-open connections to one server that knows, when a call fails, whether it can have arrived.

Libraries hide at which point a call broke; for a message that must not be sent twice that point is everything:

- The connection could not be made, or not every byte of the request was handed over: `NotDelivered`. A server
  cannot act on half a request, so repeating is safe.
- Every byte was handed over and no readable answer came: `NoAnswer`. It may or may not have been executed.

In between stands the kept-open connection that the server closes while a request is on its way. Three things
keep that from becoming a false `NoAnswer`: connections idle longer than servers usually wait are not used; a
connection with an end-of-stream waiting is not used; and where the stream ends in an orderly way (FIN; over
TLS, a close_notify) without one byte of the request having been acknowledged (the kernel counts), the server
had closed before it came, so it is `NotDelivered` and repeated at once on a fresh connection. A reset proves
nothing (a server that reads and aborts at once acknowledges nothing either) and stays `NoAnswer`.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from common.gateways.deadline import seconds_left
from common.gateways.deadline_socket import DeadlineSocket, DeadlineTlsSocket

MAX_IDLE_SECONDS = (
    4.0  # common servers close after 5 s (Node, Apache); a new handshake costs less than a doubt
)
MAX_ANSWER_BYTES = 1024 * 1024  # Graph answers have a few hundred bytes
CONNECT_SECONDS = 8.0  # enough for two lost SYNs (1 s + 2 s) and a TLS handshake

_TCP_INFO = getattr(socket, "TCP_INFO", None)  # Linux only; elsewhere an early close stays `NoAnswer`
_BYTES_ACKED_OFFSET = 120  # tcpi_bytes_acked in struct tcp_info (linux/tcp.h), a u64
_TCP_INFO_BYTES = _BYTES_ACKED_OFFSET + 8


class NotDelivered(Exception):  # noqa: N818 - an outcome, named as callers think of it
    """The server cannot have acted on the request: repeating it is safe. The message names no secret."""


class NoAnswer(Exception):  # noqa: N818 - an outcome, named as callers think of it
    """The request may have been executed; nothing readable came back."""


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """An HTTP answer as it came."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


@dataclass(slots=True)
class _Idle:
    sock: DeadlineSocket | DeadlineTlsSocket
    since: float


class KeepAlivePool:
    """Connections to one origin, shared by all threads; at most `size` stay open while nothing is sent."""

    def __init__(self, base_url: str, *, size: int, tls: ssl.SSLContext) -> None:
        parts = urlsplit(base_url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = tls if parts.scheme == "https" else None
        self._size = size
        self._idle: list[_Idle] = []
        self._lock = threading.Lock()

    def exchange(self, request: bytes, deadline_at: float) -> RawAnswer:
        """Send one complete HTTP/1.1 request and read its answer. Raises NotDelivered or NoAnswer."""
        while (kept := self._take()) is not None:
            try:
                return self._exchange_over(kept, request, deadline_at)
            except NotDelivered:
                continue  # closed by the server meanwhile: the next one, at the end a fresh one
        return self._exchange_over(self._connect(deadline_at), request, deadline_at)

    def close(self) -> None:
        """Close what is idle; a call under way closes its own connection."""
        with self._lock:
            idle, self._idle = self._idle, []
        for entry in idle:
            entry.sock.close()

    def _take(self) -> DeadlineSocket | DeadlineTlsSocket | None:
        """The connection used last, if it is fresh and quiet. What is found too old or ended is closed."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                entry = self._idle.pop()
            if time.monotonic() - entry.since <= MAX_IDLE_SECONDS and not has_ended(entry.sock):
                return entry.sock
            entry.sock.close()

    def _keep(self, sock: DeadlineSocket | DeadlineTlsSocket) -> None:
        with self._lock:
            if len(self._idle) < self._size:
                self._idle.append(_Idle(sock, time.monotonic()))
                return
        sock.close()

    def _connect(self, deadline_at: float) -> DeadlineSocket | DeadlineTlsSocket:
        try:
            timeout = min(CONNECT_SECONDS, seconds_left(deadline_at))
            plain = socket.create_connection((self._host, self._port), timeout)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return DeadlineSocket.adopt(plain, deadline_at)
            with plain:  # empty once wrapped; closed if that fails
                return self._tls.wrap_socket(  # type: ignore[return-value]  # the context's sslsocket_class
                    plain,
                    server_hostname=self._host,
                    # Python reports a reset as an end of stream; unsuppressed, only close_notify ends it.
                    suppress_ragged_eofs=False,
                )
        except (OSError, UnicodeError) as error:  # UnicodeError: a host name that IDNA refuses
            raise NotDelivered(f"no connection: {describe(error)}") from error

    def _exchange_over(
        self, sock: DeadlineSocket | DeadlineTlsSocket, request: bytes, deadline_at: float
    ) -> RawAnswer:
        sock.deadline_at = deadline_at
        acknowledged = _bytes_acknowledged(sock)
        response: http.client.HTTPResponse | None = None
        reusable = False
        try:
            try:
                sock.sendall(request)
            except OSError as error:
                raise NotDelivered(f"the connection broke while writing: {describe(error)}") from error
            response = http.client.HTTPResponse(sock, method="POST")
            try:
                response.begin()
                body = response.read(MAX_ANSWER_BYTES + 1)
            except http.client.RemoteDisconnected as error:
                if acknowledged is not None and _bytes_acknowledged(sock) == acknowledged:
                    raise NotDelivered("the server had closed the connection already") from error
                raise NoAnswer("the server closed the connection without an answer") from error
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise NoAnswer(f"no readable answer: {describe(error)}") from error
            if len(body) > MAX_ANSWER_BYTES:
                raise NoAnswer(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
            reusable = response.isclosed() and not response.will_close
            return RawAnswer(response.status, response.headers, body)
        finally:
            if response is not None:
                response.close()
            if reusable:
                self._keep(sock)
            else:
                sock.close()


def has_ended(sock: socket.socket) -> bool:
    """Whether a quiet connection has something to read: an end of stream, or bytes nobody asked for."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def describe(error: BaseException) -> str:
    """An error in a few words without addresses or secrets: its class, and the system's words for its number."""
    if isinstance(error, TimeoutError):
        return "time-out"
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__} ({error.strerror})"
    return type(error).__name__


def _bytes_acknowledged(sock: socket.socket) -> int | None:
    """How many bytes the peer's kernel has acknowledged on this connection; None where nobody counts."""
    if _TCP_INFO is None:
        return None
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return None
    if len(info) < _TCP_INFO_BYTES:
        return None  # a kernel older than 4.1
    acknowledged: int = struct.unpack_from("=Q", info, _BYTES_ACKED_OFFSET)[0]
    return acknowledged
