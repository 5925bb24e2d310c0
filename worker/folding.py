"""Figures in the background: folded into hours and days, and what was missed of messages' states found."""

from __future__ import annotations

import threading

import structlog

from common.clock import utc_now
from common.store.counter_folds import MOST_SPANS
from common.store.store import DatabaseError, Store
from worker import metrics

log = structlog.get_logger()

# What is not folded yet is read as well, only a little slower: nothing depends on the pause.
_PAUSE_SECONDS = 20.0


class Folding:
    """A thread of the timer process; any number may run."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="folding", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the batch at hand."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            folded = missed = 0
            try:
                folded = self._store.counter_folds.fold(utc_now())
                missed = self._store.deliveries.sweep_due(utc_now())
            except DatabaseError as error:
                log.warning("counters.database_away", error=type(error).__name__)
                metrics.count_database_error(error)
            except Exception as error:  # this thread's border
                log.exception("counters.failed", error=type(error).__name__)
            if folded:
                log.info("counters.folded", count=folded)
                metrics.COUNTERS_FOLDED.inc(folded)
            if missed:
                log.warning("deliveries.counted_late", count=missed)
                metrics.DELIVERIES_MISSED.inc(missed)
            if folded < MOST_SPANS:
                self._stopping.wait(_PAUSE_SECONDS)
