"""Ends the conversations of a flow that is gone: each by a job in its own lane, in order with what customers write."""

from __future__ import annotations

from itertools import islice
from typing import Final

from api.rest.call import Call
from common.model.contacts import Channel
from common.model.control import Control, ControlAction
from common.model.conversation_jobs import Conversation, control_job

_AT_ONCE: Final = 500
_WHY: Final = "The flow was deleted."


def close_conversations(call: Call, flow_id: str) -> int:
    """Close the open conversations of a flow, tests too; returns how many. Repeated, it closes none twice.

    Until its job has run, and if this breaks off, a conversation goes on with its version, which is kept for that.
    """
    sessions = call.store.flows.open_sessions(call.bot_id, flow_id)
    count = 0
    while batch := list(islice(sessions, _AT_ONCE)):
        jobs = [
            control_job(
                Conversation(call.bot_id, Channel(session["channel"]), session["contactId"]),
                Control(ControlAction.CLOSE, call.user_id, _WHY, {"sessionId": session["_id"]}),
                job_id=f"deleted:{flow_id}:{session['_id']}",
                request_id=call.request_id,
            )
            for session in batch
        ]
        call.web.intake.accept(jobs)
        call.store.lanes.hear([job.lane for job in jobs if job.lane], *ControlAction.CLOSE.unparks)
        count += len(batch)
    return count
