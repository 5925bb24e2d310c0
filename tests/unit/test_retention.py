"""How long a bot keeps what: an owner shortens the installation's times and never lengthens them."""

from __future__ import annotations

from typing import Any

import pytest

from common.model.retention import KeptDays, kept_days

MOST = KeptDays(90, 14)


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        (None, (90, 14)),
        ({}, (90, 14)),
        ({"messageDays": None, "executionLogDays": None}, (90, 14)),
        ({"messageDays": 30}, (30, 14)),
        ({"executionLogDays": 2}, (90, 2)),
        ({"messageDays": 5}, (5, 5)),  # the log repeats what was said
        ({"messageDays": 5, "executionLogDays": 9}, (5, 5)),
        ({"messageDays": 400, "executionLogDays": 400}, (90, 14)),  # the installation was set lower since
    ],
)
def test_kept_days(wanted: dict[str, Any] | None, kept: tuple[int, int]) -> None:
    assert kept_days(wanted, MOST) == KeptDays(*kept)
