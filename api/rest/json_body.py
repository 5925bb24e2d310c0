"""The body of an API request: strict JSON that can be stored, or one declared error."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import Any, NoReturn

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from common.errors import AppError, ErrorCode

# Deeper than any flow, well below what the database takes (100 levels in a document).
MOST_LEVELS = 60
# Each value costs some hundred bytes of memory, however short it is written: a few megabytes of "{},{}," would cost
# half a gigabyte. A flow of a thousand nodes has some ten thousand.
_MOST_VALUES = 300_000
_BEGINNINGS = (b"{", b"[", b",")
_LARGEST_INTEGER = 2**63 - 1


class _Refused(ValueError):  # noqa: N818 - what happened to it
    pass


def read_body(most_bytes: int) -> Any:
    """The JSON value that was sent. Raises AppError 400, 413 or 415."""
    if request.mimetype != "application/json":
        raise AppError(
            ErrorCode.UNSUPPORTED_MEDIA_TYPE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "The body must be JSON, sent as application/json.",
        )
    request.max_content_length = most_bytes
    raw = request.get_data()
    # A body that does not say how long it is gets cut at the limit without a word.
    if request.content_length is None and len(raw) >= most_bytes:
        raise RequestEntityTooLarge
    if sum(map(raw.count, _BEGINNINGS)) > _MOST_VALUES:
        raise _bad("It holds too many values.")
    try:
        value = json.loads(raw, parse_constant=_no_number, parse_int=_integer, parse_float=_float)
        _check(value)
    except RecursionError:
        raise _bad("It is nested too deeply.") from None
    except _Refused as refused:
        raise _bad(str(refused)) from None
    except ValueError:  # also UnicodeDecodeError
        raise _bad("It is no JSON.") from None
    return value


def _bad(why: str) -> AppError:
    return AppError(ErrorCode.BAD_REQUEST, HTTPStatus.BAD_REQUEST, f"The body cannot be read. {why}")


def _no_number(name: str) -> NoReturn:
    raise _Refused(f"{name} is no JSON number.")


def _integer(digits: str) -> int:
    if len(digits) > len(str(_LARGEST_INTEGER)) + 1 or abs(int(digits)) > _LARGEST_INTEGER:
        raise _Refused("A number in it is too large.")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _Refused("A number in it is too large.")
    return number


def _check(value: Any) -> None:
    """Raise _Refused for what the database could not hold."""
    level: list[Any] = [value]
    for _ in range(MOST_LEVELS):
        below: list[Any] = []
        for one in level:
            if isinstance(one, str):
                _check_text(one)
            elif isinstance(one, dict):
                for key in one:
                    _check_text(key)
                    if "\0" in key:
                        raise _Refused("A field's name holds a NUL character.")
                below.extend(one.values())
            elif isinstance(one, list):
                below.extend(one)
        if not below:
            return
        level = below
    raise _Refused("It is nested too deeply.")


def _check_text(text: str) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise _Refused("A text in it holds half a character (a lone surrogate).")
