"""The `flask` commands. They need no running web process, and `play` not even a database."""

from __future__ import annotations

import click
from flask import Flask

from api.bots_command import bots
from api.chat import chat
from api.command_line import open_store
from api.doctor import doctor
from api.jobs_command import jobs
from api.keys_command import keys
from api.play import play
from api.retention_command import retention
from api.seed import seed
from common.store.indexes import Retention, ensure_indexes


@click.command("indexes")
def indexes() -> None:
    """Create missing indexes and bring retention times up to date; says what it did."""
    settings, store = open_store()
    kept = Retention(
        done_jobs=settings.done_job_days,
        execution_logs=settings.execution_log_days,
        messages=settings.message_days,
    )
    done = ensure_indexes(store.database, kept)
    for line in done:
        click.echo(f"  {line}")
    click.echo("All indexes are in place." if not done else f"{len(done)} changes made.")


def create_app() -> Flask:
    """An application that holds the commands only (`FLASK_APP=api.cli`): no settings are read to list them."""
    app = Flask("api", static_folder=None)
    for command in (indexes, seed, play, chat, jobs, keys, bots, retention, doctor):
        app.cli.add_command(command)
    return app
