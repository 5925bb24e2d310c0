"""Answers of other servers that are good for a while: nobody asks twice in a minute what changes once in a day."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class TimedCache(Generic[V]):
    """At most `most` values, each for `seconds`. Thread-safe; two threads may ask for one value at once."""

    def __init__(self, seconds: float, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._kept: OrderedDict[Hashable, tuple[float, V]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, ask: Callable[[], V]) -> V:
        """The value that is kept, else what `ask` returns; nothing is kept where it raises."""
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and kept[0] > self._clock():
            return kept[1]
        value = ask()
        with self._lock:
            self._kept[key] = (self._clock() + self._seconds, value)
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return value
