"""Why a lane that has work is not to be claimed for a while."""

from __future__ import annotations

from enum import StrEnum


class ParkedFor(StrEnum):
    """The reasons; each lane that is parked carries one as `parkedFor`."""

    UNKNOWN_SEND = "unknown_send"  # a status may tell what became of a message
    RETRY_SEND = "retry_send"  # a message is sent again later, or the pace allows it only then
    BOT_STOPPED = "bot_stopped"  # WhatsApp must be reconnected first
    BOT_PAUSED = "bot_paused"  # a person has taken over before a message was sent; any job is worked on
    JOB_FAILED = "job_failed"  # our own fault: once more after a pause
    INTERRUPTED = "interrupted"  # handed back in the middle; due at once
