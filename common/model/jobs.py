"""A unit of accepted work, and the names of its states."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class JobKind(StrEnum):
    """What a job asks for."""

    MESSAGE = "MESSAGE"  # a customer's message
    STATUS = "STATUS"  # what became of a message of ours
    TIMER = "TIMER"  # a wait that is over
    CONTROL = "CONTROL"  # what a person does to a conversation


class JobState(StrEnum):
    """PENDING jobs wait in their lane. DONE ones are kept to recognise duplicates."""

    PENDING = "PENDING"
    DONE = "DONE"
    DEAD = "DEAD"  # failed for good; can be requeued
    UNROUTED = "UNROUTED"  # accepted, but nothing here to give it to


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to store. `job_id` is the deduplication key; `lane` is None where `reason` says why it has none.

    `payload` is JSON text: whatever strange thing a sender put into it (huge numbers, lone surrogates, keys with
    dots) is kept as it came, and can never spoil a batch that it is stored with.
    """

    job_id: str
    kind: JobKind
    lane: str | None
    payload: str
    request_id: str
    bot_id: str | None = None
    phone_number_id: str | None = None
    reason: str | None = None


@dataclass(slots=True)
class Job:
    """A stored job, as a worker sees it."""

    job_id: str
    kind: JobKind
    lane: str
    payload: str
    request_id: str
    received_at: datetime
    attempts: int = 0
    bot_id: str | None = None
    phone_number_id: str | None = None
