"""What a lane does next: a person's pause comes before what is not begun to be sent, and nothing before what is."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime

import pytest

from common.model.bots import BotConfig, WhatsAppAccount
from common.model.contacts import Contact
from common.model.jobs import Job, JobKind
from common.model.outbox import MessageStatus
from common.model.turn_records import OutboundMessage
from common.store.lanes import Lease
from common.store.messages import OutboxMessage
from worker.held_lane import HeldLane

NOW = datetime(2026, 1, 31, tzinfo=UTC)
QUEUED, SENDING, UNKNOWN = MessageStatus.QUEUED, MessageStatus.SENDING, MessageStatus.UNKNOWN


def lane(
    status: MessageStatus, *actions: str, stopped_for: str | None = None, is_paused: bool = False
) -> HeldLane:
    """A lane with a message to send; a job for each action, "" for a customer's message."""
    account = WhatsAppAccount("a", "b", "1", "+1", "2", "token", stopped_for=stopped_for)
    contact = Contact("c", "b", ("wa:1",))
    contact.bot_paused_at = NOW if is_paused else None
    jobs = (
        Job(
            action,
            JobKind.CONTROL if action else JobKind.MESSAGE,
            "wa:c",
            f'{{"action":"{action}"}}',
            "r",
            NOW,
        )
        for action in actions
    )
    return HeldLane(
        Lease("wa:c", 1, "claim", 1, was_interrupted=True, interruptions=0),
        held_until=0.0,
        jobs=deque(jobs),
        bot=BotConfig("b", "u", 1, None, account=account),
        contact=contact,
        outbox=deque([OutboxMessage("m", 1, OutboundMessage("n", "hi"), status, "r")]),
    )


@pytest.mark.parametrize("status", [SENDING, UNKNOWN])
def test_what_was_begun_is_decided_before_any_job(status: MessageStatus) -> None:
    assert not lane(status, "PAUSE").has_job_before_sends()
    assert not lane(status, "PAUSE", stopped_for="190").has_job_before_sends()
    assert not lane(status, "RESUME", is_paused=True).has_job_before_sends()
    assert not lane(status, is_paused=True).is_muted


@pytest.mark.parametrize("actions", [("PAUSE",), ("", "PAUSE"), ("CLOSE", "PAUSE")])
def test_a_pause_comes_before_what_is_queued(actions: tuple[str, ...]) -> None:
    assert lane(QUEUED, *actions).has_job_before_sends()


@pytest.mark.parametrize("action", ["CLOSE", "RESUME"])
def test_another_control_comes_first_only_where_nothing_can_be_sent(action: str) -> None:
    assert not lane(QUEUED, action).has_job_before_sends()
    assert lane(QUEUED, action, stopped_for="190").has_job_before_sends()
    assert not lane(QUEUED, "", action, stopped_for="190").has_job_before_sends()


def test_while_a_person_has_taken_over_jobs_are_done_and_messages_held() -> None:
    assert lane(QUEUED, "", is_paused=True).has_job_before_sends()
    assert not lane(QUEUED, is_paused=True).has_job_before_sends()
    assert lane(QUEUED, is_paused=True).is_muted
