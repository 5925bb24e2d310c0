"""What every command needs: settings and the store, with failures as one clear line."""

from __future__ import annotations

import click

from common.errors import ConfigurationError, StoreUnavailable
from common.settings import Settings, load_settings
from common.store.database import check_replica_set, connect
from common.store.store import Store


def open_settings() -> Settings:
    """The settings, or a clear refusal."""
    try:
        return load_settings()
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error


def open_store() -> tuple[Settings, Store]:
    """Settings and a store on a replica set that answers, or a clear refusal."""
    settings = open_settings()
    database = connect(settings.mongodb_uri, settings.mongodb_database, "cli")
    try:
        check_replica_set(database)
    except (ConfigurationError, StoreUnavailable) as error:
        raise click.ClickException(str(error)) from error
    return settings, Store(database)
