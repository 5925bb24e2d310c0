"""Bodies of Graph calls: Meta's limits, and nothing else, decide."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.gateways.whatsapp.payload import IllegalMessage, messages_payload, read_payload
from common.gateways.whatsapp.results import Recipient
from common.model.turn_records import OutboundMessage, ReplyButton

TO = Recipient(wa_id="16505551234")


def build(
    text: str = "Hi", *buttons: ReplyButton, to: Recipient = TO, attempt_id: str = "a"
) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(messages_payload(to, OutboundMessage("n", text, buttons), attempt_id))
    return body


def button(title: str = "Yes", button_id: str = "v:n:1") -> ReplyButton:
    return ReplyButton(button_id, title)


def test_buttons() -> None:
    assert build("Sure?", button(), button("No", "v:n:2"), attempt_id="01X") == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+16505551234",
        "type": "interactive",
        "interactive": {
            "type": "button",
            "body": {"text": "Sure?"},
            "action": {
                "buttons": [
                    {"type": "reply", "reply": {"id": "v:n:1", "title": "Yes"}},
                    {"type": "reply", "reply": {"id": "v:n:2", "title": "No"}},
                ]
            },
        },
        "biz_opaque_callback_data": "01X",
    }


def test_addresses() -> None:
    both = Recipient(wa_id="16505551234", bsuid="US.13491208655302741918")
    assert build(to=both)["to"] == "+16505551234"
    assert "recipient" not in build(to=both)
    only = build(to=Recipient(bsuid="DE.ENT.Ab9"))
    assert only["recipient"] == "DE.ENT.Ab9"
    assert "to" not in only


def test_links_are_previewed() -> None:
    assert build("see https://a.test")["text"]["preview_url"] is True
    assert build("see a.test")["text"]["preview_url"] is False


@pytest.mark.parametrize(
    ("text", "buttons"),
    [
        ("x" * 4096, ()),
        ("😀" * 2048, ()),
        ("ä" * 4096, ()),
        ("x" * 1024, (button(),)),
        ("x", (button("t" * 20, "i" * 256), button("😀" * 10, "2"), button("c", "3"))),
        ("\u200b", ()),
    ],
)
def test_at_the_limit(text: str, buttons: tuple[ReplyButton, ...]) -> None:
    body = build(text, *buttons)
    assert body["biz_opaque_callback_data"] == "a"


@pytest.mark.parametrize(
    ("text", "buttons"),
    [
        ("", ()),
        (" \n\u00a0\u2003", ()),
        ("x" * 4097, ()),
        ("😀" * 2048 + "x", ()),
        ("x" * 1025, (button(),)),
        ("", (button(),)),
        ("x", tuple(button(str(n), str(n)) for n in range(4))),
        ("x", (button("t" * 21),)),
        ("x", (button("😀" * 10 + "x"),)),
        ("x", (button(" "),)),
        ("x", (button("a", "1"), button("a", "2"))),
        ("x", (button("a", "1"), button("b", "1"))),
        ("x", (button("a", ""),)),
        ("x", (button("a", "i" * 257),)),
        ("x", (button("a", " 1"),)),
        ("x", (button("a", "1\n"),)),
        ("\ud800", ()),
    ],
)
def test_beyond_the_limit(text: str, buttons: tuple[ReplyButton, ...]) -> None:
    with pytest.raises(IllegalMessage):
        build(text, *buttons)


@pytest.mark.parametrize(
    "to",
    [
        Recipient(),
        Recipient(wa_id=""),
        Recipient(wa_id="+16505551234"),
        Recipient(wa_id="0650555123"),
        Recipient(wa_id="1234"),
        Recipient(wa_id="1" * 16),
        Recipient(wa_id="١٦٥٠٥٥٥"),
        Recipient(bsuid="us.123"),
        Recipient(bsuid="US."),
        Recipient(bsuid="US.1\n"),
    ],
)
def test_addresses_that_are_none(to: Recipient) -> None:
    with pytest.raises(IllegalMessage):
        build(to=to)


@pytest.mark.parametrize("attempt_id", ["", "x" * 513])
def test_attempt_ids_that_are_none(attempt_id: str) -> None:
    with pytest.raises(IllegalMessage):
        build(attempt_id=attempt_id)


def test_the_reason_does_not_repeat_the_text() -> None:
    with pytest.raises(IllegalMessage, match="the text has 4100 characters, at most 4096 are allowed"):
        build("secret" * 683 + "xx")


@given(
    st.text(),
    st.lists(st.builds(ReplyButton, st.text(max_size=300), st.text(max_size=25)), max_size=4),
    st.builds(Recipient, st.none() | st.text(), st.none() | st.text()),
)
def test_any_message_is_built_or_illegal(text: str, buttons: list[ReplyButton], to: Recipient) -> None:
    try:
        body = build(text, *buttons, to=to if to.wa_id or to.bsuid else TO)
    except IllegalMessage:
        return
    shown = body["interactive"]["body"]["text"] if buttons else body["text"]["body"]
    assert shown == text
    assert 0 < len(shown.encode("utf-16-le")) // 2 <= (1024 if buttons else 4096)


def test_read() -> None:
    assert json.loads(read_payload("wamid.1", typing=False)) == {
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": "wamid.1",
    }
    with pytest.raises(IllegalMessage):
        read_payload("", typing=True)
