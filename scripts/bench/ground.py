"""What every measurement stands on: one database server for the run, and databases that are fresh."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from common.ids import new_ulid
from common.store.database import Role, connect
from common.store.indexes import Retention, ensure_indexes
from common.store.store import Store
from scripts.local.mongod import EmbeddedMongod

# Half a million waiting jobs with their indexes fit: a server of its own has that much, and more.
CACHE_GB = 1.0


@dataclass(slots=True)
class Ground:
    """One run's surroundings. `is_quick` asks for a smoke test: everything runs, the figures mean little."""

    mongod: EmbeddedMongod
    folder: Path
    is_quick: bool
    settings: Mapping[str, str]

    def quick_or(self, quick: int, full: int) -> int:
        """How much of something to do."""
        return quick if self.is_quick else full

    def fresh_store(self, name: str, role: Role = "worker") -> Store:
        """A store over a new database with every declared index."""
        store = Store(connect(self.mongod.uri, f"bench_{name}_{new_ulid()[-8:]}", role, pool_size=100))
        ensure_indexes(store.database, Retention())
        return store

    def drop(self, store: Store) -> None:
        """The measurement is over: free its disk and cache."""
        store.database.client.drop_database(store.database.name)
        store.close()

    @property
    def mongod_pid(self) -> int:
        if self.mongod.pid is None:
            raise RuntimeError("the database is not running")
        return self.mongod.pid
