"""Reading a WhatsApp message: every known shape, and whatever else somebody puts into one."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.contacts import Sender
from common.model.events import MessageKind
from common.model.jobs import Job, JobKind
from worker.inbound import read_message

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def job_of(element: dict[str, Any], profile: dict[str, Any] | None = None) -> Job:
    message = {"id": "wamid.1", "from": "491700000001", "timestamp": "1795348800", **element}
    payload = json.dumps({"message": message, "profile": profile or {}})
    return Job("n:wamid.1", JobKind.MESSAGE, "wa:1", payload, "r", NOW)


@pytest.mark.parametrize(
    ("element", "kind", "text", "button_id"),
    [
        ({"type": "text", "text": {"body": "hi 👋"}}, MessageKind.TEXT, "hi 👋", None),
        ({"type": "text", "text": {"body": ""}}, MessageKind.TEXT, "", None),
        ({"type": "text"}, MessageKind.TEXT, "", None),
        ({"type": "text", "text": {"body": None}}, MessageKind.TEXT, "", None),
        ({"type": "text", "text": "hi"}, MessageKind.TEXT, "", None),
        (
            {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "b", "title": "B"}}},
            MessageKind.BUTTON, "B", "b",
        ),
        (
            {"type": "interactive", "interactive": {"type": "list_reply", "list_reply": {"id": "r", "title": "Row"}}},
            MessageKind.BUTTON, "Row", "r",
        ),
        (
            {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"title": "B"}}},
            MessageKind.TEXT, "B", None,
        ),
        ({"type": "interactive", "interactive": {"type": "nfm_reply"}}, MessageKind.OTHER, "", None),
        ({"type": "interactive", "interactive": {"type": "call_permission_reply"}}, MessageKind.PASSIVE, "", None),
        ({"type": "button", "button": {"payload": "Stop", "text": "Stop!"}}, MessageKind.BUTTON, "Stop!", "Stop"),
        ({"type": "image", "image": {"id": "1", "caption": "my cat"}}, MessageKind.MEDIA, "my cat", None),
        ({"type": "audio", "audio": {"voice": True}}, MessageKind.MEDIA, "", None),
        ({"type": "sticker"}, MessageKind.MEDIA, "", None),
        ({"type": "location", "location": {"latitude": 1, "longitude": 2}}, MessageKind.OTHER, "", None),
        ({"type": "order"}, MessageKind.OTHER, "", None),
        ({"type": "reaction", "reaction": {"message_id": "wamid.0"}}, MessageKind.PASSIVE, "", None),
        ({"type": "system", "system": {"type": "user_changed_number"}}, MessageKind.PASSIVE, "", None),
        ({"type": "unsupported", "errors": []}, MessageKind.PASSIVE, "", None),
        ({"type": "edit"}, MessageKind.PASSIVE, "", None),
        ({"type": "hologram"}, MessageKind.PASSIVE, "", None),
        ({"type": 7}, MessageKind.PASSIVE, "", None),
        ({}, MessageKind.PASSIVE, "", None),
        ({"type": "text", "text": {"body": "hi"}, "group_id": "g"}, MessageKind.PASSIVE, "", None),
    ],
)  # fmt: skip
def test_every_type_is_read(
    element: dict[str, Any], kind: MessageKind, text: str, button_id: str | None
) -> None:
    message = read_message(job_of(element), NOW).message
    assert (message.kind, message.text, message.button_id) == (kind, text, button_id)


def test_sender_and_name() -> None:
    inbound = read_message(job_of({"type": "text", "from_user_id": "US.1"}, {"name": "Ada 🌻"}), NOW)
    assert inbound.sender == Sender(wa_id="491700000001", bsuid="US.1")
    assert inbound.profile_name == "Ada 🌻"


def test_a_system_message_tells_of_further_ids() -> None:
    system = {"type": "user_changed_number", "wa_id": "4917999", "user_id": "DE.2"}
    inbound = read_message(job_of({"type": "system", "system": system}), NOW)
    assert inbound.other_aliases == ("bsuid:DE.2", "wa:4917999")


@pytest.mark.parametrize(
    ("timestamp", "sent_at"),
    [
        ("1795348740", NOW - timedelta(minutes=1)),
        (1795348740, NOW - timedelta(minutes=1)),
        ("1795359000", NOW),  # from the future: no later than now
        ("0", NOW),
        ("-1", NOW),
        ("soon", NOW),
        (None, NOW),
        ({"a": 1}, NOW),
        ("9" * 40, NOW),
    ],
)
def test_time_stamps(timestamp: object, sent_at: datetime) -> None:
    assert read_message(job_of({"type": "text", "timestamp": timestamp}), NOW).message.sent_at == sent_at


def test_long_and_unstorable_texts() -> None:
    message = read_message(
        job_of({"type": "text", "text": {"body": "\ud83d\x00" + "x" * 100_000}}), NOW
    ).message
    assert message.text.startswith("\ufffdx")
    assert len(message.text) == 65_536


@given(
    element=st.dictionaries(
        st.sampled_from(
            ["type", "text", "interactive", "button", "image", "system", "timestamp", "group_id", "errors"]
        ),
        JSON | st.sampled_from(["text", "interactive", "button", "image", "system"]),
    ),
    profile=st.dictionaries(st.sampled_from(["name", "username"]), JSON),
)
def test_nothing_raises_and_all_can_be_stored(element: dict[str, Any], profile: dict[str, Any]) -> None:
    inbound = read_message(job_of(element, profile), NOW)
    (inbound.message.text + (inbound.message.button_id or "") + inbound.profile_name).encode()
    assert inbound.message.sent_at <= NOW
