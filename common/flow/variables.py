"""What a variable may be called and may hold, how it is read, and how it looks in a text.

Values come from outside (messages, API answers, models). They enter through `admit` or `coerce`, which make
them storable: lone surrogates and NUL in texts become U+FFFD, integers beyond 64 bits become floats (as any
JSON reader may do), NaN and infinities are refused, size and nesting are bounded. The copy that they return
is never changed in place afterwards; a variable is replaced as a whole.
"""

from __future__ import annotations

import json
import math
import re
from enum import Enum
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from common.model.values import Value, VariableType

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_NAME_LENGTH: Final = 64
MAX_VALUE_BYTES: Final = 256 * 1024  # of one value's compact JSON
MAX_SESSION_BYTES: Final = (
    1024 * 1024
)  # of all of a session's variables: a document holds 16 MiB, a log many of them
MAX_NESTING: Final = 20  # lists and objects inside each other
MAX_NUMBER_LENGTH: Final = 64  # a longer text is no number

RESERVED_NAMES: Final = frozenset({"sessionId", "userId", "botId", "timestamp", "messageId"})
SYSTEM_NAMES: Final = RESERVED_NAMES | {"lastMessage", "userName", "userPhone"}

_LITERAL_NAMES: Final = frozenset({"true", "false", "null"})
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NUMBER: Final = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_MAX_INTEGER: Final = 2**63 - 1
_MIN_INTEGER: Final = -(2**63)
_WORST_BYTES_PER_CHARACTER: Final = 6  # a control character as \u0001
_MAX_INDEX_DIGITS: Final = 9

Path: TypeAlias = "tuple[str | int, ...]"


class Missing(Enum):
    """The type of `MISSING`: no such variable, or nothing at that path. Null is a value, this is none."""

    MISSING = "missing"


MISSING: Final = Missing.MISSING


class Scope(Protocol):
    """Where names are looked up."""

    def lookup(self, name: str, /) -> Value | Missing:
        """The variable's value, or MISSING."""


class MappingScope:
    """The variables of a mapping."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values

    def lookup(self, name: str, /) -> Value | Missing:
        return self._values.get(name, MISSING)


class VariableTypeError(Exception):
    """A value that a variable cannot hold; the message is a sentence for the flow's author."""


class VariableLimitError(VariableTypeError):
    """A value that is too large or too deeply nested for any variable."""


def check_name(name: str) -> str | None:
    """Why nothing may be stored under this name; None where it may."""
    if not name:
        return "A variable needs a name."
    shown = _shorten(name)
    if len(name) > MAX_NAME_LENGTH:
        return f'"{shown}" is too long: a variable\'s name has at most {MAX_NAME_LENGTH} characters.'
    if not _NAME.fullmatch(name):
        return (
            f'"{shown}" cannot be a variable\'s name: it must start with a letter (A to Z) and may hold only '
            "letters, digits and underscores."
        )
    if name in RESERVED_NAMES:
        return f'"{name}" is reserved: flows can read it but not set it. Choose another name.'
    if name.lower() in _LITERAL_NAMES:
        return f'"{name}" is a value and cannot be a variable\'s name. Choose another name.'
    return None


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_NAME_LENGTH else f"{text[:MAX_NAME_LENGTH]}…"


def walk(value: Value, path: Path) -> Value | Missing:
    """What stands at a path: keys in objects, positions in arrays (-1 is the last; "0" counts as 0)."""
    for step in path:
        if isinstance(value, dict):
            if not isinstance(step, str) or step not in value:
                return MISSING
            value = value[step]
        elif isinstance(value, list):
            index = step if isinstance(step, int) else _index(step)
            if index is None or not -len(value) <= index < len(value):
                return MISSING
            value = value[index]
        else:
            return MISSING
    return value


def _index(key: str) -> int | None:
    return int(key) if key.isascii() and key.isdigit() and len(key) <= _MAX_INDEX_DIGITS else None


def to_text(value: Value | Missing) -> str:
    """How a value looks in a text: true/false, 3 and not 3.0, objects as compact JSON, null and unset as "".

    Floats show 15 digits, which is what a double keeps: 0.1 + 0.2 reads 0.3.
    """
    if isinstance(value, str):
        return value
    if value is None or value is MISSING:
        return ""
    if isinstance(value, float) and not value.is_integer():
        return format(value, ".15g")
    try:
        return _dump(_with_plain_numbers(value))
    except (ValueError, RecursionError):  # beyond the limits of `admit`: such a value has no text
        return ""


def _whole(number: float) -> float | int:
    return int(number) if _MIN_INTEGER <= number <= _MAX_INTEGER else number


def _with_plain_numbers(value: Value) -> Value:
    if isinstance(value, dict):
        return {key: _with_plain_numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_plain_numbers(item) for item in value]
    return _whole(value) if isinstance(value, float) and value.is_integer() else value


def _dump(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def parse_number(text: str) -> int | float | None:
    """The number that a text reads as (digits of any script, a decimal point, an exponent), or None.

    Integers are exact whatever their length, so that long codes compare right.
    """
    text = text.strip()
    if len(text) > MAX_NUMBER_LENGTH or not _NUMBER.fullmatch(text):
        return None
    if text.lstrip("+-").isdecimal():
        return int(text)
    number = float(text)
    return number if math.isfinite(number) else None


def parse_boolean(text: str) -> bool | None:
    """True or false as a text spells them, in any case, or None."""
    return {"true": True, "false": False}.get(text.strip().lower())


def clean_text(text: str) -> str:
    """The text with what neither MongoDB nor UTF-8 can hold (lone surrogates, NUL) replaced by U+FFFD."""
    return text if text.isascii() and "\x00" not in text else _UNSTORABLE.sub("\ufffd", text)


def admit(value: object) -> Value:
    """A storable copy of a value from outside. Raises VariableTypeError (VariableLimitError for size)."""
    cleaned = _clean(value, 0)
    _require_size(cleaned)
    return cleaned


def check_value(value: object) -> str | None:
    """Why a value cannot be stored; None where `admit` takes it."""
    try:
        admit(value)
    except VariableTypeError as refused:
        return str(refused)
    return None


def check_total(variables: Mapping[str, Value]) -> str | None:
    """Why these variables are too much for one session; None where they fit."""
    size = sum(len(name) + json_size(value) for name, value in variables.items())
    if size > MAX_SESSION_BYTES:
        return f"The variables of one conversation hold at most {MAX_SESSION_BYTES // 1024} KiB together."
    return None


def json_size(value: Value) -> int:
    """The bytes of the value's compact JSON. The value is one that `admit` returned."""
    return len(_dump(value).encode())


def _clean(value: object, depth: int) -> Value:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, int | float):
        return _clean_number(value)
    if not isinstance(value, list | dict):
        raise VariableTypeError(f"A variable cannot hold a {type(value).__name__}.")
    if depth >= MAX_NESTING:
        raise VariableLimitError(
            f"A variable holds at most {MAX_NESTING} lists or objects inside each other."
        )
    if isinstance(value, list):
        return [_clean(item, depth + 1) for item in value]
    if not all(isinstance(key, str) for key in value):
        raise VariableTypeError("The keys of an object must be texts.")
    return {clean_text(key): _clean(item, depth + 1) for key, item in value.items()}


def _clean_number(number: float) -> int | float:
    if isinstance(number, int) and _MIN_INTEGER <= number <= _MAX_INTEGER:
        return number
    try:
        number = float(number)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise VariableTypeError("A variable cannot hold a number that is infinite or undefined.")
    return number


def _require_size(value: Value) -> None:
    if isinstance(value, str) and len(value) * _WORST_BYTES_PER_CHARACTER < MAX_VALUE_BYTES:
        return
    if isinstance(value, str | list | dict) and json_size(value) > MAX_VALUE_BYTES:
        raise VariableLimitError(f"A variable holds at most {MAX_VALUE_BYTES // 1024} KiB.")


def coerce(value: object, declared: VariableType) -> Value:
    """A storable copy of the value in its variable's declared type. Null stays null in every type.

    Text becomes a number, a boolean ("true"/"false" in any case) or, as JSON, an object or array; anything
    becomes a text, as `to_text` shows it. Raises VariableTypeError for the rest: 1 is not true, true is not 1.
    """
    cleaned = admit(value)
    if cleaned is None:
        return None
    converted = _CONVERSIONS[declared](cleaned)
    if converted is None:
        raise VariableTypeError(f'"{_shorten(to_text(cleaned))}" is not {_KIND_WORDS[declared]}.')
    return converted if converted is cleaned else admit(converted)


def _number(value: Value) -> Value:
    if isinstance(value, str):
        return parse_number(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _boolean(value: Value) -> Value:
    if isinstance(value, str):
        return parse_boolean(value)
    return value if isinstance(value, bool) else None


def _object(value: Value) -> Value:
    found = _parse_json(value) if isinstance(value, str) else value
    return found if isinstance(found, dict) else None


def _array(value: Value) -> Value:
    found = _parse_json(value) if isinstance(value, str) else value
    return found if isinstance(found, list) else None


def _parse_json(text: str) -> Value:
    try:
        found: Value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found


_CONVERSIONS: Final = {
    VariableType.STRING: to_text,
    VariableType.NUMBER: _number,
    VariableType.BOOLEAN: _boolean,
    VariableType.OBJECT: _object,
    VariableType.ARRAY: _array,
}
_KIND_WORDS: Final = {
    VariableType.STRING: "a text",
    VariableType.NUMBER: "a number",
    VariableType.BOOLEAN: "true or false",
    VariableType.OBJECT: "an object",
    VariableType.ARRAY: "an array",
}
