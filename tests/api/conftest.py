"""An application on an empty database, and people who use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from api.app import create_app
from api.rest.tokens import issue
from common.secrets import hash_password
from common.store.indexes import Retention, ensure_indexes
from tests.api.person import PASSWORD, Person
from tests.http.web_setup import settings_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask
    from pymongo.database import Database

    from common.store.store import Store

# One hash for everybody: bcrypt is slow on purpose.
_HASH: list[str] = []


@pytest.fixture
def api(mongo_uri: str, database: Database[dict[str, Any]]) -> Iterator[Flask]:
    """The web application, with its indexes made."""
    ensure_indexes(database, Retention())
    generous = {
        "api_requests_per_minute": 1_000_000,
        "logins_per_minute": 1_000,
        "registrations_per_hour": 1_000,
    }
    app = create_app(settings_for(mongo_uri, database.name, **generous))
    yield app
    app.extensions["web"].store.close()


@pytest.fixture
def app_with(
    api: Flask, mongo_uri: str, database: Database[dict[str, Any]]
) -> Iterator[Callable[..., Flask]]:
    """Makes further applications over the same database, with these settings."""
    made: list[Flask] = []

    def make(**changes: Any) -> Flask:
        made.append(create_app(settings_for(mongo_uri, database.name, **changes)))
        return made[-1]

    yield make
    for app in made:
        app.extensions["web"].store.close()


@pytest.fixture
def store(api: Flask) -> Store:
    """The application's store."""
    store: Store = api.extensions["web"].store
    return store


@pytest.fixture
def person(api: Flask, store: Store) -> Callable[..., Person]:
    """Makes users who are signed in: `person("ann")`, `person("root", "ADMIN")`."""

    def make(name: str, role: str = "USER") -> Person:
        if not _HASH:
            _HASH.append(hash_password(PASSWORD))
        email = f"{name}@example.com"
        store.users.ensure(email, _HASH[0], role, must_change_password=False)
        user = store.users.by_email(email)
        assert user is not None
        with api.app_context():
            token, _ = issue(user)
        return Person(api, user["_id"], email, token)

    return make


@pytest.fixture
def ann(person: Callable[..., Person]) -> Person:
    return person("ann")


@pytest.fixture
def bob(person: Callable[..., Person]) -> Person:
    return person("bob")


@pytest.fixture
def admin(person: Callable[..., Person]) -> Person:
    return person("root", "ADMIN")


@pytest.fixture
def nobody(api: Flask) -> Person:
    return Person(api)
