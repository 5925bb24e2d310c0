"""A thread that writes whatever came in since its last write, all at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

import structlog

Item = TypeVar("Item")
log = structlog.get_logger()


class BatchWriter(Generic[Item]):
    """`flush` gets a list of items, never an empty one, and handles its own errors.

    No waiting for company: a lone item is written at once, and what comes meanwhile shares the next write.
    """

    def __init__(self, name: str, flush: Callable[[list[Item]], None], *, most: int = 500) -> None:
        self._flush = flush
        self._most = most
        self._items: list[Item] = []
        self._is_closed = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, item: Item) -> None:
        """Have an item written soon. Thread-safe."""
        with self._changed:
            self._items.append(item)
            self._changed.notify()

    def close(self) -> None:
        """Write what is left, then end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._items and not self._is_closed:
                    self._changed.wait()
                if not self._items:
                    return
                items, self._items = self._items[: self._most], self._items[self._most :]
            try:
                self._flush(items)
            except Exception as error:  # a border: the writer outlives any one write
                log.exception("batch.failed", writer=self._thread.name, error=type(error).__name__)
