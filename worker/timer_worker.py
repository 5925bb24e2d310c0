"""The timer process: sleeps until the next wait is over, then turns it into a job. Any number may run."""

from __future__ import annotations

import threading
import time

import structlog

from common.clock import utc_now
from common.crashpoint import crashpoint
from common.settings import Settings
from common.store.store import DatabaseError, Store
from worker import metrics
from worker.folding import Folding
from worker.sweeper import Sweeper

log = structlog.get_logger()

_PAUSE_SECONDS = 0.5
# Every so often, lanes that have jobs but were not woken are looked for (a wake-up can be lost in a fail-over).
_SWEEP_SECONDS = 30.0
_SWEEP_LANES = 500
# A process that dies in a transaction leaves locks behind, which hold up webhooks and claims.
_ABANDONED_SECONDS = 1.0


class TimerWorker:
    """Runs until `stop`."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._stopping = threading.Event()
        self._sweeper = Sweeper(store, settings)
        self._swept_at = 0.0
        self._sweep_after = ""
        self._unlocked_at = 0.0
        self._folding = Folding(store)

    def stop(self) -> None:
        """End after the batch at hand. Safe in a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Fire timers until told to stop."""
        self._sweeper.start()
        self._folding.start()
        while not self._stopping.is_set():
            try:
                pause = self.tick()
                self._sweep()
                self._unlock()
            except DatabaseError as error:
                log.warning("timer.database_away", error=type(error).__name__)
                metrics.count_database_error(error)
                pause = _PAUSE_SECONDS
            except Exception as error:  # the timer loop's border
                log.exception("timer.failed", error=type(error).__name__)
                pause = _PAUSE_SECONDS
            self._stopping.wait(pause)
        self._sweeper.stop()
        self._folding.stop()
        log.info("timer.stopped")

    def tick(self) -> float:
        """Fire what is due; returns the seconds until it is worth looking again.

        A wait is at least a second long and the look-out half of that, so every wait is seen before it is over:
        the sleep ends when it is due, not some time after. Raises DatabaseError.
        """
        due = self._store.timers.due(self._settings.timer_batch)
        if due:
            crashpoint("T1")
            # Jobs first: a timer taken off its session without a job would be lost, the other way round it is
            # only found again, and its job has the same id.
            self._store.jobs.insert([timer.job() for timer in due], utc_now())
            self._store.lanes.wake(timer.lane for timer in due)
            crashpoint("T2")
            self._store.timers.clear(due)
            crashpoint("T3")
            metrics.TIMERS_FIRED.inc(len(due))
            now = utc_now()
            for timer in due:
                metrics.TIMER_LATENESS.observe(max(0.0, (now - timer.due_at).total_seconds()))
            log.info("timer.fired", count=len(due))
            if len(due) == self._settings.timer_batch:
                return 0.0
        next_in = self._store.timers.seconds_to_next()
        if next_in is None:
            return self._settings.timer_interval_seconds
        return min(max(next_in, 0.0) + 0.001, self._settings.timer_interval_seconds)

    def _unlock(self) -> None:
        now = time.monotonic()
        if now - self._unlocked_at >= _ABANDONED_SECONDS:
            self._unlocked_at = now
            metrics.TRANSACTIONS_ENDED.inc(self._store.turns.end_abandoned())

    def _sweep(self) -> None:
        now = time.monotonic()
        if now - self._swept_at < _SWEEP_SECONDS:
            return
        lanes = self._store.jobs.lanes_with_pending(self._sweep_after, _SWEEP_LANES)
        asleep = self._store.lanes.asleep(lanes)
        if asleep:
            self._store.lanes.wake(asleep)
            metrics.LANES_ASLEEP.inc(len(asleep))
            log.warning("lane.found_asleep", count=len(asleep))
        # Page by page; from the start again when all were seen.
        self._sweep_after = lanes[-1] if len(lanes) == _SWEEP_LANES else ""
        if not self._sweep_after:
            self._swept_at = now
