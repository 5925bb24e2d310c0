"""What many tests share: one real MongoDB for the whole run, and a fresh database for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import structlog
from pymongo import MongoClient

from common.ids import new_ulid
from scripts.local.mongod import EmbeddedMongod

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.database import Database


@pytest.fixture(autouse=True)
def _no_inherited_log_values() -> None:
    """What a request bound to the log of this thread is not the next test's business."""
    structlog.contextvars.clear_contextvars()


@pytest.fixture(scope="session")
def mongo_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a one-member replica set that lives as long as the run."""
    with EmbeddedMongod(tmp_path_factory.mktemp("mongod")) as mongod:
        yield mongod.uri


@pytest.fixture(scope="session")
def _mongo_client(mongo_uri: str) -> Iterator[MongoClient[dict[str, Any]]]:
    client: MongoClient[dict[str, Any]] = MongoClient(
        mongo_uri, tz_aware=True, w="majority", journal=True, readConcernLevel="majority"
    )
    with client:
        yield client


@pytest.fixture
def database(_mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """An empty database of this test's own, dropped afterwards."""
    name = f"test_{new_ulid()}"
    yield _mongo_client[name]
    _mongo_client.drop_database(name)
