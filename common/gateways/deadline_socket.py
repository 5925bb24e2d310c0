"""Sockets whose every read and write obeys one total deadline.

An ordinary socket time-out begins anew with each packet, so a peer that drips one byte a second is never
late. Here each operation may only use what is left until `deadline_at`.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

import certifi

from common.gateways.deadline import seconds_left

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer


class DeadlineSocket(socket.socket):
    """A plain socket with a deadline; `adopt` turns a connected socket into one."""

    deadline_at: float

    @classmethod
    def adopt(cls, plain: socket.socket, deadline_at: float) -> DeadlineSocket:
        """Take over the connected socket; the old object is empty afterwards."""
        adopted = cls(plain.family, plain.type, plain.proto, fileno=plain.detach())
        adopted.deadline_at = deadline_at
        return adopted

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        self.settimeout(seconds_left(self.deadline_at))
        return super().recv_into(buffer, nbytes, flags)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        self.settimeout(seconds_left(self.deadline_at))
        super().sendall(data, flags)


class DeadlineTlsSocket(ssl.SSLSocket):
    """A TLS socket with a deadline; made by a context whose `sslsocket_class` this is."""

    deadline_at: float | None = None  # None while the handshake runs, which has a total time-out of its own

    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        if self.deadline_at is not None:
            self.settimeout(seconds_left(self.deadline_at))
        return super().recv_into(buffer, nbytes, flags)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        if self.deadline_at is not None:
            self.settimeout(seconds_left(self.deadline_at))
        super().sendall(data, flags)


def tls_context(cafile: str | None = None) -> ssl.SSLContext:
    """A verifying client context whose sockets keep deadlines.

    It trusts `cafile` alone, or else what the system trusts (and `SSL_CERT_FILE` names) together with
    Mozilla's list, since slim containers have no list of their own.
    """
    context = ssl.create_default_context(cafile=cafile)
    if cafile is None:
        context.load_verify_locations(certifi.where())
    context.hostname_checks_common_name = False
    context.sslsocket_class = DeadlineTlsSocket
    return context
