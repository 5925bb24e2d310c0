"""A JSON API asked with a user's token: one call, one deadline, an answer in JSON or the news that there is none."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from common.gateways.deadline_socket import tls_context
from common.gateways.keep_alive import KeepAlivePool, NoAnswer, NotDelivered

if TYPE_CHECKING:
    import ssl

_TOKEN = re.compile(r"[\x21-\x7e]{1,4200}")  # it becomes a header: no spaces, no line ends
_PATH = re.compile(r"[\w.\-/]{1,300}", re.ASCII)
_POOL_SIZE = 2


class Unreachable(Exception):  # noqa: N818 - what is the case
    """No answer that can be read came in time. The message names no secret."""


@dataclass(frozen=True, slots=True)
class JsonAnswer:
    """A JSON object with the HTTP status that it came with."""

    status: int
    data: dict[str, Any]

    @property
    def is_success(self) -> bool:
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


class JsonApi:
    """An API at one base URL. Thread-safe. No redirects, no proxies from the environment."""

    def __init__(self, base_url: str, *, timeout_seconds: float, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(base_url)
        self._host = parts.netloc.rpartition("@")[2]
        self._base_path = parts.path.rstrip("/")
        self._timeout_seconds = timeout_seconds
        self._pool = KeepAlivePool(base_url, size=_POOL_SIZE, tls=tls or tls_context())

    def call(
        self, method: str, path: str, *, token: str, query: dict[str, str] | None = None,
        body: dict[str, Any] | None = None, deadline_at: float | None = None,
    ) -> JsonAnswer:  # fmt: skip
        """Ask once. `deadline_at` (`time.monotonic`) may only shorten the wait.

        Raises Unreachable, and ValueError for a token or a path that cannot be written into a request.
        """
        if not _TOKEN.fullmatch(token) or not _PATH.fullmatch(path):
            raise ValueError("a token and a path are printable text without blanks")
        latest = time.monotonic() + self._timeout_seconds
        request = self._request(method, path, token, query, body)
        try:
            raw = self._pool.exchange(request, latest if deadline_at is None else min(latest, deadline_at))
        except (NotDelivered, NoAnswer) as error:
            raise Unreachable(str(error)) from error
        try:
            data = json.loads(raw.body)
        except (ValueError, RecursionError):
            data = None
        if not isinstance(data, dict):
            raise Unreachable(f"HTTP {raw.status} without an answer in JSON")
        return JsonAnswer(raw.status, data)

    def close(self) -> None:
        """Close idle connections."""
        self._pool.close()

    def _request(
        self, method: str, path: str, token: str, query: dict[str, str] | None, body: dict[str, Any] | None
    ) -> bytes:
        address = f"{self._base_path}/{path}" + (f"?{urlencode(query)}" if query else "")
        content = b"" if body is None else json.dumps(body).encode()
        kind = "" if body is None else "Content-Type: application/json\r\n"
        head = (
            f"{method} {address} HTTP/1.1\r\n"
            f"Host: {self._host}\r\n"
            "User-Agent: whatsapp-flow-builder\r\n"
            "Accept: application/json\r\n"
            "Accept-Encoding: identity\r\n"
            f"{kind}"
            f"Authorization: Bearer {token}\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        return head.encode("ascii") + content
