"""`flask retention`: what is kept for too long, and deletions that are not complete."""

from __future__ import annotations

from collections import Counter

import click

from api.command_line import open_store
from common.clock import utc_now
from common.model.retention import KeptDays
from common.settings import Settings
from common.store.deletions import settle_seconds
from common.store.store import Store


@click.group("retention")
def retention() -> None:
    """Delete what has been kept for long enough; timer processes do so all the time."""


@retention.command("run")
@click.option("--dry-run", "is_dry", is_flag=True, help="Only count what would go.")
def run_retention(*, is_dry: bool) -> None:
    """Delete what bots with times of their own keep too long, and finish deletions of bots and contacts.

    What is kept as long as the installation says is deleted by the database itself.
    """
    settings, store = open_store()
    gone = _apply(settings, store, is_dry=is_dry)
    if not gone:
        click.echo("Nothing has been kept for too long.")
    for name, count in sorted(gone.items()):
        click.echo(f"  {'would delete' if is_dry else 'deleted':<13} {count:>9,} {name}")
    if not is_dry:
        _finish_deletions(settings, store)
    pending = store.deletions.pending()
    click.echo(f"{pending} deletions are not complete." if pending else "No deletion is pending.")


def _apply(settings: Settings, store: Store, *, is_dry: bool) -> Counter[str]:
    most, now = KeptDays(settings.message_days, settings.execution_log_days), utc_now()
    gone: Counter[str] = Counter()
    for bot in store.retentions.bots():
        for counted in store.retentions.apply(bot, most, now, is_dry=is_dry):
            gone += counted
    for counted in store.retentions.leftovers(most, now, is_dry=is_dry):
        gone += counted
    return gone


def _finish_deletions(settings: Settings, store: Store) -> None:
    lease = settings.lease_seconds
    while (tombstone := store.deletions.claim(lease)) is not None:
        for _ in store.deletions.work(tombstone, lease_seconds=lease, settle_seconds=settle_seconds(lease)):
            pass
