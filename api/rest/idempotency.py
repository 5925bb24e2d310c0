"""Writes that can be retried: the same Idempotency-Key gets the same answer, and changes nothing again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from http import HTTPStatus

from flask import Response, request

from api.rest.call import Call, conflict
from common.errors import AppError, ErrorCode

_KEY = re.compile(r"[\x21-\x7e]{8,200}")


def run_once(call: Call, key: str, operation: str, answer: Callable[[], Response]) -> Response:
    """The handler's answer, or the one that the same request got before.

    Raises AppError: 422 for a bad key or one that came with another request, 409 while the first one still runs.
    A request that failed on our side is forgotten and can be repeated; it then has the same `new_id`.
    """
    if not _KEY.fullmatch(key):
        raise AppError(
            ErrorCode.BAD_REQUEST,
            HTTPStatus.BAD_REQUEST,
            "An Idempotency-Key has 8 to 200 printable characters without blanks.",
        )
    record_id = hashlib.sha256(f"{call.user_id}\n{key}".encode()).hexdigest()
    begun = call.store.idempotency.begin(record_id, _fingerprint(operation), call.new_id)
    if begun.is_other:
        raise AppError(
            ErrorCode.IDEMPOTENCY_KEY_REUSED,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "This Idempotency-Key came with another request before.",
        )
    if begun.answer is not None:
        return Response(
            begun.answer,
            status=begun.status,
            mimetype="application/json",
            headers={"Idempotent-Replayed": "true"},
        )
    if begun.is_running:
        raise conflict(
            ErrorCode.STILL_RUNNING, "The first request with this Idempotency-Key is still running."
        )
    call.new_id = begun.new_id
    is_decided = False
    try:
        response = answer()
        call.store.idempotency.finish(record_id, response.status_code, response.get_data(as_text=True))
        is_decided = True
    except AppError:
        is_decided = True
        call.store.idempotency.forget(record_id)  # nothing was made; the next one may be right
        raise
    finally:
        if not is_decided:  # a fault of ours; perhaps it was made
            call.store.idempotency.let_repeat(record_id)
    return response


def _fingerprint(operation: str) -> str:
    said = json.dumps(
        [operation, request.path, request.query_string.decode("latin-1"), request.get_data(as_text=True)]
    )
    return hashlib.sha256(said.encode()).hexdigest()
