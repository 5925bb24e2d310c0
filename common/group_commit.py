"""Group commit: callers that arrive while a write is under way share the next one.

The first caller writes at once, so a lone one waits for nobody; under load one round trip serves all who came
meanwhile. No thread of its own: whoever is first in the queue leads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class _Entry(Generic[Item]):
    __slots__ = ("error", "group", "item", "turn")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.turn = threading.Event()  # written, or to lead a group
        self.group: list[_Entry[Item]] | None = None  # the entries to write, for the one who leads
        self.error: BaseException | None = None


class GroupCommit(Generic[Item]):
    """`flush` writes a list of items, all or nothing as far as the callers may assume.

    `spoils_all(error)` says whether an error concerns everybody (the database is away): then all who wait fail
    with it at once, instead of each waiting for the same time-out. Any other error is pinned on its own item by
    flushing one by one.
    """

    def __init__(
        self,
        flush: Callable[[list[Item]], None],
        spoils_all: Callable[[Exception], bool],
        *,
        most: int = 1000,
    ) -> None:
        self._flush = flush
        self._spoils_all = spoils_all
        self._most = most
        self._lock = threading.Lock()
        self._queue: list[_Entry[Item]] = []
        self._is_led = False

    def submit(self, item: Item) -> None:
        """Return when the item is written; raise what `flush` raised for it."""
        entry = _Entry(item)
        with self._lock:
            if self._is_led:
                self._queue.append(entry)
            else:
                self._is_led = True
                entry.group = [entry]
        if entry.group is None:
            entry.turn.wait()
        if entry.group is not None:
            self._lead(entry.group)
        if entry.error is not None:
            raise entry.error

    def _lead(self, group: list[_Entry[Item]]) -> None:
        try:
            self._write(group)
        finally:
            self._settle(group)

    def _settle(self, group: list[_Entry[Item]]) -> None:
        with self._lock:
            everybody_fails = group[0].error if all(entry.error for entry in group) else None
            if isinstance(everybody_fails, Exception) and self._spoils_all(everybody_fails):
                group = [*group, *self._queue]
                for entry in self._queue:
                    entry.error = everybody_fails
                self._queue = []
            successor = self._queue[0] if self._queue else None
            if successor is None:
                self._is_led = False
            else:
                # All who came meanwhile, led by the first of them.
                successor.group, self._queue = self._queue[: self._most], self._queue[self._most :]
        for entry in group:
            entry.turn.set()
        if successor is not None:
            successor.turn.set()

    def _write(self, group: Sequence[_Entry[Item]]) -> None:
        try:
            self._flush([entry.item for entry in group])
        except Exception as error:  # noqa: BLE001 - handed to the callers, each of whom raises it
            if len(group) == 1 or self._spoils_all(error):
                for entry in group:
                    entry.error = error
                return
            for entry in group:
                self._write([entry])
