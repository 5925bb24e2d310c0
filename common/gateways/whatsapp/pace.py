"""How fast Meta lets us send from one number (its throughput)."""

from __future__ import annotations

import math
import threading

NUMBER_PER_SECOND = 80.0  # Meta's standard throughput of one number
# Let through at once before the spacing begins: small, so that no second sees more than a tenth too many.
NUMBER_BURST_SECONDS = 0.1
_FORGET_ABOVE = 4096  # numbers kept in memory; only then are the idle ones dropped


class NumberPace:
    """Spaces the sends of each number evenly; thread-safe, for one process (give it its share of the rate)."""

    def __init__(self, per_second: float = NUMBER_PER_SECOND) -> None:
        self._interval = 1 / per_second
        self._next_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def reserve(self, phone_number_id: str, now: float, most: float = math.inf) -> float:
        """Reserve the next free moment and say how many seconds it is away. `now` is monotonic time.

        If it is further away than `most`, nothing is reserved: who will not wait must not keep others waiting.
        """
        with self._lock:
            next_at = max(self._next_at.get(phone_number_id, now), now)
            wait = max(0.0, next_at - NUMBER_BURST_SECONDS - now)
            if wait > most:
                return wait
            self._next_at[phone_number_id] = next_at + self._interval
            if len(self._next_at) > _FORGET_ABOVE:
                self._next_at = {key: at for key, at in self._next_at.items() if at > now}
            return wait

    def hold(self, phone_number_id: str, seconds: float, now: float) -> None:
        """Let nothing of this number out for a while (Meta answered 130429)."""
        with self._lock:
            until = now + seconds + NUMBER_BURST_SECONDS
            self._next_at[phone_number_id] = max(self._next_at.get(phone_number_id, until), until)
