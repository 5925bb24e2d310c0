"""JSON from strangers: whatever they send ends in a value or in one declared error."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


class BadJson(ValueError):  # noqa: N818 - what it is, as callers say it
    """The text is not JSON that anybody should have sent; the message says why."""


def _refuse(name: str) -> NoReturn:
    raise BadJson(f"{name} is no JSON number")


def _integer(digits: str) -> int | str:
    try:
        return int(digits)
    except ValueError:  # more than Python converts (4,300 digits)
        return digits


def _float(digits: str) -> float | str:
    number = float(digits)
    return number if math.isfinite(number) else digits


def read_json(raw: bytes | str) -> Any:
    """The value of a JSON text. NaN and Infinity are no JSON; what is nested too deeply is refused.

    A number beyond what a float or an int can hold becomes the text of its digits: one such number must not
    cost all that stands beside it. Raises BadJson, and nothing else.
    """
    try:
        return json.loads(raw, parse_constant=_refuse, parse_int=_integer, parse_float=_float)
    except BadJson:
        raise
    except RecursionError:
        raise BadJson("nested too deeply") from None
    except ValueError as error:  # also UnicodeDecodeError
        raise BadJson(f"not JSON: {error}") from None


def write_json(value: Any) -> str:
    """Compact ASCII JSON text of a value that `read_json` gave. Raises BadJson where it is nested too deeply."""
    try:
        return json.dumps(value, separators=(",", ":"))
    except RecursionError:
        raise BadJson("nested too deeply") from None
