"""A web application on an empty database, with two connected numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from api.app import create_app
from tests.http.web_setup import connect_numbers, settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from pymongo.database import Database


@pytest.fixture
def app(mongo_uri: str, database: Database[dict[str, Any]]) -> Iterator[Flask]:
    connect_numbers(database)
    app = create_app(settings_for(mongo_uri, database.name))
    yield app
    app.extensions["web"].store.close()
