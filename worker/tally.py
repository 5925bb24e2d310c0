"""Counting what became of messages, soon and many at a time, where no message waits for it."""

from __future__ import annotations

import threading
from collections.abc import Iterable

import structlog

from common.store.deliveries import News
from common.store.store import DatabaseError, Store
from worker import metrics
from worker.batch_writer import BatchWriter

log = structlog.get_logger()

# So long news are gathered: a message's "sent" and "delivered" often come together, and are then one write.
_GATHER_SECONDS = 0.3
_PAUSES_SECONDS = (0.5, 2.0)
_MOST = 5_000


class Tally:
    """One thread. What it does not get to, because its process dies, is found later (`worker.folding`)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_closing = threading.Event()
        self._writer: BatchWriter[News] = BatchWriter("tally", self._count, most=_MOST)

    def start(self) -> None:
        """Begin."""
        self._writer.start()

    def close(self) -> None:
        """Count what is left, then end."""
        self._is_closing.set()
        self._writer.close()

    def put(self, news: Iterable[News]) -> None:
        """Have these messages looked at soon. Thread-safe."""
        for each in news:
            self._writer.put(each)

    def _count(self, news: list[News]) -> None:
        for pause in (*_PAUSES_SECONDS, None):
            try:
                self._store.deliveries.count(news)
            except DatabaseError as error:
                metrics.count_database_error(error)
                log.warning("tally.failed", error=type(error).__name__, count=len(news))
                if pause is not None and not self._is_closing.wait(pause):
                    continue
            break
        self._is_closing.wait(_GATHER_SECONDS)
