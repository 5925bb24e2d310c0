"""What every process counts for its operator, and how it is written out. Names and labels are few and fixed."""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter

PREFIX: Final = "flowbuilder_"
# From a lookup to a call that hangs.
SECONDS: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

DATABASE_ERRORS: Final = Counter(
    f"{PREFIX}database_errors", "Operations that the database did not do, by the driver's class.", ["error"]
)


def count_database_error(error: Exception) -> None:
    """An operation failed, at a border where somebody deals with that."""
    DATABASE_ERRORS.labels(type(error).__name__).inc()
