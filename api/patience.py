"""How many requests may wait for a worker at a time: each holds a slot that webhooks need too."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Patience:
    """One a process. Who may not wait answers with how things stand: the work goes on all the same."""

    def __init__(self, most: int) -> None:
        self._waiting = threading.BoundedSemaphore(most)

    @contextmanager
    def may_wait(self) -> Iterator[bool]:
        """Whether to wait; never blocks."""
        may_wait = self._waiting.acquire(blocking=False)
        try:
            yield may_wait
        finally:
            if may_wait:
                self._waiting.release()
