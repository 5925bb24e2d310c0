"""Graph's answer to a send, as a result."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeGuard

from common.gateways.retry_after import read_retry_after
from common.gateways.scrub import scrub
from common.gateways.whatsapp.error_table import Action, action_for
from common.gateways.whatsapp.results import Accepted, Refused, SendResult, Unknown
from common.model.phone_numbers import normalise

if TYPE_CHECKING:
    from email.message import Message

    from common.gateways.keep_alive import RawAnswer

MAX_WAMID = 512  # characters; real ones have about 60
_MAX_CODE = 2**31 - 1  # a larger "code" is no code, and no database integer
_MINUTE_SECONDS = 60.0


def read_answer(answer: RawAnswer, access_token: str) -> SendResult:
    """What the answer says about the message. Never raises.

    A Graph error, and any 3xx or 4xx, means that it was not taken. A 2xx without a message id, and a 5xx
    without a Graph error (a proxy's page: the server behind it may have worked), leave it open.
    """
    data = _parse(answer.body)
    error = data.get("error") if isinstance(data, dict) else None
    if isinstance(error, dict) and _is_code(error.get("code")):
        return _refusal(answer, error, access_token)
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return _acceptance(data)
    if answer.status < HTTPStatus.INTERNAL_SERVER_ERROR:
        throttled = answer.status == HTTPStatus.TOO_MANY_REQUESTS
        return Refused(
            code=None,
            subcode=None,
            details=f"HTTP {answer.status} without a Graph error",
            action=Action.RETRY_NUMBER if throttled else Action.RETRY_TRANSIENT,
            retry_after_seconds=retry_after_seconds(answer.headers),
        )
    return Unknown(f"HTTP {answer.status} without a Graph error")


def retry_after_seconds(headers: Message) -> float | None:
    """How long Meta wants us to wait: `Retry-After`, or the business usage header (minutes)."""
    wishes = [
        wish
        for wish in (
            read_retry_after(headers.get("Retry-After")),
            _business_usage(headers.get("X-Business-Use-Case-Usage")),
        )
        if wish is not None and wish > 0
    ]
    return max(wishes, default=None)


def _acceptance(data: Any) -> SendResult:
    try:
        wamid = data["messages"][0]["id"]
    except (KeyError, IndexError, TypeError):
        wamid = None
    if not isinstance(wamid, str) or not 0 < len(wamid) <= MAX_WAMID or not wamid.isprintable():
        return Unknown("a success without a message id")
    try:
        wa_id = data["contacts"][0]["wa_id"]
    except (KeyError, IndexError, TypeError):
        wa_id = None
    return Accepted(wamid, normalise(wa_id) if isinstance(wa_id, str) else None)


def _refusal(answer: RawAnswer, error: dict[str, Any], access_token: str) -> Refused:
    code: int = error["code"]
    subcode = error.get("error_subcode")
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    text = scrub(details or error.get("message"), [access_token])  # Graph repeats a malformed token
    is_transient = error.get("is_transient") is True or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return Refused(
        code=code,
        subcode=subcode if _is_code(subcode) else None,
        details=text,
        action=action_for(code, details=text, is_transient=is_transient),
        retry_after_seconds=retry_after_seconds(answer.headers),
    )


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _is_code(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _MAX_CODE


def _business_usage(header: str | None) -> float | None:
    """`{"<business id>": [{"estimated_time_to_regain_access": <minutes>, …}]}`."""
    usage = _parse(header.encode("latin-1", "replace")) if header else None
    if not isinstance(usage, dict):
        return None
    entries = [entry for group in usage.values() if isinstance(group, list) for entry in group]
    minutes = [entry.get("estimated_time_to_regain_access") for entry in entries if isinstance(entry, dict)]
    return max((value * _MINUTE_SECONDS for value in minutes if _is_code(value)), default=None)
