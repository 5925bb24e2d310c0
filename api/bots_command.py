"""`flask bots`: which bots are connected, and starting one again whose sending was stopped."""

from __future__ import annotations

import click

from api.command_line import open_store


@click.group("bots")
def bots() -> None:
    """Bots and their WhatsApp numbers: list, resume."""


@bots.command("list")
def list_bots() -> None:
    """List bots with their numbers; says why one does not send."""
    _, store = open_store()
    found = store.bots.connected()
    if not found:
        click.echo("No bot is connected to a number.")
    for account in found:
        state = f"stopped: {account.stopped_for}" if account.stopped_for else "sending"
        click.echo(f"{account.bot_id}  number {account.phone_number_id}  {state}")


@bots.command("resume")
@click.argument("bot_id")
def resume_bot(bot_id: str) -> None:
    """Send again, once WhatsApp was reconnected; what was kept meanwhile goes out in order."""
    _, store = open_store()
    if store.bots.account_of(bot_id) is None:
        raise click.ClickException(f"There is no bot {bot_id} with a number.")
    waiting = store.resume_sending(bot_id)
    click.echo(f"Sending again; {waiting} conversations waited for it.")
