"""The one place that reads the time of this machine; everything else is told what time it is."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


def utc_now() -> datetime:
    """Now, aware, UTC, cut to whole milliseconds (what MongoDB keeps)."""
    return whole_milliseconds(datetime.now(UTC))


def whole_milliseconds(moment: datetime) -> datetime:
    """The moment as MongoDB would give it back: aware, UTC, no microseconds below the millisecond."""
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class DatabaseClock:
    """The database's time, kept from its last answer plus the monotonic time since.

    Delays and time-outs are reckoned with it, so a worker whose own clock is wrong is never early or late.
    """

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._read_at = 0.0

    def observe(self, database_now: datetime, asked_at: float) -> None:
        """Take the `$$NOW` that the database answered with, to a question of this monotonic time.

        Reckoned from the question, not the answer, so this clock is never behind: a wait may end late by the
        length of a round trip, never early.
        """
        self._at, self._read_at = database_now, asked_at

    def now(self) -> datetime:
        """The database's time as well as we know it; this machine's time before the first observation."""
        if self._at is None:
            return utc_now()
        return whole_milliseconds(self._at + timedelta(seconds=time.monotonic() - self._read_at))
