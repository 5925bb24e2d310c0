"""`flask doctor`: is everything in place that conversations need?"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import click

from api.command_line import open_settings
from api.seed import DEFAULT_PASSWORD, USERS
from common.clock import utc_now
from common.errors import ConfigurationError, StoreUnavailable
from common.secrets import check_password
from common.settings import Settings
from common.store.database import check_replica_set, connect
from common.store.inspection import inspect_server, missing_indexes
from common.store.store import DatabaseError, Store

_OK, _WARNING, _ERROR = "ok", "warning", "error"
_MOST_CLOCK_OFFSET_SECONDS = 0.5
_SILENT_SECONDS = 60.0
_OLDEST_PENDING_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result, and what to do about it."""

    level: str
    what: str


@click.command("doctor")
def doctor() -> None:
    """Check database, clock, secrets, passwords and processes. Exit status 1 where something is wrong."""
    settings = open_settings()
    findings = list(_examine(settings))
    for finding in findings:
        colour = {_OK: "green", _WARNING: "yellow", _ERROR: "red"}[finding.level]
        click.echo(f"{click.style(f'{finding.level:<8}', fg=colour)} {finding.what}")
    sys.exit(any(finding.level == _ERROR for finding in findings))


def _examine(settings: Settings) -> Iterator[Finding]:
    yield Finding(_OK, f"settings are complete ({settings.app_env})")
    store = Store(connect(settings.mongodb_uri, settings.mongodb_database, "cli"))
    try:
        check_replica_set(store.database)
    except (ConfigurationError, StoreUnavailable) as error:
        yield Finding(_ERROR, str(error))
        return
    try:
        yield from _database(store)
        yield from _passwords(settings, store)
        yield from _processes(store)
        yield from _queue(store)
    except DatabaseError as error:
        yield Finding(_ERROR, f"the database stopped answering: {error}")


def _database(store: Store) -> Iterator[Finding]:
    server = inspect_server(store.database)
    yield Finding(_OK, f"MongoDB {server.version}, replica set {server.set_name}, {server.members} member(s)")
    yield Finding(_OK, f"writes wait for: {server.write_concern}")
    offset = (server.now - utc_now()).total_seconds()
    is_near = abs(offset) <= _MOST_CLOCK_OFFSET_SECONDS
    yield Finding(
        _OK if is_near else _WARNING, f"the database's clock is {offset:+.3f} s from this machine's"
    )
    missing = missing_indexes(store.database)
    if missing:
        yield Finding(_ERROR, f"indexes are missing ({', '.join(missing)}): run `flask indexes`")
    else:
        yield Finding(_OK, "all indexes are there")


def _passwords(settings: Settings, store: Store) -> Iterator[Finding]:
    for email, _ in USERS:
        user = store.users.by_email(email)
        if user is not None and check_password(DEFAULT_PASSWORD, user["passwordHash"]):
            level = _ERROR if settings.is_production else _WARNING
            yield Finding(level, f"{email} still has the default password")


def _processes(store: Store) -> Iterator[Finding]:
    seen = store.heartbeats.seconds_since()
    for kind, consequence in (
        ("worker", "messages are stored but not answered"),
        ("timer", "delays do not end"),
    ):
        age = seen.get(kind)
        if age is None or age > _SILENT_SECONDS:
            yield Finding(_ERROR, f"no {kind} process was seen for {_SILENT_SECONDS:.0f} s: {consequence}")
        else:
            yield Finding(_OK, f"{kind} process seen {max(age, 0):.0f} s ago")


def _queue(store: Store) -> Iterator[Finding]:
    oldest = store.jobs.oldest_pending_at()
    age = (utc_now() - oldest).total_seconds() if oldest else 0.0
    level = _OK if age < _OLDEST_PENDING_SECONDS else _ERROR
    yield Finding(level, f"oldest pending job: {age:.0f} s" if oldest else "no job is pending")
    dead = store.jobs.count_dead()
    yield Finding(
        _WARNING if dead else _OK, f"{dead} dead job(s)" + (": see `flask jobs list`" if dead else "")
    )
