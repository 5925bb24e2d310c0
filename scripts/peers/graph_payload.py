"""Reads the body of a send as strictly as Meta does: every limit of the Cloud API that concerns text and buttons."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from scripts.peers.graph_errors import GraphError

MAX_TEXT = 4096
MAX_BUTTONS = 3
MAX_BUTTON_TITLE = 20
MAX_BUTTON_ID = 256
MAX_INTERACTIVE_BODY = 1024
MAX_HEADER = 60
MAX_FOOTER = 60
MAX_OPAQUE = 512
MIN_DIGITS, MAX_DIGITS = 7, 15
TYPES_OF_META = (
    "audio", "button", "contacts", "document", "image", "interactive", "location", "reaction", "sticker",
    "template", "text", "video",
)  # fmt: skip
TOP_KEYS = frozenset(
    {"messaging_product", "recipient_type", "to", "recipient", "type", "context", "biz_opaque_callback_data"}
)
_BSUID = re.compile(r"[A-Z]{2}\.(ENT\.)?[0-9A-Za-z]{1,128}")
_PHONE = re.compile(r"\+[0-9 ()\-]+")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A send that Meta would take: the recipient by phone (`wa_id`) or by business-scoped id (`bsuid`)."""

    given_to: str
    wa_id: str | None
    bsuid: str | None
    kind: str
    body: str
    buttons: tuple[tuple[str, str], ...]
    opaque: str | None
    replies_to: str | None


def read_send(payload: dict[str, Any]) -> Outgoing:
    """What is to be sent to whom; raises GraphError for everything that Meta refuses."""
    _product(payload)
    recipient_type = payload.get("recipient_type", "individual")
    if recipient_type != "individual":
        raise GraphError(100, "Param recipient_type must be one of {INDIVIDUAL}.")
    given_to, wa_id, bsuid = _recipient(payload)
    kind = payload.get("type", "text")
    if not isinstance(kind, str) or kind not in TYPES_OF_META:
        names = ", ".join(name.upper() for name in TYPES_OF_META)
        raise GraphError(100, message=f"(#100) Param type must be one of {{{names}}}.")
    if kind not in {"text", "interactive"}:
        raise GraphError(131051, f"The local WhatsApp peer takes text and interactive messages, not {kind}.")
    _only(payload, TOP_KEYS | {kind}, "message")
    content = _object(payload, kind, kind)
    body, buttons = (_text(content), ()) if kind == "text" else _interactive(content)
    return Outgoing(given_to, wa_id, bsuid, kind, body, buttons, _opaque(payload), _context(payload))


def read_mark(payload: dict[str, Any]) -> tuple[str, bool]:
    """Of a `status: read` body: the inbound message's id, and whether to show that we are typing."""
    _product(payload)
    _only(payload, frozenset({"messaging_product", "status", "message_id", "typing_indicator"}), "message")
    if payload["status"] != "read":
        raise GraphError(100, "Param status must be one of {READ}.")
    message_id = payload.get("message_id")
    if message_id is None:
        raise GraphError(100, message="(#100) The parameter message_id is required.")
    if not isinstance(message_id, str) or not message_id.startswith("wamid."):
        raise GraphError(131009, "Param message_id is no id of a message that was received.")
    if "typing_indicator" not in payload:
        return message_id, False
    if payload["typing_indicator"] != {"type": "text"}:
        raise GraphError(100, "Param typing_indicator['type'] must be one of {TEXT}.")
    return message_id, True


def units(text: str) -> int:
    """Length in UTF-16 code units: the most cautious reading of Meta's "characters"."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _product(payload: dict[str, Any]) -> None:
    if "messaging_product" not in payload:
        raise GraphError(100, message="(#100) The parameter messaging_product is required.")
    if payload["messaging_product"] != "whatsapp":
        raise GraphError(100, message="(#100) Param messaging_product must be one of {WHATSAPP}.")


def _recipient(payload: dict[str, Any]) -> tuple[str, str | None, str | None]:
    given_to, recipient = payload.get("to"), payload.get("recipient")
    if given_to is not None:
        if not isinstance(given_to, str):
            raise GraphError(100, message="(#100) Param to must be a string.")
        if not _PHONE.fullmatch(given_to):
            details = (
                "Param to must be a phone number with + and country code: without it Meta may guess one."
            )
            raise GraphError(100, details)
        digits = "".join(sign for sign in given_to if sign.isdigit())
        if not MIN_DIGITS <= len(digits) <= MAX_DIGITS or digits.startswith("0"):
            raise GraphError(131009, "Param to is no valid phone number.")
        return given_to, digits, None
    if recipient is None:
        raise GraphError(100, message="(#100) The parameter to is required.")
    if not isinstance(recipient, str) or not _BSUID.fullmatch(recipient):
        raise GraphError(100, "Param recipient is no business-scoped user id.")
    return recipient, None, recipient


def _text(content: dict[str, Any]) -> str:
    _only(content, frozenset({"body", "preview_url"}), "text")
    if not isinstance(content.get("preview_url", False), bool):
        raise GraphError(100, message="(#100) Param text['preview_url'] must be a boolean.")
    body = _string(content, "body", "text['body']", missing=131008)
    if not body.strip():
        raise GraphError(131008, "Parameter text['body'] must not be empty.")
    if units(body) > MAX_TEXT:
        raise GraphError(100, f"Param text['body'] must be at most {MAX_TEXT} characters long.")
    return body


def _interactive(content: dict[str, Any]) -> tuple[str, tuple[tuple[str, str], ...]]:
    kind = _string(content, "type", "interactive['type']", missing=131008)
    if kind != "button":
        raise GraphError(
            131051, f"The local WhatsApp peer takes interactive messages of type button, not {kind}."
        )
    _only(content, frozenset({"type", "header", "body", "footer", "action"}), "interactive")
    body = _part(content, "body", MAX_INTERACTIVE_BODY)
    if "footer" in content:
        _part(content, "footer", MAX_FOOTER)
    if "header" in content:
        _header(_object(content, "header", "interactive['header']"))
    action = _object(content, "action", "interactive['action']")
    _only(action, frozenset({"buttons"}), "interactive['action']")
    return body, _buttons(action)


def _part(content: dict[str, Any], name: str, longest: int) -> str:
    part = _object(content, name, f"interactive['{name}']")
    _only(part, frozenset({"text"}), f"interactive['{name}']")
    text = _string(part, "text", f"interactive['{name}']['text']", missing=131008)
    _length(text, f"{name.capitalize()} text", longest)
    return text


def _header(header: dict[str, Any]) -> None:
    _only(header, frozenset({"type", "text"}), "interactive['header']")
    if header.get("type") != "text":
        raise GraphError(131051, "The local WhatsApp peer takes headers of type text.")
    _length(
        _string(header, "text", "interactive['header']['text']", missing=131008), "Header text", MAX_HEADER
    )


def _buttons(action: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    given = action.get("buttons")
    if given is None:
        raise GraphError(131008, "Parameter interactive['action']['buttons'] is required.")
    if not isinstance(given, list):
        raise GraphError(100, message="(#100) Param interactive['action']['buttons'] must be an array.")
    if not 1 <= len(given) <= MAX_BUTTONS:
        details = f"Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: {MAX_BUTTONS}"
        raise GraphError(131009, details)
    buttons = tuple(
        _button(item, f"interactive['action']['buttons'][{place}]") for place, item in enumerate(given)
    )
    if len({button_id for button_id, _ in buttons}) < len(buttons):
        raise GraphError(131009, "Duplicate button id: every button needs an id of its own.")
    if len({title.strip() for _, title in buttons}) < len(buttons):
        raise GraphError(131009, "Duplicate button title: every button needs a title of its own.")
    return buttons


def _button(item: object, where: str) -> tuple[str, str]:
    if not isinstance(item, dict):
        raise GraphError(100, message=f"(#100) Param {where} must be a JSON object.")
    _only(item, frozenset({"type", "reply"}), where)
    if item.get("type") != "reply":
        raise GraphError(100, message=f"(#100) Param {where}['type'] must be one of {{REPLY}}.")
    reply = _object(item, "reply", f"{where}['reply']")
    _only(reply, frozenset({"id", "title"}), f"{where}['reply']")
    button_id = _string(reply, "id", f"{where}['reply']['id']", missing=131008)
    title = _string(reply, "title", f"{where}['reply']['title']", missing=131008)
    _length(title, "Button title", MAX_BUTTON_TITLE)
    _length(button_id, "Button id", MAX_BUTTON_ID)
    if button_id != button_id.strip():
        raise GraphError(131009, "Button id must not begin or end with a space.")
    return button_id, title


def _length(text: str, name: str, longest: int) -> None:
    if not text.strip() or units(text) > longest:
        raise GraphError(131009, f"{name} length invalid. Min length: 1, Max length: {longest}")


def _opaque(payload: dict[str, Any]) -> str | None:
    if "biz_opaque_callback_data" not in payload:
        return None
    opaque = _string(payload, "biz_opaque_callback_data", "biz_opaque_callback_data", missing=100)
    if units(opaque) > MAX_OPAQUE:
        raise GraphError(100, f"Param biz_opaque_callback_data must be at most {MAX_OPAQUE} characters long.")
    return opaque


def _context(payload: dict[str, Any]) -> str | None:
    if "context" not in payload:
        return None
    context = _object(payload, "context", "context")
    _only(context, frozenset({"message_id"}), "context")
    message_id = _string(context, "message_id", "context['message_id']", missing=131008)
    if not message_id.startswith("wamid."):
        raise GraphError(131009, "Param context['message_id'] is no message id.")
    return message_id


def _object(holder: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    value = holder.get(name)
    if value is None:
        raise GraphError(131008, f"Parameter {where} is required.")
    if not isinstance(value, dict):
        raise GraphError(100, message=f"(#100) Param {where} must be a JSON object.")
    return value


def _string(holder: dict[str, Any], name: str, where: str, *, missing: int) -> str:
    value = holder.get(name)
    if value is None:
        raise GraphError(missing, f"Parameter {where} is required.")
    if not isinstance(value, str):
        raise GraphError(100, message=f"(#100) Param {where} must be a string.")
    if not value.isascii() and any("\ud800" <= sign <= "\udfff" for sign in value):
        raise GraphError(131009, f"Param {where} is not valid Unicode.")
    return value


def _only(holder: dict[str, Any], allowed: frozenset[str], where: str) -> None:
    for name in holder.keys() - allowed:
        raise GraphError(100, message=f'(#100) Unexpected key "{name}" on param "{where}".')
