"""Is the process alive, and can it do its work?"""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, current_app, jsonify

from api.web import Web
from common.store.database import time_limit
from common.store.store import DatabaseError

blueprint = Blueprint("health", __name__)

_READY_SECONDS = 1.0
# A worker or timer that was not seen for so long is gone: messages are accepted but nobody answers them.
_SILENT_SECONDS = 60.0


@blueprint.get("/health/live")
def live() -> Response:
    """The process answers; says nothing about the database."""
    return jsonify({"status": "ok"})


@blueprint.get("/health/ready")
def ready() -> Response:
    """200 when webhooks can be accepted; names worker and timer processes that were not seen of late."""
    web = current_app.extensions["web"]
    if not isinstance(web, Web):
        raise TypeError("the application was not made by create_app")
    try:
        with time_limit(_READY_SECONDS):
            web.store.ping()
            seen = web.store.heartbeats.seconds_since()
    except DatabaseError:
        response = jsonify({"status": "unavailable", "database": "away"})
        response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return response
    missing = [kind for kind in ("worker", "timer") if seen.get(kind, _SILENT_SECONDS) >= _SILENT_SECONDS]
    return jsonify({"status": "ok", "database": "ok", "missing": missing})
