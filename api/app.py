"""The web process: `create_app` puts it together."""

from __future__ import annotations

import structlog
from flask import Flask, Response, g, request
from flask_pymongo import PyMongo
from werkzeug.middleware.proxy_fix import ProxyFix

from api.downloads import Downloads
from api.errors import register_errors
from api.intake import Intake
from api.live.hub import Hub
from api.metrics import count_requests
from api.numbers import Numbers
from api.outage import Outage
from api.patience import Patience
from api.request_slots import RequestSlots
from api.resources import resources
from api.rest.docs_page import register_docs
from api.rest.limits import set_up_limits
from api.rest.tokens import set_up_tokens
from api.routes import health, metrics, webhook
from api.web import Web
from common.errors import ConfigurationError
from common.log import accept_request_id, configure_logging
from common.secrets import KeyRing
from common.settings import WEB_DOWNLOADS, Settings, load_settings
from common.store.database import client_options
from common.store.store import Store

_CSP = "default-src 'none'; frame-ancestors 'none'"


def create_app(settings: Settings | None = None) -> Flask:
    """The application. Raises ConfigurationError with everything that is wrong with the settings."""
    settings = settings or load_settings()
    configure_logging(settings, "web")
    app = Flask("api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    count_requests(app)
    app.wsgi_app = RequestSlots(app.wsgi_app, settings.web_threads)  # type: ignore[method-assign]
    app.before_request(_begin)
    app.after_request(_finish)
    set_up_tokens(app, settings)
    app.extensions["web"] = _connect(app, settings)
    register_errors(app)
    app.register_blueprint(webhook.blueprint)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(metrics.blueprint)
    for routes in resources():
        app.register_blueprint(routes.blueprint)
    register_docs(app)
    return app


def _connect(app: Flask, settings: Settings) -> Web:
    mongo = PyMongo(
        app, uri=settings.mongodb_uri, **client_options("web", pool_size=settings.web_all_threads + 4)
    )
    if mongo.cx is None:
        raise ConfigurationError("MONGODB_URI is not set")
    # The URI may name a database of its own; flask-pymongo hands us the client either way.
    store = Store(mongo.cx.get_default_database(default=settings.mongodb_database))
    keys = KeyRing.from_setting(settings.encryption_keys)
    return Web(
        settings=settings,
        store=store,
        numbers=Numbers(store, keys),
        intake=Intake(store),
        outage=Outage(store.ping),
        limits=set_up_limits(app, settings, store),
        keys=keys,
        live=Hub(store, most=settings.web_streams, most_each=settings.streams_per_user),
        downloads=Downloads(WEB_DOWNLOADS),
        patience=Patience(max(1, settings.web_threads // 4)),
    )


def _begin() -> None:
    g.request_id = accept_request_id(request.headers.get("X-Request-Id"))
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _finish(response: Response) -> Response:
    headers = response.headers
    headers["X-Request-Id"] = g.get("request_id", "")
    headers["X-Content-Type-Options"] = "nosniff"
    headers.setdefault("Content-Security-Policy", _CSP)
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("Referrer-Policy", "no-referrer")
    return response
