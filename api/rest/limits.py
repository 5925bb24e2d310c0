"""How often somebody may ask: Flask-Limiter over MongoDB, counted across all web processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, g, request
from flask_limiter import Limiter

from common.settings import Settings
from common.store.rate_limits import SCHEME
from common.store.store import Store


@dataclass(frozen=True, slots=True)
class Limits:
    """Each counts the request at hand; raises RateLimitExceeded (an HTTP 429) where it was one too many."""

    count_user: Callable[[], None]
    count_visitor: Callable[[], None]
    count_login: Callable[[str], None]  # takes the account that is asked for
    count_registration: Callable[[], None]


def set_up_limits(app: Flask, settings: Settings, store: Store) -> Limits:
    """The limits of this installation. Where the database is away, each process counts for itself."""
    limiter = _limiter(app, store)
    per_minute = f"{settings.api_requests_per_minute} per minute"
    logins = f"{settings.logins_per_minute} per minute"

    @limiter.shared_limit(per_minute, scope="user", key_func=lambda: g.rate_key)
    def count_user() -> None:
        pass

    @limiter.shared_limit(per_minute, scope="visitor", key_func=_address)
    def count_visitor() -> None:
        pass

    @limiter.shared_limit(logins, scope="login-address", key_func=_address)
    def count_login_address() -> None:
        pass

    @limiter.shared_limit(logins, scope="login-account", key_func=lambda: g.rate_key)
    def count_login_account() -> None:
        pass

    @limiter.shared_limit(f"{settings.registrations_per_hour} per hour", scope="register", key_func=_address)
    def count_registration() -> None:
        pass

    def count_login(account: str) -> None:
        g.rate_key = account or "-"
        count_login_address()
        count_login_account()

    return Limits(count_user, count_visitor, count_login, count_registration)


def _limiter(app: Flask, store: Store) -> Limiter:
    return Limiter(
        key_func=_address,
        app=app,
        storage_uri=f"{SCHEME}://",
        storage_options={
            "client": store.database.client,  # type: ignore[dict-item]
            "database_name": store.database.name,
            "counter_collection_name": "rate_limits",
            "window_collection_name": "rate_limit_windows",
        },
        strategy="sliding-window-counter",
        headers_enabled=True,
        in_memory_fallback_enabled=True,
        default_limits=[],
    )


def _address() -> str:
    return request.remote_addr or "-"
