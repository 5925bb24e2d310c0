"""The life of a message that we send; docs/states.md draws it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class MessageStatus(StrEnum):
    """QUEUED → SENDING → ACCEPTED → SENT → DELIVERED → READ, or FAILED, or UNKNOWN."""

    RECEIVED = "RECEIVED"  # a customer's message
    QUEUED = "QUEUED"
    SENDING = "SENDING"
    UNKNOWN = "UNKNOWN"
    ACCEPTED = "ACCEPTED"
    SENT = "SENT"
    FAILED = "FAILED"
    DELIVERED = "DELIVERED"
    READ = "READ"

    @property
    def rank(self) -> int:
        """Statuses move forward only: a message takes a status of a higher rank, never of a lower one.

        FAILED stands above SENT and below DELIVERED: it is final unless the message arrives after all.
        """
        return _RANKS[self]


_RANKS = {status: rank * 10 for rank, status in enumerate(MessageStatus)}

# What a status webhook says, and what it means here. "played" is a voice message listened to.
STATUS_BY_NAME = {
    "sent": MessageStatus.SENT,
    "delivered": MessageStatus.DELIVERED,
    "read": MessageStatus.READ,
    "played": MessageStatus.READ,
    "failed": MessageStatus.FAILED,
}


class UnknownSendPolicy(StrEnum):
    """What to do when the outcome of a send cannot be known, even after the grace period."""

    AUTO = "AUTO"  # repeat where silence is evidence: other statuses for the number did arrive
    HOLD = "HOLD"  # never repeat: show it as unknown, go on
    RESEND = "RESEND"  # always repeat


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """One element of a status webhook. `error` is Meta's error object of a failed one."""

    phone_number_id: str
    wamid: str
    status: str
    attempt_id: str | None = None
    at: datetime | None = None
    error: dict[str, Any] | None = None
