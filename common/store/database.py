"""The connection to MongoDB: one place for its options, so that no caller relies on a default.

The options are M1-M6 of the reliability rules: majority and journal for every write, majority reads from the
primary, one time limit for each role, and a replica set (transactions and change streams need one).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, Literal, TypeAlias

import pymongo
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from common.errors import ConfigurationError, StoreUnavailable

Document: TypeAlias = dict[str, Any]
Role: TypeAlias = Literal["web", "worker", "timer", "cli"]

APP_NAME_PREFIX = "flow-builder-"

MAJORITY = WriteConcern(w="majority", j=True)
SNAPSHOT = ReadConcern("snapshot")

# How long one operation may take, retries included. The web must answer Meta within 3 s, come what may.
TIMEOUT_SECONDS: dict[Role, float] = {"web": 2.5, "worker": 8.0, "timer": 8.0, "cli": 20.0}

_STANDALONE = (
    "MongoDB at this address is a standalone server; transactions need a replica set (one member is enough). "
    'Restart it with `mongod --replSet rs0 …` and run once: mongosh --eval "rs.initiate()"'
)


def client_options(role: Role, *, pool_size: int = 100) -> dict[str, Any]:
    """Keyword arguments for a MongoClient of this role (flask-pymongo takes the same)."""
    return {
        "w": "majority",
        "journal": True,
        "readConcernLevel": "majority",
        "readPreference": "primary",
        "retryWrites": True,
        "retryReads": True,
        "timeoutMS": int(TIMEOUT_SECONDS[role] * 1000),
        "maxPoolSize": pool_size,
        "tz_aware": True,
        "appname": f"{APP_NAME_PREFIX}{role}",
    }


def connect(uri: str, database: str, role: Role, *, pool_size: int = 100) -> Database[Document]:
    """The database that the URI names (or `database`). Connects on first use; never blocks here."""
    client: MongoClient[Document] = MongoClient(uri, **client_options(role, pool_size=pool_size))
    return client.get_default_database(default=database)


def time_limit(seconds: float) -> AbstractContextManager[None]:
    """Everything inside shares this much time; what exceeds it raises a DatabaseError."""
    return pymongo.timeout(seconds)


def check_replica_set(database: Database[Document]) -> None:
    """Refuse a standalone server. Raises ConfigurationError with the command that mends it, or StoreUnavailable."""
    try:
        hello = database.client.admin.command("hello")
    except PyMongoError as error:
        raise StoreUnavailable(f"MongoDB does not answer: {error}") from error
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise ConfigurationError(_STANDALONE)
