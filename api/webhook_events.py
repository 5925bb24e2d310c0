"""From the body of one webhook POST to jobs: every message and status for itself, nothing dropped.

Pure. One POST may carry many entries, changes, messages and statuses for several numbers. What cannot be
routed becomes an unrouted job with the reason; one bad element never costs the others.
Shapes: Meta's webhook payload, https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/payload-examples
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from common.json_text import BadJson, read_json, write_json
from common.model.contacts import (
    Channel,
    Sender,
    contact_id_for,
    lane_for,
    sender_of,
    status_lane_for,
    usable_id,
)
from common.model.jobs import JobKind, NewJob

UNKNOWN_NUMBER = "unknown phone number id"
# A document has at most 16 MB. JSON text can be longer than the body that it came from: a byte may become \u007f.
_MOST_PAYLOAD_CHARACTERS = 12 * 1024 * 1024
# A worker reads twenty jobs of a conversation as one document. No message of Meta's comes near this.
_MOST_ROUTED_CHARACTERS = 700 * 1024
# A profile stands in the job of each of its messages: no more of it than is used, and no longer than any real one.
_PROFILE_FIELDS = ("name", "username")
_MOST_PROFILE_CHARACTERS = 512
_ANYBODY = ""  # no alias: the key of the profile that fits whoever has none of their own


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One element of a POST. `reason` says why it goes nowhere (then only `payload` counts)."""

    kind: JobKind
    payload: str
    phone_number_id: str | None = None
    event_id: str = ""
    sender: Sender | None = None
    reason: str | None = None


def read_events(raw: bytes) -> list[WebhookEvent]:
    """The elements of a POST in their order. Never raises."""
    try:
        body = read_json(raw)
    except BadJson as error:
        return [_unrouted(raw.decode("utf-8", "backslashreplace"), f"unreadable body: {error}"[:300])]
    if not isinstance(body, dict) or body.get("object") != "whatsapp_business_account":
        return [_unrouted(body, "not a whatsapp_business_account webhook")]
    entries = body.get("entry")
    if not isinstance(entries, list):
        return [_unrouted(body, "entry is not a list")]
    return [event for entry in entries for event in _read_entry(entry)]


def phone_number_ids(events: list[WebhookEvent]) -> set[str]:
    """The numbers that a POST is about."""
    return {event.phone_number_id for event in events if event.phone_number_id}


def _read_entry(entry: object) -> Iterator[WebhookEvent]:
    changes = entry.get("changes") if isinstance(entry, dict) else None
    if not isinstance(changes, list):
        yield _unrouted(entry, "entry has no list of changes")
        return
    for change in changes:
        yield from _read_change(change)


def _read_change(change: object) -> Iterator[WebhookEvent]:
    value = change.get("value") if isinstance(change, dict) else None
    field = change.get("field") if isinstance(change, dict) else None
    if not isinstance(value, dict):
        yield _unrouted(change, "change has no value")
        return
    metadata = value.get("metadata")
    number = usable_id(metadata.get("phone_number_id")) if isinstance(metadata, dict) else None
    if field != "messages":
        yield _unrouted(change, f"field {str(field)[:60]!r} is not used here", number)
        return
    if number is None:
        yield _unrouted(change, "no phone_number_id in metadata")
        return
    is_empty = True
    for event in _read_value(value, number):
        is_empty = False
        yield event
    if is_empty:
        yield _unrouted(change, "neither messages nor statuses", number)


def _read_value(value: dict[str, Any], number: str) -> Iterator[WebhookEvent]:
    profiles = _profiles(value.get("contacts"))
    for name in ("messages", "statuses"):
        elements = value.get(name)
        if elements is not None and not isinstance(elements, list):
            yield _unrouted({name: elements}, f"{name} is not a list", number)
            continue
        for element in elements or ():
            if name == "messages":
                yield _read_message(element, number, profiles)
            else:
                yield _read_status(element, number)
    if value.get("errors"):
        yield _unrouted({"errors": value["errors"]}, "errors of the account", number)


def _read_message(element: object, number: str, profiles: dict[str, dict[str, str]]) -> WebhookEvent:
    if not isinstance(element, dict):
        return _unrouted(element, "message is not an object", number)
    message_id = usable_id(element.get("id"))
    if message_id is None:
        return _unrouted(element, "message has no usable id", number)
    sender = sender_of(element)
    if not sender.aliases:
        return _unrouted(element, "message has no usable sender", number)
    profile = next((profiles[alias] for alias in (*sender.aliases, _ANYBODY) if alias in profiles), {})
    try:
        payload = write_json({"message": element, "profile": profile})
    except BadJson as error:
        return _unrouted(message_id, f"message {error}", number)
    if len(payload) > _MOST_ROUTED_CHARACTERS:
        return _unrouted(element, "message is too large", number)
    return WebhookEvent(JobKind.MESSAGE, payload, number, message_id, sender)


def _read_status(element: object, number: str) -> WebhookEvent:
    if not isinstance(element, dict):
        return _unrouted(element, "status is not an object", number)
    message_id, status = usable_id(element.get("id")), usable_id(element.get("status"))
    if message_id is None or status is None:
        return _unrouted(element, "status has no usable id or name", number)
    try:
        payload = write_json(element)
    except BadJson as error:
        return _unrouted(message_id, f"status {error}", number)
    if len(payload) > _MOST_ROUTED_CHARACTERS:
        return _unrouted(element, "status is too large", number)
    return WebhookEvent(JobKind.STATUS, payload, number, f"{message_id}:{status}")


def _profiles(contacts: object) -> dict[str, dict[str, str]]:
    """What `contacts[]` says about the senders, by alias.

    It may be absent, and the wa_id of the only one may differ from the message's `from`: that one is anybody's.
    """
    known = [c for c in contacts if isinstance(c, dict)] if isinstance(contacts, list) else []
    found: dict[str, dict[str, str]] = {}
    for contact in known:
        person = Sender(wa_id=usable_id(contact.get("wa_id")), bsuid=usable_id(contact.get("user_id")))
        profile = _profile(contact.get("profile"))
        for alias in (*person.aliases, *((_ANYBODY,) if len(known) == 1 else ())):
            found.setdefault(alias, profile)
    return found


def _profile(profile: object) -> dict[str, str]:
    if not isinstance(profile, dict):
        return {}
    return {
        name: text[:_MOST_PROFILE_CHARACTERS]
        for name in _PROFILE_FIELDS
        if isinstance(text := profile.get(name), str)
    }


def _unrouted(payload: object, reason: str, phone_number_id: str | None = None) -> WebhookEvent:
    try:
        text = write_json(payload)
    except BadJson as error:
        text, reason = "", f"{reason}; {error}"
    return WebhookEvent(JobKind.MESSAGE, text[:_MOST_PAYLOAD_CHARACTERS], phone_number_id, reason=reason)


def to_jobs(
    events: list[WebhookEvent], bots: dict[str, str], refused: dict[str, str], request_id: str
) -> list[NewJob]:
    """The jobs of a POST. `bots`: phone number id → bot id; `refused`: number → why its elements are not taken."""
    return [_to_job(event, bots, refused, request_id) for event in events]


def _to_job(event: WebhookEvent, bots: dict[str, str], refused: dict[str, str], request_id: str) -> NewJob:
    number = event.phone_number_id
    bot_id = bots.get(number) if number else None
    reason = event.reason or (refused.get(number) if number else None)
    if reason is not None or number is None:
        # A key of its own: what is not taken must never make a duplicate of the same element that will be (two
        # apps may be subscribed to a number, and only one of them signs with the secret that counts).
        content = f"{reason}|{number}|{event.event_id}|{event.payload}"
        digest = hashlib.sha256(content.encode()).hexdigest()[:32]
        owner = bot_id if event.reason is not None else None
        return NewJob(f"u:{digest}", event.kind, None, event.payload, request_id, owner, number, reason)
    job_id = f"{number}:{event.event_id}"
    if bot_id is None:
        why = UNKNOWN_NUMBER
        return NewJob(job_id, event.kind, None, event.payload, request_id, None, number, why)
    if event.kind is JobKind.STATUS or event.sender is None:
        lane = status_lane_for(number, event.event_id.rpartition(":")[0])
    else:
        lane = lane_for(Channel.WHATSAPP, contact_id_for(bot_id, event.sender.aliases[0]))
    return NewJob(job_id, event.kind, lane, event.payload, request_id, bot_id, number)
