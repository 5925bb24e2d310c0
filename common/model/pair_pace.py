"""How fast Meta lets us send to one contact: its pair limit, as a leaky bucket that is kept with the contact."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

PAIR_BURST = 45  # messages to one contact at once, borrowed from the future
PAIR_SECONDS = 6.0  # one message each six seconds pays the debt back


@dataclass(frozen=True, slots=True)
class PairPace:
    """A leaky bucket as it stood `at` a time: `level` messages have not leaked out yet."""

    level: float
    at: datetime

    def after(
        self, now: datetime, sends: int = 1, *, burst: int = PAIR_BURST, seconds: float = PAIR_SECONDS
    ) -> tuple[PairPace, float]:
        """The bucket after `sends` more messages, and how long to wait before they may go.

        Keep the new bucket only if they are sent (now, or after the wait). A clock that went backwards
        leaks nothing. `seconds` of 0 means that there is no limit.
        """
        if seconds <= 0:
            return PairPace(0.0, now), 0.0
        leaked = max(0.0, (now - self.at).total_seconds()) / seconds
        level = max(0.0, self.level - leaked) + sends
        return PairPace(level, max(now, self.at)), max(0.0, level - burst) * seconds

    def wait_for_first_of(
        self, pending: int, now: datetime, *, burst: int = PAIR_BURST, seconds: float = PAIR_SECONDS
    ) -> float:
        """Seconds until the first of `pending` messages may go that the bucket holds already."""
        bucket, _ = self.after(now, 0, seconds=seconds)
        return max(0.0, bucket.level - (pending - 1) - burst) * seconds
