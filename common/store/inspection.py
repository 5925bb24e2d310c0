"""What an operator wants to know of the database server."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from pymongo.database import Database

from common.store.database import Document
from common.store.indexes import Retention, declared


@dataclass(frozen=True, slots=True)
class Server:
    """The server as it stands."""

    version: str
    set_name: str
    members: int
    write_concern: str
    now: datetime


def inspect_server(database: Database[Document]) -> Server:
    """Ask the server about itself. Raises DatabaseError."""
    admin = database.client.admin
    hello = admin.command("hello")
    concern = database.client.write_concern.document
    return Server(
        version=admin.command("buildInfo")["version"],
        set_name=hello.get("setName", "sharded cluster"),
        members=len(hello.get("hosts", [])),
        write_concern=", ".join(f"{key}={value}" for key, value in concern.items()),
        now=hello["localTime"].replace(tzinfo=UTC),
    )


def missing_indexes(database: Database[Document]) -> list[str]:
    """The declared indexes that do not exist, as `collection.name`."""
    indexes = declared(Retention())
    wanted = {index.collection for index in indexes}
    present = {
        name: set(database[name].index_information())
        for name in database.list_collection_names()
        if name in wanted
    }
    return [
        f"{index.collection}.{index.name}"
        for index in indexes
        if index.name not in present.get(index.collection, set())
    ]
