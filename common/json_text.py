"""JSON from strangers: whatever they send ends in a value or in one declared error."""

from __future__ import annotations

import json
from typing import Any, NoReturn


class BadJson(ValueError):  # noqa: N818 - what it is, as callers say it
    """The text is not JSON that anybody should have sent; the message says why."""


def _refuse(name: str) -> NoReturn:
    raise BadJson(f"{name} is no JSON number")


def read_json(raw: bytes | str) -> Any:
    """The value of a JSON text. NaN and Infinity are no JSON; too deep and too long numbers are refused.

    Raises BadJson, and nothing else.
    """
    try:
        return json.loads(raw, parse_constant=_refuse)
    except BadJson:
        raise
    except RecursionError:
        raise BadJson("nested too deeply") from None
    except ValueError as error:  # also UnicodeDecodeError, and numbers of more than 4,300 digits
        raise BadJson(f"not JSON: {error}") from None


def write_json(value: Any) -> str:
    """Compact ASCII JSON text of a value that `read_json` gave. Raises BadJson where it is nested too deeply."""
    try:
        return json.dumps(value, separators=(",", ":"))
    except RecursionError:
        raise BadJson("nested too deeply") from None
