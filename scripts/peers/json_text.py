"""Strict reading and compact writing of JSON: no NaN, no duplicate surprises, every failure one declared error."""

from __future__ import annotations

import json
from typing import Any

from scripts.peers.wire import Answer


class BadJsonError(Exception):
    """The text is no JSON that this server takes; the message is a sentence."""


def read_json(body: bytes) -> Any:
    """The value in the bytes; raises BadJsonError for anything that is not strict UTF-8 JSON."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise BadJsonError("The JSON is nested too deeply.") from None
    except ValueError as error:
        raise BadJsonError(f"The body is not valid JSON: {error}") from None


def write_json(value: object) -> bytes:
    """Compact JSON, ASCII only."""
    return json.dumps(value, separators=(",", ":")).encode()


def json_answer(value: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    """An answer whose body is the value as JSON."""
    return Answer(status, write_json(value), headers=headers)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
