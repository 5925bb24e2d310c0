"""`flask keys`: which keys encrypt the stored secrets, and encrypting all of them with the newest."""

from __future__ import annotations

from collections import Counter

import click

from api.command_line import open_store
from api.key_rotation import Rotated, count_by_key, rotate
from common.model.encrypted_fields import ENCRYPTED_FIELDS
from common.secrets import KeyRing
from common.store.store import DatabaseError, Store

_HELP = """Encrypt every stored secret with the first key; bots keep working meanwhile.

\b
1. Add the new key at the END of ENCRYPTION_KEYS and restart every process: all of them can read it then.
2. Move it to the FRONT and restart every process: it encrypts from now on.
3. flask keys rotate (as often as you like; it goes on where it stopped).
4. Take the old key out of ENCRYPTION_KEYS and restart every process.
"""


@click.group("keys")
def keys() -> None:
    """The keys of ENCRYPTION_KEYS: list, rotate."""


@keys.command("list")
def list_keys() -> None:
    """List the keys, and how many stored secrets each one has encrypted."""
    settings, store = open_store()
    ring = KeyRing.from_setting(settings.encryption_keys)
    used = _count(store)
    for name in ring.keys:
        role = "encrypts" if name == ring.current else "decrypts only"
        click.echo(f"{name}  {role}, {used.pop(name, 0)} secrets")
    for name, count in sorted(used.items()):
        what = (
            f"{name}  MISSING from ENCRYPTION_KEYS"
            if name
            else "no key  what is stored is no encrypted secret"
        )
        click.echo(f"{what}, {count} secrets")


@keys.command("rotate", help=_HELP)
@click.pass_context
def rotate_keys(context: click.Context) -> None:
    """Rotate, say what was done, and end with 1 while a stored secret still needs an older key."""
    settings, store = open_store()
    ring = KeyRing.from_setting(settings.encryption_keys)
    try:
        done = {kind: rotate(store.encrypted_records, ring, kind) for kind in ENCRYPTED_FIELDS}
    except DatabaseError as error:
        message = (
            f"The database went away ({type(error).__name__}). Run it again: it goes on where it stopped."
        )
        raise click.ClickException(message) from error
    for kind, rotated in done.items():
        click.echo(
            f"{kind}: {rotated.again} encrypted again with {ring.current}, {rotated.current} were already"
        )
        for record_id, reason in rotated.failed:
            click.echo(f"  FAILED {kind} of {record_id}: {reason}", err=True)
    if not _say_the_end(store, ring, list(done.values())):
        context.exit(1)


def _say_the_end(store: Store, ring: KeyRing, done: list[Rotated]) -> bool:
    """Say what follows; False where an older key is still needed, so that no script takes it away."""
    failed = sum(len(rotated.failed) for rotated in done)
    if failed:
        click.echo(
            f"{failed} secrets could not be decrypted and stay as they are. Put back the key that they name, or have "
            "their owners enter them again; keep every key until then.",
            err=True,
        )
        return False
    used = _count(store)
    old = [name for name in ring.keys if name != ring.current]
    still = [name for name in old if used[name]]
    unused = [name for name in old if not used[name]]
    if still:
        click.echo(
            f"Still in use: {', '.join(still)}. A process saves with an older key: restart it, then run this again.",
            err=True,
        )
    if unused:
        click.echo(
            f"Not in use any more: {', '.join(unused)}. Take it out of ENCRYPTION_KEYS and restart every process."
        )
    return not still


def _count(store: Store) -> Counter[str]:
    return count_by_key(store.encrypted_records)
