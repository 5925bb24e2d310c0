"""A message as the body of a Graph call, or the reason why Meta would refuse it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from common.gateways.whatsapp.results import Recipient
    from common.model.turn_records import OutboundMessage, ReplyButton

# Meta's limits (whatsapp.md 2), in UTF-16 units: Meta does not name the unit, and this is the strictest one.
MAX_TEXT = 4096
MAX_BODY_WITH_BUTTONS = 1024
MAX_BUTTONS = 3
MAX_BUTTON_TITLE = 20
MAX_BUTTON_ID = 256
MAX_ATTEMPT_ID = 512

_WA_ID = re.compile(r"[1-9][0-9]{4,14}")
_BSUID = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[0-9A-Za-z]{1,128}")
_WAMID_LENGTH = 512

# One encoder for all: `json.dumps` with options of its own would build one for each message.
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class IllegalMessage(Exception):  # noqa: N818 - what the message is
    """Meta would refuse this message; the text says why, without its contents."""


def messages_payload(recipient: Recipient, message: OutboundMessage, attempt_id: str) -> bytes:
    """The JSON body of `POST /{phone_number_id}/messages`. Raises IllegalMessage."""
    if not 0 < len(attempt_id) <= MAX_ATTEMPT_ID:
        raise IllegalMessage("the attempt id must have 1–512 characters")
    content = _buttons(message) if message.buttons else _text(message.text)
    body = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        **_address(recipient),
        **content,
        "biz_opaque_callback_data": attempt_id,
    }
    return _to_bytes(body)


def read_payload(wamid: str, *, typing: bool) -> bytes:
    """The body that marks an inbound message as read, and shows that we are typing. Raises IllegalMessage."""
    if not 0 < len(wamid) <= _WAMID_LENGTH:
        raise IllegalMessage("no message id")
    body: dict[str, Any] = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}
    if typing:
        body["typing_indicator"] = {"type": "text"}
    return _to_bytes(body)


def utf16_units(text: str) -> int:
    """Length as JavaScript and Java count it: an emoji is two."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _address(recipient: Recipient) -> dict[str, str]:
    if recipient.wa_id:
        if not _WA_ID.fullmatch(recipient.wa_id):
            raise IllegalMessage("the recipient's number is not 5–15 digits")
        return {"to": "+" + recipient.wa_id}  # without the plus Meta may put our own country code in front
    if recipient.bsuid:
        if not _BSUID.fullmatch(recipient.bsuid):
            raise IllegalMessage("the recipient's business-scoped id is malformed")
        return {"recipient": recipient.bsuid}
    raise IllegalMessage("the recipient has neither a number nor a business-scoped id")


def _text(text: str) -> dict[str, Any]:
    _check_length("the text", text, MAX_TEXT)
    preview = "https://" in text or "http://" in text
    return {"type": "text", "text": {"body": text, "preview_url": preview}}


def _buttons(message: OutboundMessage) -> dict[str, Any]:
    _check_length("the text above buttons", message.text, MAX_BODY_WITH_BUTTONS)
    buttons = message.buttons
    if len(buttons) > MAX_BUTTONS:
        raise IllegalMessage(f"{len(buttons)} buttons, at most {MAX_BUTTONS} are allowed")
    for button in buttons:
        _check_button(button)
    if len({button.title for button in buttons}) < len(buttons):
        raise IllegalMessage("two buttons have the same title")
    if len({button.button_id for button in buttons}) < len(buttons):
        raise IllegalMessage("two buttons have the same id")
    replies = [
        {"type": "reply", "reply": {"id": button.button_id, "title": button.title}} for button in buttons
    ]
    interactive = {"type": "button", "body": {"text": message.text}, "action": {"buttons": replies}}
    return {"type": "interactive", "interactive": interactive}


def _check_button(button: ReplyButton) -> None:
    _check_length("a button's title", button.title, MAX_BUTTON_TITLE)
    _check_length("a button's id", button.button_id, MAX_BUTTON_ID)
    if button.button_id != button.button_id.strip():
        raise IllegalMessage("a button's id begins or ends with a space")


def _check_length(what: str, text: str, limit: int) -> None:
    if not text or text.isspace():
        raise IllegalMessage(f"{what} is blank")
    # At most two units a character: only texts near the limit need counting.
    if len(text) * 2 > limit and (units := utf16_units(text)) > limit:
        raise IllegalMessage(f"{what} has {units} characters, at most {limit} are allowed")


def _to_bytes(body: dict[str, Any]) -> bytes:
    try:
        return _encode(body).encode()
    except UnicodeEncodeError as error:
        raise IllegalMessage("the message contains half of a surrogate pair") from error
