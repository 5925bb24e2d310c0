"""How long a bot keeps what its conversations leave behind: for less time than the installation, if its owner says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True, slots=True)
class KeptDays:
    """Days from the moment that something was written to the moment that it goes."""

    messages: int
    execution_logs: int

    def messages_before(self, now: datetime) -> datetime:
        """What was said before this goes."""
        return now - timedelta(days=self.messages)

    def logs_before(self, now: datetime) -> datetime:
        """What ran before this goes."""
        return now - timedelta(days=self.execution_logs)


def kept_days(wanted: Mapping[str, Any] | None, most: KeptDays) -> KeptDays:
    """What holds for a bot. `wanted` is what its owner set ({messageDays, executionLogDays}; null: nothing).

    An owner can shorten the installation's times, never lengthen them. The log repeats what customers wrote, so it
    never outlives the messages.
    """
    messages = _least((wanted or {}).get("messageDays"), most.messages)
    logs = _least((wanted or {}).get("executionLogDays"), most.execution_logs)
    return KeptDays(messages, min(logs, messages))


def _least(wanted: int | None, most: int) -> int:
    return most if wanted is None else min(wanted, most)
