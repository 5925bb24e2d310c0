"""Every error leaves the web process in one shape: `{"error": {code, message, fields, requestId}}`."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from flask import Flask, Response, g, jsonify
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from common.errors import AppError, ErrorCode, StoreUnavailable
from common.metrics import count_database_error
from common.store.paging import BadCursor
from common.store.store import DatabaseError

log = structlog.get_logger()

_BY_STATUS = {
    HTTPStatus.NOT_FOUND: ErrorCode.NOT_FOUND,
    HTTPStatus.TOO_MANY_REQUESTS: ErrorCode.RATE_LIMITED,
    HTTPStatus.METHOD_NOT_ALLOWED: ErrorCode.METHOD_NOT_ALLOWED,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ErrorCode.TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ErrorCode.UNSUPPORTED_MEDIA_TYPE,
}


_SENTENCES = {
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests. Wait for as many seconds as Retry-After says.",
}


def register_errors(app: Flask) -> None:
    """The web process's border: nothing leaves it as a traceback."""
    app.register_error_handler(AppError, _app_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(BadCursor, _bad_cursor)
    app.register_error_handler(DatabaseError, _database_error)
    app.register_error_handler(StoreUnavailable, _database_error)
    app.register_error_handler(Exception, _internal_error)


def _answer(code: ErrorCode, status: int, message: str, fields: dict[str, object] | None = None) -> Response:
    body = {
        "code": code.value,
        "message": message,
        "fields": fields or {},
        "requestId": g.get("request_id", ""),
    }
    response = jsonify({"error": body})
    response.status_code = status
    return response


def _app_error(error: AppError) -> Response:
    return _answer(error.code, error.status, error.message, error.fields)


def _http_error(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or 500)
    code = _BY_STATUS.get(status, ErrorCode.BAD_REQUEST if status < 500 else ErrorCode.INTERNAL)  # noqa: PLR2004 - HTTP's own line
    response = _answer(code, status, _SENTENCES.get(status, error.description or status.phrase))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _bad_cursor(error: Exception) -> Response:
    return _answer(
        ErrorCode.VALIDATION_FAILED,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The cursor is not one of this list.",
        {"cursor": [str(error)]},
    )


def _database_error(error: Exception) -> Response:
    log.warning("database.unavailable", error=type(error).__name__)
    count_database_error(error)
    response = _answer(
        ErrorCode.DATABASE_UNAVAILABLE,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The database does not answer. Nothing was lost: send the request again.",
    )
    response.headers["Retry-After"] = "1"
    return response


def _internal_error(error: Exception) -> Response:
    log.error("request.failed", error=type(error).__name__, exc_info=error)
    return _answer(ErrorCode.INTERNAL, HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong on our side.")
