"""Writes what becomes of messages, many lanes' at once, and lets each lane go on when it is written."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from common.store.deliveries import MessageRef, News
from common.store.marks import Mark
from common.store.store import DatabaseError, Store
from worker import metrics
from worker.batch_writer import BatchWriter
from worker.held_lane import HeldLane
from worker.keeper import Keeper
from worker.tally import Tally

log = structlog.get_logger()

# Between the tries to write what became of messages while the database is away; an election takes seconds.
_WRITE_PAUSES_SECONDS = (0.1, 0.5, 1.0, 2.0)


@dataclass(slots=True)
class MarkWrite:
    """A mark to be written, and what follows. `attempt_id`: a SENDING mark that must have applied."""

    lane: HeldLane
    mark: Mark
    then: Callable[[], None]
    attempt_id: str | None = None


class MarkWriter:
    """One thread of its own; `put` is quick and thread-safe."""

    def __init__(self, name: str, store: Store, keeper: Keeper, tally: Tally) -> None:
        self._store = store
        self._tally = tally
        self._keeper = keeper
        self._writer: BatchWriter[MarkWrite] = BatchWriter(name, self._write_all)
        self.start, self.close, self.put = self._writer.start, self._writer.close, self._writer.put

    def _write_all(self, writes: list[MarkWrite]) -> None:
        lost = self._write_through(writes)
        if lost is None:
            for write in writes:
                self._keeper.give_back(write.lane, "database away while sending")
            return
        self._tally.put(News(MessageRef.ID, write.mark.message_id) for write in writes if write.mark.counts)
        for write in writes:
            if write.attempt_id in lost:
                self._keeper.give_back(write.lane, "the message is not waiting to be sent any more")
            else:
                write.then()

    def _write_through(self, writes: list[MarkWrite]) -> set[str] | None:
        """Write over a fail-over, if it is a short one; returns the attempts that may not be made (None: failed).

        Worth some patience: who takes the lane next could only guess whether the message was sent. Marks may be
        written twice, and those of a holder that is too late by now match nothing.
        """
        marks = [write.mark for write in writes]
        begun = [write.attempt_id for write in writes if write.attempt_id]
        for pause in (*_WRITE_PAUSES_SECONDS, None):
            try:
                if self._store.messages.write(marks) == len(marks) or not begun:
                    return set()
                return set(begun) - self._store.messages.sending(begun)
            except DatabaseError as error:
                metrics.count_database_error(error)
                log.warning("outbox.write_failed", error=type(error).__name__, count=len(writes))
            if pause is not None:
                time.sleep(pause)
        return None
