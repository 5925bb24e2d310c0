"""The `Retry-After` header: how long a server wants us to wait."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from common.clock import utc_now


def read_retry_after(header: str | None) -> float | None:
    """Seconds, from a number or an HTTP date; negative for a past date, None for anything else."""
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return (parsedate_to_datetime(text) - utc_now()).total_seconds()
    except (ValueError, TypeError):  # TypeError: a date without a time zone
        return None
