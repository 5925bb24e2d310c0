"""Strict reading of what the remote control is told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scripts.peers.json_text import read_json
from scripts.peers.wire import Request

MAX_SECONDS = 1e10
MAX_WHOLE_DIGITS = 15


class ControlError(Exception):
    """A wish that cannot be met: a sentence and an HTTP status."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def object_of(request: Request) -> dict[str, Any]:
    """The body, which must be a JSON object; an absent body is an empty one."""
    value = read_json(request.body) if request.body else {}
    if not isinstance(value, dict):
        raise ControlError("The body must be a JSON object.")
    return value


def text_of(holder: Mapping[str, Any], name: str) -> str | None:
    """A text, or None when absent or null."""
    value = holder.get(name)
    if value is not None and not isinstance(value, str):
        raise ControlError(f"'{name}' must be a text.")
    return value


def seconds_of(holder: Mapping[str, Any], name: str) -> float:
    """Seconds, 0 when absent; takes numbers and, from a query, their text."""
    value = holder.get(name, 0)
    try:
        seconds = (
            float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
        )
    except (ValueError, OverflowError):
        seconds = -1.0
    if not 0 <= seconds <= MAX_SECONDS:
        raise ControlError(f"'{name}' must be a number of seconds.")
    return seconds


def number_of(holder: Mapping[str, str], name: str) -> int:
    """A whole number out of a query, 0 when absent."""
    text = holder.get(name, "0")
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_WHOLE_DIGITS):
        raise ControlError(f"'{name}' must be a whole number.")
    return int(text)
