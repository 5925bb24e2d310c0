"""Is the process alive, and can it do its work?"""

from __future__ import annotations

import threading
import time
from http import HTTPStatus
from typing import Any, Final

from flask import Blueprint, Response, current_app, jsonify

from api.presence import missing_kinds
from api.rest.call import this_web
from api.web import Web
from common.secrets import KeyRing, SecretError
from common.store.database import time_limit
from common.store.inspection import missing_indexes
from common.store.store import DatabaseError

blueprint = Blueprint("health", __name__)

_READY_SECONDS: Final = 1.0
# Indexes that were there do not go by themselves.
_INDEXES_KEPT_SECONDS: Final = 300.0


@blueprint.get("/health/live")
def live() -> Response:
    """The process answers; says nothing about the database."""
    return jsonify({"status": "ok"})


@blueprint.get("/health/ready")
def ready() -> Response:
    """200 where webhooks can be accepted, else 503; names what is in the way.

    Names also the kinds of background processes that were not seen for a minute: without them messages are accepted
    and nobody answers. That is no reason to send them elsewhere.
    """
    found = _look(this_web())
    is_ready = all(found[part] == "ok" for part in ("database", "indexes", "keys", "process"))
    response = jsonify({"status": "ok" if is_ready else "unavailable", **found})
    response.status_code = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
    return response


def _look(web: Web) -> dict[str, Any]:
    found: dict[str, Any] = {
        "database": "ok",
        "indexes": "unknown",
        "keys": _keys(web.settings.encryption_keys),
        "process": "draining" if _is_draining() else "ok",
        "missing": [],
    }
    try:
        with time_limit(_READY_SECONDS):
            web.store.ping()
            found["missing"] = missing_kinds(web.store.heartbeats.seconds_since())
            found["indexes"] = _INDEXES.state(web)
    except DatabaseError:
        found["database"] = "away"
    return found


def _keys(setting: str) -> str:
    """Whether what is encrypted with these keys can be read again."""
    try:
        ring = KeyRing.from_setting(setting)
        is_read = ring.decrypt(ring.encrypt("ready", "health"), "health") == "ready"
    except SecretError:
        return "unusable"
    return "ok" if is_read else "unusable"


def _is_draining() -> bool:
    """Whether this process was told to stop (api/gunicorn.py)."""
    is_draining = current_app.extensions.get("is_draining")
    return bool(is_draining and is_draining())


class _Indexes:
    """Whether all indexes are there: asked again while they are not, and now and then."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._complete_at: dict[str, float] = {}

    def state(self, web: Web) -> str:
        database = web.store.database
        with self._lock:
            seen_at = self._complete_at.get(database.name, float("-inf"))
        if time.monotonic() - seen_at < _INDEXES_KEPT_SECONDS:
            return "ok"
        if missing_indexes(database):
            return "missing"
        with self._lock:
            self._complete_at[database.name] = time.monotonic()
        return "ok"


_INDEXES: Final = _Indexes()
