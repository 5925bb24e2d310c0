"""What is counted, under which names. Amounts only ever grow, and are whole numbers: sums of them are exact.

Amounts are flat: `path -> amount`, where a path's dots are the levels of the stored document (`nodes.ask.v`).
Names that come from a flow are encoded, so that none of them can be an operator or a level of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple, TypeAlias

Amounts: TypeAlias = dict[str, int]


class CountKey(NamedTuple):
    """What something is counted for. Without a flow: a message that belongs to no conversation."""

    bot_id: str
    flow_id: str | None = None
    version_id: str | None = None


Counted: TypeAlias = tuple[CountKey, Amounts]


class Total(StrEnum):
    """The figures that a bot, a flow and a version have; docs/analytics.md defines each of them."""

    SESSIONS = "sessions"
    STARTS = "starts"
    RESUMED = "resumed"
    COMPLETED = "completed"
    ENDED_IN_ERROR = "endedInError"
    FAILED = "failed"
    CLOSED = "closed"
    RESTARTED = "restarted"
    TURNS = "turns"
    VISITS = "visits"
    ERRORS = "errors"
    DURATIONS = "durations"
    DURATION_MS = "durationMs"
    MESSAGES_IN = "messagesIn"
    QUEUED = "queued"
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    SEND_FAILED = "sendFailed"
    FAILED_CORRECTED = "failedCorrected"
    SEND_UNKNOWN = "sendUnknown"
    UNKNOWN_CORRECTED = "unknownCorrected"
    API_CALLS = "apiCalls"
    API_FAILURES = "apiFailures"
    AI_CALLS = "aiCalls"
    AI_FAILURES = "aiFailures"
    PROMPT_TOKENS = "promptTokens"
    COMPLETION_TOKENS = "completionTokens"
    COST_NANO_USD = "costNanoUsd"
    UNPRICED = "unpriced"

    @property
    def path(self) -> str:
        return _PATHS[self]


_PATHS: Final = {total: f"n.{total.value}" for total in Total}


class NodeFigure(StrEnum):
    """What is counted for each node; the name is the one in the document, short because there are many."""

    VISITS = "v"  # conversations that came to it
    FAILED = "f"  # … that failed there
    CLOSED = "c"  # … that were closed there by somebody
    RESTARTED = "r"  # … that were taken from there to the start of a flow
    JUMPED = "j"  # … that left it by a tap on an older button
    ENDED = "d"  # … that ended there as planned


# Upper bounds of the duration histogram, in seconds; the last class has none.
DURATION_BOUNDS: Final = (10, 30, 60, 120, 300, 600, 1800, 3600, 6 * 3600, 24 * 3600, 3 * 86_400, 7 * 86_400)
# What stands for names that a flow does not have, so that no document grows beyond what its flow allows.
OTHER: Final = "other"

_ESCAPED: Final = {ord(character): f"%{ord(character):02X}" for character in "%.$\x00"}
_MOST_NAME_CHARACTERS: Final = 100


def encode(name: str) -> str:
    """A name as a part of a path; two names never have the same."""
    if len(name) > _MOST_NAME_CHARACTERS:
        return OTHER
    return name.translate(_ESCAPED) or "%"


def decode(part: str) -> str:
    """The name that `encode` made this part of."""
    if part == "%":
        return ""
    head, *rest = part.split("%")
    return head + "".join(chr(int(piece[:2], 16)) + piece[2:] for piece in rest)


def node_path(node_id: str, figure: NodeFigure) -> str:
    return f"nodes.{encode(node_id)}.{figure.value}"


def edge_path(node_id: str, handle: str) -> str:
    return f"nodes.{encode(node_id)}.x.{encode(handle)}"


def error_path(code: str) -> str:
    return f"e.{encode(code)}"


def node_error_path(node_id: str, code: str) -> str:
    return f"nodes.{encode(node_id)}.e.{encode(code)}"


def duration_path(seconds: float) -> str:
    """The class of the histogram that a duration belongs to."""
    place = next((n for n, bound in enumerate(DURATION_BOUNDS) if seconds <= bound), len(DURATION_BOUNDS))
    return f"h.{place}"


def add(into: Amounts, more: Mapping[str, int]) -> None:
    """Add amounts, path by path."""
    for path, amount in more.items():
        into[path] = into.get(path, 0) + amount


def merge(counted: Iterator[Counted] | list[Counted]) -> dict[CountKey, Amounts]:
    """One set of amounts for each key."""
    merged: dict[CountKey, Amounts] = {}
    for key, amounts in counted:
        add(merged.setdefault(key, {}), amounts)
    return merged


# The parts of a stored document that hold amounts.
PARTS: Final = ("n", "h", "e", "nodes", "flows")


def flatten(document: Mapping[str, Any]) -> Amounts:
    """The amounts of a stored document."""
    return {
        path: amount for part in PARTS if part in document for path, amount in _leaves(part, document[part])
    }


def _leaves(path: str, value: Any) -> Iterator[tuple[str, int]]:
    if isinstance(value, Mapping):
        for part, inner in value.items():
            yield from _leaves(f"{path}.{part}", inner)
    else:
        yield path, value
