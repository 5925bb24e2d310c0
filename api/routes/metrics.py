"""`GET /metrics` for Prometheus: for whoever has the token, or, outside of production, for this machine."""

from __future__ import annotations

import hmac
from functools import cache
from http import HTTPStatus
from ipaddress import ip_address

from flask import Blueprint, Response, request
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.exceptions import NotFound

from api.metrics import QueueCollector, exposition
from api.rest.call import this_web
from common.settings import Settings
from common.store.store import Store

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def metrics() -> Response:
    """The figures of all web processes, and the queue. 404 for everybody else: nothing says that it is there."""
    web = this_web()
    if not _may_ask(web.settings):
        raise NotFound
    return Response(exposition(_queue(web.store)), HTTPStatus.OK, content_type=CONTENT_TYPE_LATEST)


def _may_ask(settings: Settings) -> bool:
    token = settings.metrics_token
    if token:
        given = request.headers.get("Authorization", "")
        return hmac.compare_digest(given.encode(), f"Bearer {token}".encode())
    # Behind a proxy on the same machine, everybody seems to be local: in production nothing goes without a token.
    return not settings.is_production and _is_loopback(request.remote_addr or "")


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


@cache
def _queue(store: Store) -> QueueCollector:
    return QueueCollector(store)
