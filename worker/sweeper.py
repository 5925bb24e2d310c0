"""Deleting in the background: bots and contacts that were deleted, and what has been kept for long enough.

A thread of the timer process, so that a deletion of millions of documents makes no timer wait. Any number may run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import structlog

from common.clock import utc_now
from common.model.retention import KeptDays
from common.settings import Settings
from common.store.deletions import DeletionLost, settle_seconds
from common.store.store import DatabaseError, Store

log = structlog.get_logger()

_LOOK_SECONDS = 0.5
_PAUSE_SECONDS = 2.0
_LEFTOVERS_SECONDS = 3600.0


class Sweeper:
    """Runs until `stop`."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._lease_seconds = settings.lease_seconds
        self._most = KeptDays(settings.message_days, settings.execution_log_days)
        self._stopping = threading.Event()
        self._leftovers_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch at hand; what is not complete is taken up by the next one."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            pause = _LOOK_SECONDS
            try:
                if self.tick():
                    pause = 0.0
            except DeletionLost as error:
                log.warning("deletion.lost", tombstone=str(error))
            except DatabaseError as error:
                log.warning("sweeper.database_away", error=type(error).__name__)
                pause = _PAUSE_SECONDS
            except Exception as error:  # this thread's border
                log.exception("sweeper.failed", error=type(error).__name__)
                pause = _PAUSE_SECONDS
            self._stopping.wait(pause)

    def tick(self) -> bool:
        """One deletion, one bot's old documents, and now and then what else is left; whether there was any.

        Raises DeletionLost and DatabaseError.
        """
        is_busy = self._delete()
        is_busy = self._apply_retention() or is_busy
        self._sweep_leftovers()
        return is_busy

    def _delete(self) -> bool:
        tombstone = self._store.deletions.claim(self._lease_seconds)
        if tombstone is None:
            return False
        gone = 0
        for count in self._store.deletions.work(
            tombstone, lease_seconds=self._lease_seconds, settle_seconds=settle_seconds(self._lease_seconds)
        ):
            gone += count
            if self._stopping.is_set():
                return False
        log.info(
            "deletion.pass_done", tombstone=tombstone.tombstone_id, count=gone, is_last=tombstone.is_settled
        )
        return True

    def _apply_retention(self) -> bool:
        bot = self._store.retentions.claim(self._lease_seconds)
        if bot is None:
            return False
        gone = 0
        for counted in self._unless_stopped(self._store.retentions.apply(bot, self._most, utc_now())):
            gone += counted
            self._store.retentions.renew(bot["_id"], self._lease_seconds)
        if not self._stopping.is_set():
            self._store.retentions.finish(bot["_id"])
            log.info("retention.applied", bot=bot["_id"], count=gone)
        return True

    def _sweep_leftovers(self) -> None:
        now = time.monotonic()
        if self._leftovers_at is not None and now - self._leftovers_at < _LEFTOVERS_SECONDS:
            return
        gone = sum(self._unless_stopped(self._store.retentions.leftovers(self._most, utc_now())))
        self._leftovers_at = now
        if gone:
            log.info("retention.leftovers_gone", count=gone)

    def _unless_stopped(self, steps: Iterator[dict[str, int]]) -> Iterator[int]:
        for counted in steps:
            yield sum(counted.values())
            if self._stopping.is_set():
                return
