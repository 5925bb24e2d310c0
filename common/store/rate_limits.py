"""Where requests are counted: the storage of the `limits` package, over the connection that we have already."""

from __future__ import annotations

from typing import Any

from limits.storage import MongoDBStorage

SCHEME = "store"


class StoreRateLimits(MongoDBStorage):
    """The package's own storage, but for the connection: it would open one, and close it as the process ends."""

    STORAGE_SCHEME = [SCHEME]  # noqa: RUF012 - as the package declares it; how Flask-Limiter finds it: `storage_uri="store://"`

    def _init_mongo_client(self, uri: str | None, **options: Any) -> Any:
        del uri
        return options["client"]

    def __del__(self) -> None:
        """The connection is not ours to close."""
