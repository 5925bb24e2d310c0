"""Which bot a phone number id belongs to, remembered for a moment: no look-up a message."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from common.clock import utc_now
from common.model.encrypted_fields import APP_SECRET
from common.secrets import KeyRing, SecretError
from common.store.store import DatabaseError, Store

log = structlog.get_logger()

# A number that was connected just now is known at once (unknown ones are never remembered); one that was
# disconnected is routed for this long at most.
_REMEMBERED_SECONDS = 2.0
# How exactly the owner sees when the last webhook came; a write for each one would be too many.
_NOTED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Number:
    """A connected number: its bot, and the app secret of its own, if it has one."""

    bot_id: str
    app_secret: str | None


class Numbers:
    """A small cache over the connected numbers. Thread-safe."""

    def __init__(self, store: Store, keys: KeyRing) -> None:
        self._store = store
        self._keys = keys
        self._known: dict[str, tuple[float, Number]] = {}
        self._noted: dict[str, float] = {}
        self._lock = threading.Lock()

    def look_up(self, phone_number_ids: Iterable[str]) -> dict[str, Number]:
        """The connected ones among these. At most one database read, mostly none."""
        now = time.monotonic()
        found: dict[str, Number] = {}
        missing: list[str] = []
        for number_id in phone_number_ids:
            kept = self._known.get(number_id)
            if kept is not None and kept[0] > now:
                found[number_id] = kept[1]
            else:
                missing.append(number_id)
        if missing:
            found |= self._read(missing, now)
        return found

    def forget(self, *phone_number_ids: str) -> None:
        """Look these up again; other processes do so within _REMEMBERED_SECONDS."""
        with self._lock:
            for number_id in phone_number_ids:
                self._known.pop(number_id, None)

    def note_webhook(self, phone_number_ids: Iterable[str]) -> None:
        """Remember in the database, once in a while, that something arrived for these numbers. Never raises."""
        now = time.monotonic()
        due = [
            each
            for each in phone_number_ids
            if self._noted.get(each, -_NOTED_SECONDS) <= now - _NOTED_SECONDS
        ]
        if not due:
            return
        with self._lock:
            self._noted.update(dict.fromkeys(due, now))
        try:
            self._store.whatsapp_accounts.heard(dict.fromkeys(due, utc_now()))
        except DatabaseError as error:  # it says so again in a minute
            log.warning("number.webhook_not_noted", error=type(error).__name__)

    def _read(self, missing: list[str], now: float) -> dict[str, Number]:
        read: dict[str, Number] = {}
        for number_id, account in self._store.bots.accounts(missing).items():
            secret = account.app_secret
            if secret is not None:
                try:
                    secret = self._keys.decrypt(secret, APP_SECRET.context(account.account_id))
                except SecretError:
                    # What is for this number is kept as unrouted; what came with it is not harmed.
                    log.exception("number.secret_unreadable", bot=account.bot_id)
                    continue
            read[number_id] = Number(account.bot_id, secret)
        with self._lock:
            for number_id in missing:
                self._known.pop(number_id, None)
            for number_id, number in read.items():
                self._known[number_id] = (now + _REMEMBERED_SECONDS, number)
        return read
