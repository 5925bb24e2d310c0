"""An API node's call as a prepared request: what its author wrote, minus what is not the author's to say."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import requests
from requests import PreparedRequest

from common.gateways.address_guard import BadUrl, read_origin

if TYPE_CHECKING:
    from common.model.calls import HttpRequest

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
MAX_URL = 8192  # characters; servers refuse longer ones
MAX_HEADERS_BYTES = 32 * 1024
MAX_BODY_BYTES = 1024 * 1024
ACCEPT = "application/json, text/*;q=0.9, */*;q=0.5"

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~\-]{1,256}")
_FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_FORBIDDEN_IN_URL = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")

_OURS = frozenset({"host", "content-length", "accept-encoding"})
_HOP_BY_HOP = frozenset(
    {"connection", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
# Clouds' metadata servers ask for these as a proof that no confused proxy is calling.
_METADATA = frozenset({"metadata", "metadata-flavor", "x-google-metadata-request"})
_REMOVED = _OURS | _HOP_BY_HOP | _METADATA
_REMOVED_PREFIXES = ("proxy-", "x-aws-ec2-metadata-token")
# What another origin may see after a redirect; everything else may be somebody's credential.
_HARMLESS = frozenset({"accept", "accept-encoding", "accept-language", "user-agent"})


class BadRequest(Exception):  # noqa: N818 - what the request is
    """Method, headers or body cannot be sent; the message says why, without values."""


def prepare(request: HttpRequest, idempotency_key: str, request_id: str | None) -> PreparedRequest:
    """The request as it goes out. Raises BadUrl, BlockedAddress, BadRequest."""
    if request.method not in METHODS:
        raise BadRequest("The method is not one of those of HTTP.")
    headers = _headers(request)
    headers.setdefault("idempotency-key", idempotency_key.encode())
    if request_id:
        headers.setdefault("x-request-id", request_id.encode())
    body = _body(request, headers)
    return _prepared(request.method, request.url, headers, body, request.query)


def redirected(before: PreparedRequest, location: str) -> PreparedRequest:
    """The GET or HEAD that a redirect asks for; another origin gets no credentials. Raises as `prepare`."""
    try:
        url = urljoin(before.url or "", location)
    except ValueError as error:
        raise BadUrl("The server redirects to a malformed URL.") from error
    headers = {name.lower(): value for name, value in before.headers.items() if name.lower() != "host"}
    if read_origin(before.url or "") != read_origin(url):
        headers = {name: value for name, value in headers.items() if name in _HARMLESS}
    headers.pop("content-type", None)
    return _prepared(before.method or "GET", url, headers, None, ())


def _prepared(
    method: str, url: str, headers: dict[str, Any], body: bytes | None, query: tuple[tuple[str, str], ...]
) -> PreparedRequest:
    if len(url) > MAX_URL or _FORBIDDEN_IN_URL.search(url):
        raise BadUrl("The URL is longer than 8192 characters, or contains spaces or control characters.")
    read_origin(url)
    try:
        prepared = requests.Request(method, url, headers=headers, data=body, params=list(query)).prepare()
    except (ValueError, UnicodeError) as error:  # requests' own URL errors are ValueErrors
        raise BadUrl("The URL is malformed.") from error
    prepared.headers.pop("Content-Length", None)
    if body is not None:
        prepared.headers["Content-Length"] = str(len(body))
    elif method in {"POST", "PUT", "PATCH"}:
        prepared.headers["Content-Length"] = "0"
    return prepared


def _headers(request: HttpRequest) -> dict[str, bytes]:
    headers: dict[str, bytes] = {
        "user-agent": b"whatsapp-flow-builder",
        "accept": ACCEPT.encode(),
    }
    given: dict[str, bytes] = {}
    for name, value in request.headers:
        lower = name.strip().lower()
        if lower in _REMOVED or lower.startswith(_REMOVED_PREFIXES):
            continue
        if not _HEADER_NAME.fullmatch(lower) or _FORBIDDEN_IN_VALUE.search(value):
            raise BadRequest("A header has a malformed name, or a line break in its value.")
        text = value.strip(" \t").encode("utf-8", "replace")
        given[lower] = given[lower] + b", " + text if lower in given else text
    headers |= given
    if sum(len(name) + len(value) for name, value in headers.items()) > MAX_HEADERS_BYTES:
        raise BadRequest("The headers have more than 32 KiB.")
    return headers | {"accept-encoding": b"gzip, deflate"}


def _body(request: HttpRequest, headers: dict[str, bytes]) -> bytes | None:
    """JSON; a text under another content type as it stands."""
    if request.body is None:
        return None
    content_type = headers.setdefault("content-type", b"application/json").lower()
    if isinstance(request.body, str) and b"json" not in content_type:
        body = request.body.encode("utf-8", "replace")
    else:
        try:
            body = json.dumps(request.body, allow_nan=False, separators=(",", ":")).encode()
        except (ValueError, TypeError, RecursionError) as error:
            raise BadRequest("The body cannot be written as JSON.") from error
    if len(body) > MAX_BODY_BYTES:
        raise BadRequest("The body has more than 1 MiB.")
    return body
