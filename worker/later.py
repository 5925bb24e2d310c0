"""Call something in a while, without a thread waiting for it."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Later:
    """One thread, any number of things that are due. What is not due yet when it closes is called then."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="later", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def call(self, seconds: float, action: Callable[[], None]) -> None:
        """Call `action` after so many seconds. It must be quick and must not raise."""
        with self._changed:
            heapq.heappush(self._heap, (time.monotonic() + seconds, next(self._order), action))
            self._changed.notify()

    def close(self) -> None:
        """Call what is left at once, then end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._is_due():
                    if self._is_closed and not self._heap:
                        return
                    self._changed.wait(self._heap[0][0] - time.monotonic() if self._heap else None)
                _, _, action = heapq.heappop(self._heap)
            action()

    def _is_due(self) -> bool:
        return bool(self._heap) and (self._is_closed or self._heap[0][0] <= time.monotonic())
