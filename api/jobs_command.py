"""`flask jobs`: look at what was put aside, and decide what becomes of it."""

from __future__ import annotations

import json
from typing import Any

import click

from api.command_line import open_store
from api.webhook_events import UNKNOWN_NUMBER
from common.model.contacts import Channel, contact_id_for, lane_for, sender_of
from common.model.jobs import JobState
from common.store.store import Store


@click.group("jobs")
def jobs() -> None:
    """Dead letters and unrouted messages: list, show, requeue, drop."""


@jobs.command("list")
@click.option("--unrouted", is_flag=True, help="Messages that no bot here could be found for.")
@click.option("--bot", "bot_id", help="Only this bot's.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
def list_jobs(*, unrouted: bool, bot_id: str | None, limit: int) -> None:
    """List dead jobs, newest first."""
    _, store = open_store()
    state = JobState.UNROUTED if unrouted else JobState.DEAD
    found = store.jobs.waiting([state], limit=limit, bot_id=bot_id)
    if not found:
        click.echo(f"No {state.value.lower()} jobs.")
    for document in found:
        click.echo(f"{document['_id']}  {document['kind']}  {document['receivedAt']:%Y-%m-%d %H:%M:%S}  "
                   f"attempts {document['attempts']}  {document.get('reason', '')}")  # fmt: skip


@jobs.command("show")
@click.argument("job_id")
def show_job(job_id: str) -> None:
    """Show one job with its payload."""
    _, store = open_store()
    document = store.jobs.find(job_id)
    if document is None:
        raise click.ClickException(f"There is no job {job_id}.")
    if isinstance(document.get("payload"), str):
        document["payload"] = _readable(document["payload"])
    click.echo(json.dumps(document, indent=2, default=str, ensure_ascii=False))


def _readable(payload: str) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload


def _chosen(store: Store, job_ids: tuple[str, ...], reason: str | None, *, every: bool) -> list[str]:
    if not job_ids and not every and reason is None:
        raise click.UsageError("Name jobs, or give --all or --reason.")
    if job_ids:
        return list(job_ids)
    found = store.jobs.waiting([JobState.DEAD], limit=10_000)
    return [document["_id"] for document in found if reason is None or reason in document.get("reason", "")]


def _route(store: Store, job_id: str) -> None:
    """A message that came before its number was connected finds its conversation now."""
    document = store.jobs.find(job_id)
    # Nothing else may be routed by hand: a message signed with a wrong secret stays what it is.
    if document is None or document["lane"] is not None or document.get("reason") != UNKNOWN_NUMBER:
        return
    number = document["phoneNumberId"]
    account = store.bots.accounts([number]).get(number)
    payload = _readable(document.get("payload", ""))
    message = payload.get("message") if isinstance(payload, dict) else None
    if account is None or not isinstance(message, dict):
        return
    sender = sender_of(message)
    if sender.aliases:
        contact_id = contact_id_for(account.bot_id, sender.aliases[0])
        store.jobs.route(job_id, account.bot_id, lane_for(Channel.WHATSAPP, contact_id))


@jobs.command("requeue")
@click.argument("job_ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All dead jobs.")
@click.option("--reason", help="Dead jobs whose reason contains this.")
@click.option("--dry-run", is_flag=True, help="Only say how many it would be.")
def requeue_jobs(job_ids: tuple[str, ...], reason: str | None, *, every: bool, dry_run: bool) -> None:
    """Give dead jobs another try, each at the end of its conversation's queue.

    A message for a number that was not connected is taken too, once the number is.
    """
    _, store = open_store()
    chosen = _chosen(store, job_ids, reason, every=every)
    if dry_run:
        click.echo(f"{len(chosen)} jobs would be requeued.")
        return
    for job_id in chosen:
        _route(store, job_id)
    lanes = store.jobs.requeue(chosen) if chosen else []
    store.lanes.wake(lanes)
    click.echo(f"{len(lanes)} of {len(chosen)} jobs requeued.")


@jobs.command("drop")
@click.argument("job_ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All dead jobs.")
@click.option("--reason", help="Dead jobs whose reason contains this.")
@click.option("--dry-run", is_flag=True, help="Only say how many it would be.")
def drop_jobs(job_ids: tuple[str, ...], reason: str | None, *, every: bool, dry_run: bool) -> None:
    """Give jobs up for good. Their ids stay known, so that duplicates are still recognised."""
    _, store = open_store()
    chosen = _chosen(store, job_ids, reason, every=every)
    if dry_run:
        click.echo(f"{len(chosen)} jobs would be dropped.")
        return
    click.echo(f"{store.jobs.drop(chosen) if chosen else 0} of {len(chosen)} jobs dropped.")
