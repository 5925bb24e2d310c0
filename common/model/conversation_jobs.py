"""The jobs that we put into a conversation ourselves: a person's controls, and a tester's messages."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from common.model.contacts import (
    Channel,
    alias_of_number,
    alias_of_tester,
    contact_id_for,
    lane_for,
)
from common.model.control import Control
from common.model.jobs import JobKind, NewJob


@dataclass(frozen=True, slots=True)
class Conversation:
    """Where a job goes. `alias` and `wa_id` name a contact that may not be known yet."""

    bot_id: str
    channel: Channel
    contact_id: str
    alias: str | None = None
    wa_id: str | None = None

    @property
    def lane(self) -> str:
        """The conversation's lane."""
        return lane_for(self.channel, self.contact_id)


def conversation_with(bot_id: str, wa_id: str) -> Conversation:
    """The conversation with a phone number that nothing is known of yet."""
    alias = alias_of_number(wa_id)
    return Conversation(bot_id, Channel.WHATSAPP, contact_id_for(bot_id, alias), alias, wa_id)


def conversation_of_tester(bot_id: str, user_id: str, flow_id: str, digits: str) -> Conversation:
    """The test conversation of a user, a flow and a simulated phone number."""
    alias = alias_of_tester(user_id, flow_id, digits)
    return Conversation(bot_id, Channel.SIMULATOR, contact_id_for(bot_id, alias), alias, digits)


def control_job(conversation: Conversation, control: Control, *, job_id: str, request_id: str) -> NewJob:
    """A control as a job of its conversation."""
    payload: dict[str, Any] = control.to_json()
    if conversation.alias is not None:
        payload["contact"] = {"alias": conversation.alias, "waId": conversation.wa_id}
    return NewJob(
        job_id=f"c:{job_id}",
        kind=JobKind.CONTROL,
        lane=conversation.lane,
        payload=json.dumps(payload),
        request_id=request_id,
        bot_id=conversation.bot_id,
    )


def message_job_of_tester(
    conversation: Conversation,
    message: dict[str, Any],
    *,
    flow_id: str,
    version_id: str,
    job_id: str,
    request_id: str,
    name: str = "",
) -> NewJob:
    """A tester's message, as WhatsApp would have it. `version_id` is what a new conversation runs."""
    payload = {
        "message": {**message, "id": f"sim.{job_id}", "from": conversation.wa_id},
        "profile": {"name": name} if name else {},
        "test": {"alias": conversation.alias, "flowId": flow_id, "versionId": version_id},
    }
    return NewJob(
        job_id=f"sim:{job_id}",
        kind=JobKind.MESSAGE,
        lane=conversation.lane,
        payload=json.dumps(payload),
        request_id=request_id,
        bot_id=conversation.bot_id,
    )
