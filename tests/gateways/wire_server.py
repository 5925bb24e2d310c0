"""A TCP server whose every connection follows a script, to break HTTP at any byte one likes."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

GIVE_UP_SECONDS = 20.0  # a script that waits longer than this is a hanging test


class Wire:
    """One connection, seen from the server."""

    def __init__(self, sock: socket.socket, stopping: threading.Event) -> None:
        self.sock = sock
        self.stopping = stopping

    def read_request(self) -> bytes | None:
        """One request, head and body; None when the client has closed."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.sock.recv(65536)
            if not piece:
                return None
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        while len(body) < length:
            body += self.sock.recv(65536)
        return head + b"\r\n\r\n" + body

    def answer(self, body: bytes, status: str = "200 OK", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        self.sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def abort(self) -> None:
        """Close with a reset instead of an orderly end."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def end(self) -> None:
        """Close as servers do: over TLS with a close_notify."""
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.settimeout(0)
            with contextlib.suppress(OSError):
                self.sock.unwrap()  # writes close_notify; the client's own is not waited for
        self.sock.close()

    def hang(self) -> None:
        """Say nothing until the test is over."""
        self.stopping.wait(GIVE_UP_SECONDS)


class WireServer:
    """Runs `scripts[i]` for the i-th connection, the last one for all further ones; keeps what it received."""

    def __init__(
        self, *scripts: Callable[[WireServer, Wire], None], tls: ssl.SSLContext | None = None
    ) -> None:
        self.scripts = scripts
        self.requests: list[bytes] = []
        self.connections = 0
        self.closed = threading.Condition()
        self.closed_connections = 0
        self._tls = tls
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def take(self, wire: Wire) -> bool:
        """Read a request into `requests`; False when the client has closed."""
        request = wire.read_request()
        if request is None:
            return False
        self.requests.append(request)
        return True

    def wait_closed(self, count: int) -> None:
        """Wait until the server has closed this many connections."""
        with self.closed:
            assert self.closed.wait_for(lambda: self.closed_connections >= count, GIVE_UP_SECONDS)

    def __enter__(self) -> Self:
        thread = threading.Thread(target=self._accept, daemon=True)
        thread.start()
        self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(GIVE_UP_SECONDS)
            assert not thread.is_alive()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            script = self.scripts[min(self.connections, len(self.scripts) - 1)]
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(script, sock), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, script: Callable[[WireServer, Wire], None], sock: socket.socket) -> None:
        sock.settimeout(GIVE_UP_SECONDS)
        try:
            with contextlib.suppress(OSError), sock:
                if self._tls is not None:
                    sock = self._tls.wrap_socket(sock, server_side=True)
                self._open.add(sock)
                with sock:
                    script(self, Wire(sock, self._stopping))
        finally:
            self._open.discard(sock)
            with self.closed:
                self.closed_connections += 1
                self.closed.notify_all()
