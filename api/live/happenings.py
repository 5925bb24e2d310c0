"""What a turn wrote, as events for somebody who watches. Pure: the same documents give the same events and ids."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from api.history.masking import mask_url, mask_value
from api.live.moments import moment_text
from common.store.database import Document

# How a person hears of a message that reached no flow.
_NOTES = {
    "bot_paused": "The bot is paused: the message was only recorded.",
    "rate_limited": "Too many messages in a minute: this one was only recorded.",
    "at_breakpoint": "The flow stands at a breakpoint: the message is kept until it goes on.",
    "too_many_at_breakpoint": "Too many messages at a breakpoint: this one was only recorded.",
    "during_delay": "A delay is under way: the message was only recorded.",
    "during_call": "A call is under way: the message was only recorded.",
    "passive": "Such a message never moves a flow.",
    "no_live_flow": "The bot has no flow for it.",
}


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an event stands: the turn, and its place within the turn. An event's id is `turn:place`."""

    turn: int
    place: int

    def __str__(self) -> str:
        return f"{self.turn}:{self.place}"


def read_place(text: str | None) -> Place | None:
    """The place that an event id names; None where it names none."""
    turn, _, place = (text or "").partition(":")
    if len(turn) > 12 or len(place) > 12 or not turn.isascii() or not turn.isdecimal():  # noqa: PLR2004 - no id of ours is longer
        return None
    if not place:
        return Place(int(turn), 0)
    return Place(int(turn), int(place)) if place.isascii() and place.isdecimal() else None


@dataclass(frozen=True, slots=True)
class Happening:
    """One event of a stream."""

    place: Place
    name: str
    data: dict[str, Any]


def of_test(steps: Iterable[Document], messages: Iterable[Document]) -> list[Happening]:
    """All that happened in a test's turns: what was said, each step with its variables and notes, in order."""
    said = {
        turn: list(group)
        for turn, group in groupby(messages, key=lambda message: message["conversationTurn"])
    }
    ran = {turn: list(group) for turn, group in groupby(steps, key=lambda step: step["conversationTurn"])}
    found: list[Happening] = []
    for turn in sorted({*said, *ran}):
        events = _turn(ran.get(turn, []), said.get(turn, []))
        found += [Happening(Place(turn, place), name, data) for place, (name, data) in enumerate(events, 1)]
    return found


def _turn(steps: list[Document], messages: list[Document]) -> Iterator[tuple[str, dict[str, Any]]]:
    for message in messages:
        if message["direction"] == "IN":
            yield "message", _message(message)
    said = _by_step(steps, [message for message in messages if message["direction"] == "OUT"])
    for place, step in enumerate(steps):
        yield "step", _step(step)
        for message in said.pop(place, ()):
            yield "message", _message(message)
        if "outputVariables" in step:
            changed = json.loads(step["outputVariables"])
            yield "variables", {**_where(step), "set": changed, "deleted": step.get("deletedVariables", [])}
        for entry in _log(step):
            yield "log", {**_where(step), **entry}
    for messages_of_no_step in said.values():
        for message in messages_of_no_step:
            yield "message", _message(message)


def _by_step(steps: list[Document], messages: list[Document]) -> dict[int, list[Document]]:
    """The bot's messages by the step that said them: backwards, each at the last step of its node that it can be."""
    said: dict[int, list[Document]] = {}
    last = len(steps) - 1
    for message in reversed(messages):
        place = next((n for n in range(last, -1, -1) if steps[n]["nodeId"] == message["nodeId"]), None)
        if place is not None:
            last = place
        said.setdefault(last, []).insert(0, message)
    return said


def of_session(steps: Iterable[Document]) -> list[Happening]:
    """The path that a real conversation took: no words of the customer's, and no values."""
    found: list[Happening] = []
    for turn, group in groupby(steps, key=lambda step: step["turn"]):
        for place, step in enumerate(group, 1):
            shown = {key: _step(step)[key] for key in _PATH}
            found.append(Happening(Place(turn, place), "step", shown))
    return found


_PATH = (
    "sessionId", "turn", "nodeId", "nodeType", "handle", "nextNodeId", "durationMs", "at", "error",
)  # fmt: skip


def _where(step: Document) -> dict[str, Any]:
    return {"sessionId": step["sessionId"], "nodeId": step["nodeId"], "at": moment_text(step["executedAt"])}


def _step(step: Document) -> dict[str, Any]:
    return {
        "sessionId": step["sessionId"],
        "turn": step["turn"],
        "nodeId": step["nodeId"],
        "nodeType": step["nodeType"],
        "handle": step["handle"],
        "nextNodeId": step["nextNodeId"],
        "durationMs": step["executionDuration"],
        "at": moment_text(step["executedAt"]),
        "error": step.get("error"),
        "detail": _detail(step),
    }


def _detail(step: Document) -> dict[str, Any]:
    """Why the step went as it went, without the secrets of a call."""
    detail: dict[str, Any] = mask_value(json.loads(step["detail"])) if "detail" in step else {}
    asked = detail.get("request")
    if isinstance(asked, dict) and isinstance(asked.get("url"), str):
        asked["url"] = mask_url(asked["url"])
    return detail


def _log(step: Document) -> Iterator[dict[str, Any]]:
    for note in step.get("notes", ()):
        yield {"level": "INFO", "message": note}
    if step.get("error") is not None:
        yield {"level": "ERROR", "message": step.get("errorMessage") or step["error"], "code": step["error"]}


def _message(message: Document) -> dict[str, Any]:
    note = message.get("note")
    return {
        "id": message["_id"],
        "sessionId": message["sessionId"],
        "direction": message["direction"],
        "type": message["messageType"],
        "text": message["messageContent"],
        "buttons": [
            {"buttonId": button["buttonId"], "title": button["title"]}
            for button in message.get("buttons", ())
        ],
        "buttonId": message.get("buttonId"),
        "whatsappType": message.get("whatsappType"),
        "nodeId": message.get("nodeId"),
        "status": message["status"],
        "error": message.get("error"),
        "note": note,
        "noteText": _NOTES.get(note) if note else None,
        "at": moment_text(message["sentAt"]),
    }
