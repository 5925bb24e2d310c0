"""Spans of time that figures are asked for: whole hours while these are kept, whole days before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
# Figures by the hour are deleted a day later than this, so that nobody reads the edge while it crumbles.
HOURS_READABLE: Final = timedelta(days=8)


class Bucket(StrEnum):
    """What a series is divided into."""

    HOUR = "hour"
    DAY = "day"

    @property
    def length(self) -> timedelta:
        return HOUR if self is Bucket.HOUR else DAY


@dataclass(frozen=True, slots=True)
class Period:
    """From `since` up to, not including, `until`; both at the full hour, UTC."""

    since: datetime
    until: datetime

    @property
    def whole_days(self) -> tuple[datetime, datetime] | None:
        """The first midnight and the last one, where a whole day lies between them."""
        first, last = ceil_to(self.since, DAY), floor_to(self.until, DAY)
        return (first, last) if first < last else None

    def buckets(self, bucket: Bucket) -> Iterator[datetime]:
        """The beginning of every hour or day that the period touches."""
        at = floor_to(self.since, bucket.length)
        while at < self.until:
            yield at
            at += bucket.length


def period(since: datetime, until: datetime, now: datetime) -> Period:
    """The smallest period that figures are kept for and that holds this span."""
    readable = floor_to(now - HOURS_READABLE, DAY)
    first = floor_to(since, HOUR if since >= readable else DAY)
    last = ceil_to(until, HOUR if until >= readable else DAY)
    return Period(first, last)


def floor_to(moment: datetime, length: timedelta) -> datetime:
    """The beginning of the hour or day (UTC) of a moment."""
    moment = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return moment if length == HOUR else moment.replace(hour=0)


def ceil_to(moment: datetime, length: timedelta) -> datetime:
    """The first full hour or midnight (UTC) that is not before a moment."""
    floor = floor_to(moment, length)
    return floor if floor == moment else floor + length
