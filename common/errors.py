"""The errors that a request can end with, and the two that a process can."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import Any


class ErrorCode(StrEnum):
    """Every code that an HTTP answer can carry; documented in docs/errors.md, checked against this list."""

    BAD_REQUEST = "bad_request"
    BAD_SIGNATURE = "bad_signature"
    VERIFICATION_FAILED = "verification_failed"
    UNAUTHENTICATED = "unauthenticated"
    BAD_CREDENTIALS = "bad_credentials"
    CSRF_FAILED = "csrf_failed"
    FORBIDDEN = "forbidden"
    PASSWORD_CHANGE_REQUIRED = "password_change_required"  # noqa: S105 - a code
    NOT_FOUND = "not_found"
    VALIDATION_FAILED = "validation_failed"
    REVISION_CONFLICT = "revision_conflict"
    ALREADY_EXISTS = "already_exists"
    CONFLICT = "conflict"
    FLOW_IN_USE = "flow_in_use"
    NOT_DEPLOYABLE = "not_deployable"
    DEPLOY_LOCKED = "deploy_locked"
    TRIGGER_CONFLICT = "trigger_conflict"
    CONTROL_REFUSED = "control_refused"
    TOO_MANY_STREAMS = "too_many_streams"
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    STILL_RUNNING = "still_running"
    RATE_LIMITED = "rate_limited"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    TOO_LARGE = "too_large"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    WHATSAPP_REFUSED = "whatsapp_refused"
    WHATSAPP_UNREACHABLE = "whatsapp_unreachable"
    OPENAI_REFUSED = "openai_refused"
    OPENAI_UNREACHABLE = "openai_unreachable"
    DATABASE_UNAVAILABLE = "database_unavailable"
    INTERNAL = "internal"


class AppError(Exception):
    """A request that cannot be served: `{"error": {"code", "message", "fields", "requestId"}}` over HTTP."""

    def __init__(
        self, code: ErrorCode, status: HTTPStatus, message: str, fields: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.fields = fields or {}


class ConfigurationError(Exception):
    """The process cannot start as it is configured; the message lists everything that is wrong."""


class StoreUnavailable(Exception):  # noqa: N818 - a state of the world, named as callers think of it
    """The database did not answer in time, or its answer leaves open whether the write happened."""
