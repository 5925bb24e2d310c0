"""A store with all indexes, empty for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.ids import new_ulid
from common.store.indexes import Retention, ensure_indexes
from common.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo import MongoClient
    from pymongo.database import Database


@pytest.fixture(scope="module")
def _indexed(_mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Database[dict[str, Any]]]:
    """Making all indexes takes longer than most tests: one database a module, emptied for each test."""
    database = _mongo_client[f"test_{new_ulid()}"]
    ensure_indexes(database, Retention())
    yield database
    _mongo_client.drop_database(database)


@pytest.fixture
def store(_indexed: Database[dict[str, Any]]) -> Store:
    for name in _indexed.list_collection_names():
        _indexed[name].delete_many({})
    return Store(_indexed)
