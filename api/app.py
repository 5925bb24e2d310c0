"""The web process: `create_app` puts it together."""

from __future__ import annotations

import structlog
from flask import Flask, Response, g, request
from flask_pymongo import PyMongo

from api.errors import register_errors
from api.intake import Intake
from api.numbers import Numbers
from api.outage import Outage
from api.routes import health, webhook
from api.web import Web
from common.errors import ConfigurationError
from common.log import accept_request_id, configure_logging
from common.secrets import KeyRing
from common.settings import Settings, load_settings
from common.store.database import client_options
from common.store.store import Store


def create_app(settings: Settings | None = None) -> Flask:
    """The application. Raises ConfigurationError with everything that is wrong with the settings."""
    settings = settings or load_settings()
    configure_logging(settings, "web")
    app = Flask("api", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_body_bytes
    app.extensions["web"] = _connect(app, settings)
    app.before_request(_begin)
    app.after_request(_finish)
    register_errors(app)
    app.register_blueprint(webhook.blueprint)
    app.register_blueprint(health.blueprint)
    return app


def _connect(app: Flask, settings: Settings) -> Web:
    mongo = PyMongo(
        app, uri=settings.mongodb_uri, **client_options("web", pool_size=settings.web_threads + 4)
    )
    if mongo.cx is None:
        raise ConfigurationError("MONGODB_URI is not set")
    # The URI may name a database of its own; flask-pymongo hands us the client either way.
    store = Store(mongo.cx.get_default_database(default=settings.mongodb_database))
    return Web(
        settings=settings,
        store=store,
        numbers=Numbers(store, KeyRing.from_setting(settings.encryption_keys)),
        intake=Intake(store),
        outage=Outage(store.ping),
    )


def _begin() -> None:
    g.request_id = accept_request_id(request.headers.get("X-Request-Id"))
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.get("request_id", "")
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
