"""Everything that can happen to a conversation: a message, a timer, a call's answer, a person's control. Nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from common.model.calls import Answer, answer_from_json, to_json
from common.model.control import Control, control_from_json


class MessageKind(StrEnum):
    """How a customer's message reaches a flow. PASSIVE ones are recorded and never advance a flow."""

    TEXT = "TEXT"
    BUTTON = "BUTTON"  # a tap on a reply button, a list row or a template's quick reply
    MEDIA = "MEDIA"  # image, video, document, audio, sticker: an answer that is no text
    OTHER = "OTHER"  # location, contacts, order, form: an answer that is no text
    PASSIVE = "PASSIVE"  # reaction, edit, revoke, system, unsupported, group


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A customer's message. `text` is the body, or a button's title, or "" where there is none."""

    message_id: str
    kind: MessageKind
    text: str
    sent_at: datetime
    button_id: str | None = None
    type: str = "text"  # WhatsApp's own type name


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A customer wrote."""

    message: InboundMessage


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A DELAY ended or a reply did not come in time. `wait_id` names the wait that it belongs to."""

    wait_id: int


@dataclass(frozen=True, slots=True)
class EffectAnswered:
    """A call came back."""

    effect_id: str
    answer: Answer


Event = MessageReceived | TimerFired | EffectAnswered | Control


def event_to_json(event: Event) -> dict[str, Any]:
    """The event as it stands in the log."""
    match event:
        case MessageReceived(message):
            return {
                "kind": "message",
                "messageId": message.message_id,
                "messageKind": message.kind.value,
                "text": message.text,
                "sentAt": message.sent_at.isoformat(),
                "buttonId": message.button_id,
                "type": message.type,
            }
        case TimerFired(wait_id):
            return {"kind": "timer", "waitId": wait_id}
        case EffectAnswered(effect_id, answer):
            return {"kind": "answer", "effectId": effect_id, "answer": to_json(answer)}
        case Control():
            return {"kind": "control", **event.to_json()}


def event_from_json(data: dict[str, Any]) -> Event:
    """The event that `event_to_json` wrote. Raises ValueError, KeyError or TypeError for anything else."""
    match data["kind"]:
        case "message":
            return MessageReceived(
                InboundMessage(
                    message_id=data["messageId"],
                    kind=MessageKind(data["messageKind"]),
                    text=data["text"],
                    sent_at=datetime.fromisoformat(data["sentAt"]),
                    button_id=data["buttonId"],
                    type=data["type"],
                )
            )
        case "timer":
            return TimerFired(data["waitId"])
        case "answer":
            return EffectAnswered(data["effectId"], answer_from_json(data["answer"]))
        case "control":
            return control_from_json(data)
        case kind:
            raise ValueError(f"unknown event {kind!r}")
