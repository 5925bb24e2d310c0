"""What went wrong with a completion, and whether it may pass."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from common.gateways.answer_body import clean_text
from common.gateways.retry_after import read_retry_after
from common.model.calls import CallFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openai import APIStatusError

MAX_MESSAGE = 300  # characters of OpenAI's own explanation that are kept
_LOOKS_LIKE_A_KEY = re.compile(r"\bsk-[\w*.\-]+")


@dataclass(frozen=True, slots=True)
class Failure:
    """`may_pass`: the same call may go better later, after `retry_after_seconds` if the server said so."""

    failed: CallFailed
    may_pass: bool = False
    retry_after_seconds: float | None = None


def read_failure(error: Exception, api_key: str) -> Failure:
    """The failure that an exception of the `openai` package (or our deadline) stands for."""
    import openai  # noqa: PLC0415 - loaded already by whoever raised the error

    if isinstance(error, openai.APIStatusError):
        return _refused(error, api_key)
    if isinstance(error, openai.APITimeoutError | TimeoutError):
        return Failure(CallFailed("ai.timeout", "OpenAI did not answer in time."), may_pass=True)
    if isinstance(error, openai.APIConnectionError | OSError):
        text = "OpenAI cannot be reached, or broke the connection."
        return Failure(CallFailed("ai.unavailable", text), may_pass=True)
    return Failure(CallFailed("ai.bad_answer", "OpenAI's answer cannot be read."))


def _refused(error: APIStatusError, api_key: str) -> Failure:
    status = error.status_code
    if status == HTTPStatus.UNAUTHORIZED:
        return Failure(CallFailed("ai.bad_key", "OpenAI does not accept the stored API key.", status=status))
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return _limited(error.code, _wish(error.response.headers), status)
    if (
        status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT}
        or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    ):
        text = f"OpenAI is not available (status {status})."
        return Failure(
            CallFailed("ai.unavailable", text, status=status),
            may_pass=True,
            retry_after_seconds=_wish(error.response.headers),
        )
    text = f"OpenAI refused the request (status {status}): {_explanation(error.body, api_key)}"
    return Failure(CallFailed("ai.refused", text, status=status))


def _limited(code: str | None, wish: float | None, status: int) -> Failure:
    if code in {"insufficient_quota", "billing_hard_limit_reached"}:
        return Failure(CallFailed("ai.rate_limited", "The OpenAI account has no credit left.", status=status))
    failed = CallFailed("ai.rate_limited", "OpenAI's rate limit is reached.", status=status)
    return Failure(failed, may_pass=True, retry_after_seconds=wish)


def _wish(headers: Mapping[str, str]) -> float | None:
    """`retry-after-ms` is OpenAI's own and more exact."""
    milliseconds = headers.get("retry-after-ms", "")
    if milliseconds.isascii() and milliseconds.isdigit():
        return float(milliseconds[:12]) / 1000
    wish = read_retry_after(headers.get("retry-after"))
    return wish if wish is not None and wish > 0 else None


def _explanation(body: object, api_key: str) -> str:
    """OpenAI's own words without the key, of which it sometimes repeats a part."""
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(message, str) or not message:
        return "no reason given."
    return _LOOKS_LIKE_A_KEY.sub("[key]", clean_text(message).replace(api_key, "[key]"))[:MAX_MESSAGE]
