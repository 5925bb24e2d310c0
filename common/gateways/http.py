"""One HTTP call for the API node: to the public internet only, bounded in time, size and depth."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import requests
import urllib3
from requests import PreparedRequest

from common.gateways.address_guard import AllowedHosts, BadUrl, BlockedAddress, read_origin
from common.gateways.answer_body import BadBody, read_body
from common.gateways.deadline import seconds_left
from common.gateways.deadline_socket import tls_context
from common.gateways.http_request import BadRequest, prepare, redirected
from common.gateways.pinned_adapter import OpenedAdapter, PinnedAdapter
from common.model.calls import CallFailed, HttpAnswer, HttpRequest

if TYPE_CHECKING:
    import ssl

MAX_BYTES = 1024 * 1024  # of an answer, after decompression
MAX_TIMEOUT_SECONDS = 120.0  # a longer time-out is cut: an effect must end well before its job is given up
MIN_TIMEOUT_SECONDS = 0.1
MAX_REDIRECTS = 3
MAX_RETRY_DELAY_SECONDS = 300.0
MAX_KEPT_HEADERS = 50
MAX_KEPT_HEADER = 1024  # characters of a header's value that are kept
_CHUNK = 16 * 1024
_NEVER_KEPT = frozenset({"set-cookie", "set-cookie2", "www-authenticate", "proxy-authenticate"})  # secrets
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BACK_SOON = frozenset({408, 425, 429, 500, 502, 503, 504})
_TIMER_SLACK = 0.01  # a socket's time-out may fire this much before the deadline


class _TooLarge(Exception):  # noqa: N818 - what the answer is
    """The answer exceeds the limit."""


class HttpGateway:
    """Calls user-given URLs. Thread-safe: nothing is shared between calls, neither cookies nor connections."""

    def __init__(
        self,
        allowed_hosts: tuple[str, ...] = (),
        max_bytes: int = MAX_BYTES,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`tls` (from `tls_context`) replaces the system's certificates. Raises ConfigurationError."""
        self._allowed = AllowedHosts(allowed_hosts)
        self._max_bytes = max_bytes
        self._tls = tls or tls_context()

    def attempt(
        self, request: HttpRequest, idempotency_key: str, request_id: str | None = None
    ) -> HttpAnswer | CallFailed:
        """One attempt, whatever `max_retries` says. Never raises.

        Codes: api.bad_url, api.bad_request, api.blocked_address, api.unreachable, api.timeout,
        api.too_large, api.bad_answer, api.bad_status (with status and body).
        """
        started_at = time.monotonic()
        timeout = min(max(request.timeout_seconds, MIN_TIMEOUT_SECONDS), MAX_TIMEOUT_SECONDS)
        deadline_at = started_at + timeout
        try:
            answer = self._follow(prepare(request, idempotency_key, request_id), deadline_at)
        except (BadUrl, requests.exceptions.InvalidURL, urllib3.exceptions.LocationValueError) as error:
            text = str(error) if isinstance(error, BadUrl) else "The URL is malformed."
            answer = CallFailed("api.bad_url", text)
        except BadRequest as error:
            answer = CallFailed("api.bad_request", str(error))
        except BlockedAddress as error:
            answer = CallFailed("api.blocked_address", str(error))
        except _TooLarge:
            answer = CallFailed("api.too_large", f"The answer has more than {self._max_bytes} bytes.")
        except BadBody as error:
            answer = CallFailed("api.bad_answer", str(error))
        except (urllib3.exceptions.DecodeError, requests.exceptions.ContentDecodingError):
            answer = CallFailed("api.bad_answer", "The answer is compressed in a broken way.")
        except (OSError, urllib3.exceptions.HTTPError, ValueError) as error:  # RequestException is an OSError
            answer = _connection_failure(error, deadline_at, timeout)
        return _timed(answer, (time.monotonic() - started_at) * 1000)

    def _follow(self, prepared: PreparedRequest, deadline_at: float) -> HttpAnswer | CallFailed:
        """The answer after at most MAX_REDIRECTS redirects, each checked like the first URL."""
        for _ in range(MAX_REDIRECTS + 1):
            adapter = self._adapter(prepared, deadline_at)
            with (
                closing(adapter),
                adapter.send(prepared, stream=True, timeout=seconds_left(deadline_at)) as response,
            ):
                location = response.headers.get("Location")
                if response.status_code in _REDIRECTS and location and prepared.method in {"GET", "HEAD"}:
                    prepared = redirected(prepared, location)
                    continue
                return self._read(response)
        return CallFailed(
            "api.bad_status", f"More than {MAX_REDIRECTS} redirects.", status=response.status_code
        )

    def _adapter(self, prepared: PreparedRequest, deadline_at: float) -> OpenedAdapter | PinnedAdapter:
        origin = read_origin(prepared.url or "")
        if self._allowed.opens(origin):
            return OpenedAdapter(deadline_at=deadline_at, tls=self._tls)
        return PinnedAdapter(origin.scheme, deadline_at=deadline_at, tls=self._tls)

    def _read(self, response: requests.Response) -> HttpAnswer | CallFailed:
        status = response.status_code
        raw = self._read_raw(response)
        content_type = response.headers.get("Content-Type", "")
        if 200 <= status < 300:  # noqa: PLR2004 - the class of successes
            return HttpAnswer(status, _kept_headers(response), read_body(raw, content_type))
        try:
            body = read_body(raw, content_type)
        except BadBody:
            body = None
        return CallFailed("api.bad_status", f"The server answered {status}.", status=status, body=body)

    def _read_raw(self, response: requests.Response) -> bytes:
        length = response.headers.get("Content-Length", "")
        announced = int(length[:19]) if length.isascii() and length.isdigit() else 0
        if announced > self._max_bytes and response.request.method != "HEAD":
            raise _TooLarge
        pieces: list[bytes] = []
        size = 0
        for piece in response.raw.stream(_CHUNK, decode_content=True):
            size += len(piece)
            if size > self._max_bytes:
                raise _TooLarge
            pieces.append(piece)
        return b"".join(pieces)


def is_retryable(failed: CallFailed) -> bool:
    """Whether the same call may go better later."""
    if failed.code == "api.bad_status":
        return failed.status in _BACK_SOON
    return failed.code in {"api.timeout", "api.unreachable"}


def next_delay(request: HttpRequest, attempt: int) -> float | None:
    """Seconds until the next attempt after `attempt` failed ones: doubling. None: no more attempts."""
    if attempt < 1 or attempt > request.max_retries:
        return None
    doubled = float(2 ** min(attempt - 1, 16))  # beyond that the maximum holds anyway
    return min(max(0.0, request.retry_delay_seconds) * doubled, MAX_RETRY_DELAY_SECONDS)


def _connection_failure(error: Exception, deadline_at: float, timeout: float) -> CallFailed:
    late = time.monotonic() >= deadline_at - _TIMER_SLACK
    if late or isinstance(
        error, TimeoutError | requests.exceptions.Timeout | urllib3.exceptions.TimeoutError
    ):
        return CallFailed("api.timeout", f"No complete answer within {timeout:g} seconds.")
    if isinstance(error, requests.exceptions.SSLError):
        return CallFailed("api.unreachable", "The server's certificate or TLS is not valid.")
    return CallFailed("api.unreachable", "The server cannot be reached, or broke the connection.")


def _kept_headers(response: requests.Response) -> tuple[tuple[str, str], ...]:
    kept = [
        (name[:MAX_KEPT_HEADER], value[:MAX_KEPT_HEADER])
        for name, value in response.headers.items()
        if name.lower() not in _NEVER_KEPT
    ]
    return tuple(kept[:MAX_KEPT_HEADERS])


def _timed(answer: HttpAnswer | CallFailed, duration_ms: float) -> HttpAnswer | CallFailed:
    return replace(answer, duration_ms=round(duration_ms, 1))
