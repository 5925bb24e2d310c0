"""A store on an empty database with all indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.store.indexes import Retention, ensure_indexes
from common.store.store import Store

if TYPE_CHECKING:
    from pymongo.database import Database


@pytest.fixture
def store(database: Database[dict[str, Any]]) -> Store:
    ensure_indexes(database, Retention())
    return Store(database)
