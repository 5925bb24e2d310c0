"""Which addresses a URL given by a user may reach: the public internet, and what the operator has opened."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from common.errors import ConfigurationError

DEFAULT_PORTS = {"http": 80, "https": 443}

# The only IPv6 range in which global unicast addresses are given out (IANA). Everything outside of it, such
# as mapped, translated (NAT64), site-local and segment-routing addresses, is no way to a public server.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Python 3.11 calls some of these global.
_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # IETF protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "2001::/23",  # Teredo and other protocol assignments: IPv4 addresses inside
        "2002::/16",  # 6to4: an IPv4 address inside
        "3fff::/20",  # documentation
    )
)
# "1", "0x7f", "017": what a resolver would read as (part of) an IPv4 address.
_NUMERIC_LABEL = re.compile(r"(?:[0-9]+|0[xX][0-9a-fA-F]*)")
_LIST_ENTRY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._\-]+)(?::(?P<port>[0-9]{1,5}))?")
_MAX_PORT = 65535


class BlockedAddress(Exception):  # noqa: N818 - what the address is
    """The URL leads where users' calls must not go. The message names no resolved address."""


class BadUrl(Exception):  # noqa: N818 - what the URL is
    """The text is no URL that can be called."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a URL leads, before any name is resolved."""

    scheme: str
    host: str
    port: int


class AllowedHosts:
    """Exact `host` (ports 80 and 443) and `host:port` entries that may be called whatever their address is."""

    def __init__(self, entries: tuple[str, ...] = ()) -> None:
        """Raises ConfigurationError for an entry that is none."""
        self._opened: set[tuple[str, int]] = set()
        for entry in entries:
            match = _LIST_ENTRY.fullmatch(entry.strip())
            port = int(match["port"]) if match and match["port"] else None
            if match is None or (port is not None and not 0 < port <= _MAX_PORT):
                raise ConfigurationError(f"HTTP_ALLOWED_HOSTS: {entry!r} is not host or host:port")
            host = match["host"].strip("[]").lower()
            ports = DEFAULT_PORTS.values() if port is None else (port,)
            self._opened.update((host, port) for port in ports)

    def opens(self, origin: Origin) -> bool:
        """Whether the operator has opened exactly this host and port."""
        return (origin.host, origin.port) in self._opened


def read_origin(url: str) -> Origin:
    """The origin of a complete URL. Raises BadUrl or BlockedAddress (a disguised address, a user in the URL)."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadUrl("The URL is malformed.") from error
    if parts.scheme not in DEFAULT_PORTS or not host:
        raise BadUrl("The URL must begin with http:// or https:// and a host.")
    if "@" in parts.netloc or "%" in host or "\\" in parts.netloc:
        raise BlockedAddress("The URL's host part must be a host, without user name or escapes.")
    last_label = host.rstrip(".").rpartition(".")[2]
    if ":" not in host and _NUMERIC_LABEL.fullmatch(last_label) and not _is_dotted_quad(host):
        raise BlockedAddress("The URL's host is a disguised address.")
    host = host.removesuffix(".").lower()
    return Origin(parts.scheme, host, DEFAULT_PORTS[parts.scheme] if port is None else port)


def check_port(origin: Origin) -> None:
    """Raises BlockedAddress for all but the two ports of the web (others belong to databases, mail, …)."""
    if origin.port not in DEFAULT_PORTS.values():
        raise BlockedAddress(f"Port {origin.port} is not open to calls; 80 and 443 are.")


def is_public(address: str) -> bool:
    """Whether the address (no brackets) belongs to the public internet. False for what is no address."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if not ip.is_global or ip.is_multicast or ip.is_reserved:
        return False
    if ip.version == 6 and ip not in _GLOBAL_UNICAST:  # noqa: PLR2004 - IP versions are what they are
        return False
    return not any(ip in network for network in _SPECIAL if network.version == ip.version)


def _is_dotted_quad(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True
