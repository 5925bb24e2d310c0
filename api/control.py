"""What a person does to a conversation goes into its lane as a job; whoever holds the lane does it, in order.

The web process changes no conversation itself. It waits a moment for the worker, so that a click is usually
answered with what came of it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from api.rest.call import Call, not_found
from common.errors import AppError, ErrorCode
from common.model.control import Control, ControlOutcome
from common.model.conversation_jobs import Conversation, control_job
from common.model.jobs import JobKind, JobState
from common.store.database import Document
from common.store.store import Store

WAIT_SECONDS = 2.0
# A worker takes some 20 ms; looks grow rarer, since who has not answered after a second may be busy for long.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.01, 0.2
_GAVE_UP = "It could not be carried out: the conversation's worker failed. Try again later."


@dataclass(frozen=True, slots=True)
class Controlled:
    """A control, as far as it has come. `outcome` is None while it waits."""

    control_id: str
    outcome: ControlOutcome | None = None
    reason: str | None = None

    @property
    def is_done(self) -> bool:
        return self.outcome is not None

    @property
    def status(self) -> HTTPStatus:
        """What to answer with."""
        return HTTPStatus.OK if self.is_done else HTTPStatus.ACCEPTED

    def as_document(self) -> dict[str, Any]:
        """For `ControlView`."""
        outcome = self.outcome.value.upper() if self.outcome else None
        state = "DONE" if self.is_done else "WAITING"
        return {"_id": self.control_id, "state": state, "outcome": outcome, "reason": self.reason}


def control(call: Call, conversation: Conversation, wanted: Control) -> Controlled:
    """Put a control into a conversation's lane and wait a moment for what comes of it.

    Repeated with its Idempotency-Key, it is the same control. Raises AppError 409 where it is refused, with the
    worker's reason, and DatabaseError.
    """
    job = control_job(conversation, wanted, job_id=call.new_id, request_id=call.request_id)
    call.web.intake.accept([job])
    call.store.lanes.hear([conversation.lane], *wanted.action.unparks)
    with call.web.patience.may_wait() as may_wait:
        controlled = _wait(call.store, job.job_id, WAIT_SECONDS if may_wait else 0.0)
    return _decided(controlled)


def find_control(store: Store, bot_id: str, control_id: str) -> Controlled:
    """What became of a control. Raises AppError 404, also some days after it was done."""
    document = store.jobs.find(control_id)
    if document is None or document["botId"] != bot_id or document["kind"] != JobKind.CONTROL.value:
        raise not_found("control")
    return _read(document)


def _wait(store: Store, job_id: str, seconds: float) -> Controlled:
    give_up_at = time.monotonic() + seconds
    pause = _FIRST_PAUSE_SECONDS
    while True:
        document = store.jobs.find(job_id)
        controlled = Controlled(job_id) if document is None else _read(document)
        left = give_up_at - time.monotonic()
        if controlled.is_done or left <= 0:
            return controlled
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE_SECONDS)


def _read(document: Document) -> Controlled:
    match document["state"]:
        case JobState.DONE:
            outcome = ControlOutcome(document.get("outcome", ControlOutcome.APPLIED))
            return Controlled(document["_id"], outcome, document.get("outcomeReason"))
        case JobState.DEAD | JobState.UNROUTED:
            return Controlled(document["_id"], ControlOutcome.REFUSED, _GAVE_UP)
        case _:
            return Controlled(document["_id"])


def _decided(controlled: Controlled) -> Controlled:
    if controlled.outcome is ControlOutcome.REFUSED:
        raise AppError(
            ErrorCode.CONTROL_REFUSED,
            HTTPStatus.CONFLICT,
            controlled.reason or "The conversation is not in a state that allows it.",
            {"controlId": controlled.control_id},
        )
    return controlled
