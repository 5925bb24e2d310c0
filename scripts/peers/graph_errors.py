"""The error bodies of Meta's Graph API: one exception that knows how to write itself."""

from __future__ import annotations

import secrets
from typing import Any

from scripts.peers.json_text import json_answer
from scripts.peers.wire import Answer

TITLES = {
    1: "An unknown error has occurred.",
    2: "Service temporarily unavailable",
    4: "Application request limit reached",
    33: "Parameter value is not valid",
    100: "Invalid parameter",
    190: "Error validating access token: Session has expired.",
    368: "Temporarily blocked for policies violations",
    80007: "Rate limit issues",
    130429: "Rate limit hit",
    130472: "User's number is part of an experiment",
    130497: "Business account is restricted from messaging users in this country.",
    131000: "Something went wrong",
    131005: "Access denied",
    131008: "Required parameter is missing",
    131009: "Parameter value is not valid",
    131016: "Service unavailable",
    131021: "Recipient cannot be sender",
    131026: "Message undeliverable",
    131030: "Recipient phone number not in allowed list",
    131031: "Business Account locked",
    131042: "Business eligibility payment issue",
    131045: "Incorrect certificate",
    131047: "Re-engagement message",
    131048: "Spam rate limit hit",
    131049: "This message was not delivered to maintain healthy ecosystem engagement.",
    131050: "User has stopped marketing messages",
    131051: "Unsupported message type",
    131052: "Media download error",
    131053: "Media upload error",
    131056: "(Business Account, Consumer Account) pair rate limit hit",
    131057: "Business Account is in maintenance mode",
    131062: "Business-scoped user ids are not supported for this message",
    133004: "Server temporarily unavailable",
    133010: "Phone number not registered",
}
UNAUTHORIZED_CODES = frozenset({0, 190})
SHAPED_STATUS_CODES = {400: 100, 401: 190, 403: 131005, 429: 130429, 503: 131016}


class GraphError(Exception):
    """A refusal as the Graph API words it."""

    def __init__(
        self,
        code: int,
        details: str = "",
        *,
        status: int | None = None,
        subcode: int | None = None,
        message: str | None = None,
        kind: str = "OAuthException",
        is_transient: bool | None = None,
    ) -> None:
        self.code = code
        self.details = details
        self.status = status if status is not None else (401 if code in UNAUTHORIZED_CODES else 400)
        self.subcode = subcode
        self.message = message if message is not None else f"(#{code}) {title_of(code)}"
        self.kind = kind
        self.is_transient = is_transient
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """`{"error": {...}}` with Meta's fields."""
        error: dict[str, Any] = {"message": self.message, "type": self.kind, "code": self.code}
        if self.details:
            error["error_data"] = {"messaging_product": "whatsapp", "details": self.details}
        if self.subcode is not None:
            error["error_subcode"] = self.subcode
        if self.is_transient is not None:
            error["is_transient"] = self.is_transient
        error["fbtrace_id"] = "A" + secrets.token_urlsafe(16)
        return {"error": error}

    def answer(self, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        """The error as an HTTP answer."""
        return json_answer(self.body(), self.status, headers)


def title_of(code: int) -> str:
    """Meta's title for the code, as far as it is known."""
    return TITLES.get(code, "Something went wrong")


def status_error(code: int, details: str = "") -> dict[str, Any]:
    """The flat shape that errors have inside a `failed` status webhook."""
    return {
        "code": code,
        "title": title_of(code),
        "message": title_of(code),
        "error_data": {"details": details or title_of(code)},
        "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
    }


def unknown_object(object_id: str, verb: str) -> GraphError:
    """What Graph says about an id that does not exist or that the token may not see."""
    return GraphError(
        100,
        subcode=33,
        kind="GraphMethodException",
        message=(
            f"Unsupported {verb} request. Object with ID '{object_id}' does not exist, cannot be loaded due to "
            "missing permissions, or does not support this operation. Please read the Graph API documentation at "
            "https://developers.facebook.com/docs/graph-api"
        ),
    )
