"""A session as one line of time: what happened, what ran, what was said and what became of it, merged in order.

A page holds whole turns. Messages that began no turn (they came while a person had taken over, say) stand where they
came in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from api.history.calls import calls_of
from api.history.record import SessionRecord
from api.history.steps import shown_steps
from api.history.why import error_of
from common.store.database import Document
from common.store.paging import BadCursor, Page

MOST_STEPS: Final = 5_000  # of one page
MOST_MESSAGES: Final = 2_000
# Notes of messages that began no turn.
UNLOGGED: Final = frozenset({"passive", "bot_paused", "rate_limited", "no_live_flow"})
_DIGITS: Final = 9


def timeline_page(record: SessionRecord, *, turns: int, cursor: str | None) -> Page:
    """So many turns with all that belongs to them. Raises BadCursor."""
    after = _read_cursor(cursor)
    begun = record.store.execution_logs.beginnings(record.session_id, after_turn=after, most=turns + 1)
    span = _Span(begun[:turns], begun[turns] if len(begun) > turns else None, is_first=cursor is None)
    steps: list[Document] = []
    if span.turns:
        steps = record.store.execution_logs.between(
            record.session_id, span.turns[0]["turn"], span.turns[-1]["turn"], most=MOST_STEPS
        )
    said = record.store.transcripts.between(record.session, span.since, span.until, most=MOST_MESSAGES)
    entries = _merged(record, steps, [message for message in said if span.holds(message)])
    return Page(entries, str(span.turns[-1]["turn"]) if span.following else None)


@dataclass(frozen=True, slots=True)
class _Span:
    """The turns of a page, as {turn, executedAt, jobId}, and the one behind them."""

    turns: list[Document]
    following: Document | None
    is_first: bool

    @property
    def since(self) -> datetime | None:
        return self.turns[0]["executedAt"] if self.turns and not self.is_first else None

    @property
    def until(self) -> datetime | None:
        return self.following["executedAt"] if self.following else None

    def holds(self, message: Document) -> bool:
        """Whether a message of this span of time belongs to one of these turns, or to none that is known."""
        turn = _turn_of(message)
        if turn is not None:
            is_behind = self.following is not None and turn >= self.following["turn"]
            return not is_behind and (self.is_first or turn >= self.turns[0]["turn"])
        if any(begun.get("jobId") == message["_id"] for begun in self.turns):
            return True
        if message.get("note") in UNLOGGED:
            return self.until is None or bool(message["createdAt"] < self.until)
        # It began a turn, on another page, or one whose log is not kept any more.
        return self.is_first and (not self.turns or message["createdAt"] < self.turns[0]["executedAt"])


def _read_cursor(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not cursor.isascii() or not cursor.isdecimal() or len(cursor) > _DIGITS:
        raise BadCursor("This is no cursor of this list.")
    return int(cursor)


def _turn_of(message: Document) -> int | None:
    """The turn that wrote a message of the bot's: it stands in its id."""
    if message["direction"] != "OUT":
        return None
    parts = str(message["_id"]).rsplit(":", 2)
    return int(parts[1]) if len(parts) == 3 and parts[1].isdecimal() else None  # noqa: PLR2004 - session, turn, place


def _merged(record: SessionRecord, steps: list[Document], messages: list[Document]) -> list[Document]:
    calls = calls_of(record, steps)
    by_turn: dict[int | None, list[Document]] = {}
    alone: list[Document] = []
    jobs = {step["jobId"]: step["turn"] for step in steps if step.get("jobId")}
    logged = {step["turn"] for step in steps}
    for message in messages:
        turn = _turn_of(message)
        turn = jobs.get(message["_id"]) if turn is None else turn
        (by_turn.setdefault(turn, []) if turn in logged else alone).append(message)
    shown = shown_steps(record, steps)
    blocks: list[tuple[datetime, int, list[Document]]] = []
    for turn, of_turn in groupby(shown, key=itemgetter("turn")):
        entries = _turn(list(of_turn), by_turn.get(turn, []), calls.get(turn))
        blocks.append((entries[0]["at"], 1, entries))
    # What began no turn comes before a turn of the same moment: it was there when that was computed.
    blocks += [(message["createdAt"], 0, [_message(message)]) for message in alone]
    blocks.sort(key=lambda block: block[:2])
    return [entry for _, _, entries in blocks for entry in entries]


def _turn(steps: list[Document], messages: list[Document], call: Document | None) -> list[Document]:
    """The event, what the customer said, then each step with what it said, then the call that it made."""
    heard = [message for message in messages if message["direction"] == "IN"]
    said = [message for message in messages if message["direction"] == "OUT"]
    entries = [_entry("EVENT", steps[0]["at"], steps[0]["turn"], event=steps[0]["event"])]
    entries += [_message(message, steps[0]["turn"]) for message in heard]
    for step in steps:
        entries.append(_entry("STEP", step["at"], step["turn"], step={**step, "event": None}))
        entries += [_message(message, step["turn"]) for message in said[: step["sent"]]]
        said = said[step["sent"] :]
    entries += [_message(message, steps[0]["turn"]) for message in said]
    if call is not None:
        entries.append(_entry("CALL", call["askedAt"], steps[0]["turn"], call=call))
    return entries


def _message(message: Document, turn: int | None = None) -> Document:
    return _entry("MESSAGE", message["createdAt"], turn, message=shown_message(message))


def _entry(kind: str, at: datetime, turn: int | None, **more: Any) -> Document:
    empty = dict.fromkeys(("event", "step", "message", "call"))
    return {"kind": kind, "at": at, "turn": turn, **empty, **more}


def shown_message(message: Document) -> Document:
    """A message with its states, as `MessageView` shows it."""
    reached = message.get("reachedAt") or {}
    return {
        **message,
        "versionId": message.get("flowVersionId"),
        "error": error_of(message.get("error")),
        "isWaiting": bool(message.get("open")),
        "attempts": message.get("attempts", 0),
        "sentOnAt": reached.get("SENT"),
        "deliveredAt": reached.get("DELIVERED"),
        "readAt": reached.get("READ"),
        "failedAt": reached.get("FAILED"),
        "noteText": NOTES.get(message.get("note", "")),
    }


# Why a customer's message did not advance the flow, for people.
NOTES: Final = {
    "passive": "Recorded only: reactions, edits, deletions and notices never advance a flow.",
    "bot_paused": "Arrived while a person had taken over; the bot did not react.",
    "rate_limited": "Too many messages in a minute; the bot did not react to this one.",
    "no_live_flow": "No flow was live, so nobody answered.",
    "during_call": "Arrived while the bot waited for a call's answer.",
    "during_delay": "Arrived during a delay.",
    "stale_tap": "A tap on a button of an older message.",
    "at_breakpoint": "Kept while the test stood at a breakpoint.",
    "too_many_at_breakpoint": "Not kept: too many messages while the test stood at a breakpoint.",
    "completed": "Arrived after the flow had ended.",
    "closed": "Arrived after the conversation was closed.",
    "failed": "Arrived after the conversation had failed.",
}
