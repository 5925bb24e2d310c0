"""A warning, loud and again with each start, while production has accounts whose password everybody knows."""

from __future__ import annotations

import structlog
from flask import Flask

from api.web import Web
from common.store.store import DatabaseError

log = structlog.get_logger()


def warn_of_default_passwords(app: Flask) -> None:
    """Name them in the log. A database that is away at this moment is no reason not to start."""
    web = app.extensions["web"]
    if not isinstance(web, Web) or not web.settings.is_production:
        return
    try:
        for email in web.store.users.with_default_password():
            log.warning("account.default_password", account=email, advice="sign in and change it now")
    except DatabaseError as error:
        log.warning("database.unavailable", error=type(error).__name__)
