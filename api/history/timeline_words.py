"""A timeline's entries as lines of a document."""

from __future__ import annotations

import json
from typing import Any, Final

from common.store.database import Document

_MOST_CHARACTERS: Final = 600
_EVENTS: Final = {
    "MESSAGE": "The customer wrote",
    "TIMER": "A time had come",
    "ANSWER": "A call was answered",
    "CONTROL": "A person intervened",
}
_STATES: Final = (("acceptedAt", "accepted"), ("deliveredAt", "delivered"), ("readAt", "read"))


def line_of(entry: Document) -> tuple[str, str]:
    """What kind of thing it is, and what it was."""
    match entry["kind"]:
        case "EVENT":
            return "Event", cut(_event(entry["event"]))
        case "MESSAGE":
            message = entry["message"]
            return ("Customer" if message["direction"] == "IN" else "Bot"), cut(_message(message))
        case "CALL":
            return "Call", cut(_call(entry["call"]))
        case _:
            return "Step", cut(_step(entry["step"]))


def cut(text: str) -> str:
    """A long text by its beginning, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _MOST_CHARACTERS else f"{line[: _MOST_CHARACTERS - 1]}…"


def _event(event: Document | None) -> str:
    if event is None:
        return "Not known any more"
    words = _EVENTS.get(event["kind"]) or str(event["kind"])
    if event["kind"] != "CONTROL":
        return words
    return " ".join(filter(None, [f"{words}: {event['action']}", event["why"]]))


def _message(message: Document) -> str:
    parts = [message["messageContent"] or f"[{message.get('whatsappType') or message['messageType']}]"]
    parts += [f"[{button['title']}]" for button in message.get("buttons") or ()]
    if message["direction"] == "OUT":
        states = [f"{word} {_clock(message[name])}" for name, word in _STATES if message.get(name)]
        parts.append(f"({', '.join([message['status'].lower(), *states])})")
        if message["error"]:
            parts.append(f"{message['error']['message']} ({message['error']['code']})")
    if message.get("note"):
        parts.append(f"({message['noteText'] or message['note']})")
    return " ".join(parts)


def _step(step: Document) -> str:
    parts = [f"{step['nodeLabel']} ({step['nodeType']})"]
    if step["handle"] is not None:
        parts.append(f"left by {step['handle']} to {step['nextNodeId'] or 'nowhere'}")
    if step["outputs"]:
        parts.append(", ".join(f"{name} = {_value(value)}" for name, value in step["outputs"].items()))
    parts += step["notes"]
    if step["error"]:
        parts.append(f"Error: {step['error']['message'] or step['error']['code']}")
    return "; ".join(parts)


def _call(call: Document) -> str:
    http, chat = call["http"], call["chat"]
    asked = f"{http['method']} {http['url']}" if http else chat["model"]
    parts = [f"{call['nodeLabel']}: {asked}", call["state"].lower()]
    if http and http["status"] is not None:
        parts.append(f"status {http['status']}")
    if call["durationMs"] is not None:
        parts.append(f"{call['durationMs']:.0f} ms")
    if chat and chat["promptTokens"] is not None:
        parts.append(f"{chat['promptTokens']} + {chat['completionTokens']} tokens")
    if chat and chat["costUsd"] is not None:
        parts.append(f"about ${chat['costUsd']:.4f}")
    if call["error"]:
        parts.append(call["error"]["message"])
    return ", ".join(parts)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _clock(at: Any) -> str:
    return f"{at:%H:%M:%S}"
