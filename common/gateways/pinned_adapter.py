"""Transport for one call to a user-given URL: one name look-up, checked, and connected to what was checked.

requests-hardened resolves the name once, refuses private addresses and connects to that very address (the
certificate is still checked for the name), so a name that resolves differently the second time gains nothing.
Added here: a stricter rule for addresses, ports, and one deadline for look-up, connection and every read.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from requests_hardened.ip_filter import InvalidIPAddress  # type: ignore[import-untyped]
from requests_hardened.ip_filter_adapter import IPFilterAdapter  # type: ignore[import-untyped]
from urllib3.connection import HTTPConnection, HTTPSConnection

from common.gateways.address_guard import BlockedAddress, check_port, is_public, read_origin
from common.gateways.deadline import finish_before, seconds_left
from common.gateways.deadline_socket import DeadlineSocket, DeadlineTlsSocket

if TYPE_CHECKING:
    import socket
    import ssl

    from requests import PreparedRequest


class _DeadlineAdapter(HTTPAdapter):
    """Connections of this adapter end at the deadline, whatever the server does. Made for one call."""

    def __init__(self, *, deadline_at: float, tls: ssl.SSLContext, **options: Any) -> None:
        self._deadline_at = deadline_at
        self._tls = tls
        super().__init__(**options)

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **options)
        secure = pool.scheme == "https"
        connection = _DeadlineHttpsConnection if secure else _DeadlineHttpConnection
        pool.ConnectionCls = partial(connection, deadline_at=self._deadline_at)
        return pool

    def build_connection_pool_key_attributes(
        self,
        request: PreparedRequest,
        verify: bool | str,  # noqa: FBT001 - as requests declares it
        cert: str | tuple[str, str] | None = None,
    ) -> tuple[Any, Any]:
        parts: tuple[Any, Any] = super().build_connection_pool_key_attributes(request, verify, cert)
        host, tls = parts
        if host["scheme"] == "https":
            tls["ssl_context"] = self._tls
        return host, tls

    def cert_verify(self, *_: Any, **__: Any) -> None:
        """Nothing: the context verifies, and requests would read the certificates again for each call."""


class OpenedAdapter(_DeadlineAdapter):
    """For hosts that the operator has opened: any address."""


class PinnedAdapter(_DeadlineAdapter, IPFilterAdapter):  # type: ignore[misc]  # the library has no types
    """For all other hosts: public addresses only, ports 80 and 443 only."""

    def __init__(self, scheme: str, *, deadline_at: float, tls: ssl.SSLContext) -> None:
        super().__init__(deadline_at=deadline_at, tls=tls, is_https_proto=scheme == "https")

    def build_connection_pool_key_attributes(
        self,
        request: PreparedRequest,
        verify: bool | str,  # noqa: FBT001 - as requests declares it
        cert: str | tuple[str, str] | None = None,
    ) -> tuple[Any, Any]:
        check_port(read_origin(request.url or ""))
        build = super().build_connection_pool_key_attributes
        try:
            host, tls = finish_before(self._deadline_at, lambda: build(request, verify, cert))
        except InvalidIPAddress as error:
            raise BlockedAddress("The URL leads to an address that is not public.") from error
        if not is_public(host["host"].strip("[]")):
            raise BlockedAddress("The URL leads to an address that is not public.")
        return host, tls


class _DeadlineHttpConnection(HTTPConnection):
    def __init__(self, *args: Any, deadline_at: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline_at = deadline_at

    def _new_conn(self) -> socket.socket:
        return DeadlineSocket.adopt(super()._new_conn(), self._deadline_at)


class _DeadlineHttpsConnection(HTTPSConnection):
    def __init__(self, *args: Any, deadline_at: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._deadline_at = deadline_at

    def connect(self) -> None:
        self.timeout = seconds_left(self._deadline_at)
        super().connect()
        if isinstance(self.sock, DeadlineTlsSocket):
            self.sock.deadline_at = self._deadline_at
