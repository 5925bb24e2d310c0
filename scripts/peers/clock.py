"""The peers' wall clock, which a test may set or move without waiting."""

from __future__ import annotations

import time


class PeerClock:
    """Unix seconds, plus what a test has added."""

    def __init__(self) -> None:
        self._offset_seconds = 0.0

    def now(self) -> float:
        """What the peers take for the present."""
        return time.time() + self._offset_seconds

    def advance(self, seconds: float) -> None:
        """Move on (or back, when negative)."""
        self._offset_seconds += seconds

    def set(self, now: float) -> None:
        """Go on from this moment."""
        self._offset_seconds = now - time.time()

    def reset(self) -> None:
        """Back to the machine's time."""
        self._offset_seconds = 0.0
