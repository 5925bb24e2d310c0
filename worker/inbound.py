"""A WhatsApp message element, as Meta sends it, read into what a flow understands. Never raises."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from common.model.bots import LiveFlow
from common.model.contacts import Channel, Sender, channel_of, sender_of, usable_id
from common.model.events import InboundMessage, MessageKind
from common.model.jobs import Job

# Answers that are no text. What is neither here nor text nor a tap never advances a flow.
_ANSWERS = {
    **dict.fromkeys(("image", "video", "document", "audio", "sticker"), MessageKind.MEDIA),
    **dict.fromkeys(("location", "contacts", "order"), MessageKind.OTHER),
}
# A customer can type 4,096 characters; what is longer did not come from a phone. It is kept, cut.
_MOST_CHARACTERS = 65_536
_MOST_ID_CHARACTERS = 512
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message with its sender. `other_aliases` are further ids that a system message says are theirs.

    `tested` is the flow version that a test's message begins with, unless its conversation has begun.
    """

    message: InboundMessage
    sender: Sender
    profile_name: str
    phone_number_id: str | None = None
    other_aliases: tuple[str, ...] = ()
    tested: LiveFlow | None = None


def read_message(job: Job, now: datetime) -> Inbound:
    """The message of a MESSAGE job. What is missing or of a wrong type counts as not there."""
    payload = json.loads(job.payload)
    element = payload["message"]
    kind, text, button_id = _content(element)
    type_name = element.get("type")
    profile_name = payload["profile"].get("name")
    is_test = channel_of(job.lane) is Channel.SIMULATOR
    test = payload["test"] if is_test and isinstance(payload.get("test"), dict) else {}
    return Inbound(
        message=InboundMessage(
            message_id=element["id"],
            kind=kind,
            text=_clean(text)[:_MOST_CHARACTERS],
            sent_at=_sent_at(element.get("timestamp"), now),
            button_id=_clean(button_id)[:_MOST_ID_CHARACTERS] if button_id is not None else None,
            type=_clean(type_name)[:40] if isinstance(type_name, str) else "unknown",
        ),
        sender=replace(sender_of(element), simulated_as=test.get("alias")),
        profile_name=_clean(profile_name)[:200] if isinstance(profile_name, str) else "",
        phone_number_id=None if is_test else job.phone_number_id,
        other_aliases=() if is_test else _other_aliases(element),
        tested=LiveFlow(test["flowId"], test["versionId"]) if test.get("versionId") else None,
    )


def _content(element: dict[str, Any]) -> tuple[MessageKind, str, str | None]:
    if element.get("group_id"):
        return MessageKind.PASSIVE, "", None
    match element.get("type"):
        case "text":
            return MessageKind.TEXT, _text(_part(element, "text"), "body"), None
        case "button":
            button = _part(element, "button")
            return MessageKind.BUTTON, _text(button, "text"), _text(button, "payload") or None
        case "interactive":
            return _interactive(_part(element, "interactive"))
        case str(name) if name in _ANSWERS:
            return _ANSWERS[name], _text(_part(element, name), "caption"), None
        case _:
            return MessageKind.PASSIVE, "", None


def _interactive(interactive: dict[str, Any]) -> tuple[MessageKind, str, str | None]:
    match interactive.get("type"):
        case "button_reply" | "list_reply" as name:
            reply = _part(interactive, name)
            reply_id = _text(reply, "id")
            if reply_id:
                return MessageKind.BUTTON, _text(reply, "title"), reply_id
            return MessageKind.TEXT, _text(reply, "title"), None
        case "nfm_reply":
            return MessageKind.OTHER, "", None
        case _:
            return MessageKind.PASSIVE, "", None


def _other_aliases(element: dict[str, Any]) -> tuple[str, ...]:
    system = _part(element, "system")
    wa_id = usable_id(system.get("wa_id")) or usable_id(system.get("new_wa_id"))
    return Sender(wa_id=wa_id, bsuid=usable_id(system.get("user_id"))).aliases


def _part(element: dict[str, Any], name: str) -> dict[str, Any]:
    part = element.get(name)
    return part if isinstance(part, dict) else {}


def _text(element: dict[str, Any], name: str) -> str:
    value = element.get(name)
    return value if isinstance(value, str) else ""


def _clean(text: str) -> str:
    """Text that the database takes: lone surrogates become the replacement character, NUL goes."""
    return text.replace("\x00", "").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _sent_at(timestamp: object, now: datetime) -> datetime:
    """Meta's Unix seconds (as text); our own time where they are missing or impossible."""
    try:
        sent_at = datetime.fromtimestamp(int(str(timestamp)[:20]), UTC)
    except (ValueError, OverflowError, OSError):
        return now
    return min(sent_at, now) if sent_at > _EARLIEST else now
