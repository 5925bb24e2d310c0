"""The time that a question for figures is about."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from api.rest.call import invalid
from api.schemas.analytics import MOST_DAYS, MOST_HOURLY_DAYS, RANGES
from common.clock import utc_now
from common.model.periods import DAY, HOURS_READABLE, Bucket, Period, ceil_to, floor_to, period

DEFAULT: Final = "7d"
# Up to so long a time is shown by the hour where nobody says how.
_BY_HOUR: Final = timedelta(hours=48)


def asked_period(query: dict[str, Any], default: str = DEFAULT) -> Period:
    """The period of a checked query. Raises AppError 422 where it lies in the future or is too long."""
    now = utc_now()
    since, until = query["from_"], query["to"] or now
    if since is None:
        return period(now - RANGES[query["range"] or default], now, now)
    if since >= now:
        raise invalid({"from": ["This is in the future."]})
    until = min(until, now)
    if until - since > timedelta(days=MOST_DAYS):
        raise invalid({"from": [f"At most {MOST_DAYS} days at a time."]})
    return period(since, until, now)


def asked_bucket(query: dict[str, Any], span: Period) -> tuple[Bucket, Period]:
    """The steps of a series, and the period that they fill. Raises AppError 422 for hours that are not kept."""
    readable = floor_to(utc_now() - HOURS_READABLE, DAY)
    can_be_hours = span.since >= readable
    wanted = query["bucket"]
    if wanted is None:
        wanted = Bucket.HOUR if can_be_hours and span.until - span.since <= _BY_HOUR else Bucket.DAY
    if wanted == Bucket.HOUR:
        if not can_be_hours:
            raise invalid({"bucket": [f"Hours are kept for {MOST_HOURLY_DAYS} days only."]})
        return Bucket.HOUR, span
    # Whole days, or the first and the last one would look like quiet ones.
    return Bucket.DAY, Period(floor_to(span.since, DAY), ceil_to(span.until, DAY))
