"""How values compare. Unlike things are simply not equal and not ordered; nothing here ever raises.

- A text that reads as a number counts as that number, against a number and against another such text.
- A text "true" or "false", in any case, counts as that boolean against a boolean.
- Unset, null and empty text are one: nothing. It equals itself and is ordered with nothing.
- Two other texts compare as texts: case matters, and the order is that of Unicode.
- `contains`, `starts with` and `ends with` read a number as its text; a text never contains nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from common.flow.variables import MISSING, Missing, parse_boolean, parse_number, to_text

if TYPE_CHECKING:
    from common.model.values import Value

Compare: TypeAlias = Callable[["Value | Missing", "Value | Missing"], bool]

_MAX_DEPTH: Final = 100  # of objects to compare: beyond any storable value, below Python's own limit


def is_nothing(value: Value | Missing) -> bool:
    """Unset, null or empty text."""
    return value is MISSING or value is None or value == ""


def is_true(value: Value | Missing) -> bool:
    """Whether a value alone counts as true: not nothing, false, 0, an empty list or object, nor "false" or "0"."""
    if isinstance(value, str):
        boolean = parse_boolean(value)
        number = parse_number(value)
        return bool(value) if boolean is None and number is None else bool(boolean or number)
    return value is not MISSING and bool(value)


def equal(left: Value | Missing, right: Value | Missing) -> bool:
    """The == operator."""
    return _equal(left, right, 0)


def _equal(left: Value | Missing, right: Value | Missing, depth: int) -> bool:
    if isinstance(left, str) and isinstance(right, str) and left == right:
        return True
    if is_nothing(left) or is_nothing(right):
        return is_nothing(left) and is_nothing(right)
    if isinstance(left, bool) or isinstance(right, bool):
        boolean = _boolean(left)
        return boolean is not None and boolean is _boolean(right)
    if isinstance(left, list | dict) or isinstance(right, list | dict):
        return depth < _MAX_DEPTH and _equal_inside(left, right, depth + 1)
    number = _number(left)
    return number is not None and number == _number(right)


def _equal_inside(left: Value | Missing, right: Value | Missing, depth: int) -> bool:
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(
            _equal(one, other, depth) for one, other in zip(left, right, strict=True)
        )
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(left[key], right[key], depth) for key in left)
    return False


def different(left: Value | Missing, right: Value | Missing) -> bool:
    """The != operator: exactly what == denies."""
    return not equal(left, right)


def _boolean(value: Value | Missing) -> bool | None:
    if isinstance(value, str):
        return parse_boolean(value)
    return value if isinstance(value, bool) else None


def _number(value: Value | Missing) -> int | float | None:
    if isinstance(value, str):
        return parse_number(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def order(left: Value | Missing, right: Value | Missing) -> int | None:
    """-1, 0 or 1 where both are numbers or both are texts with something in them; None otherwise."""
    one, other = _number(left), _number(right)
    if one is not None and other is not None:
        return (one > other) - (one < other) if one == one and other == other else None  # noqa: PLR0124 - NaN
    if isinstance(left, str) and isinstance(right, str) and left and right:
        return (left > right) - (left < right)
    return None


def above(left: Value | Missing, right: Value | Missing) -> bool:
    """The > operator."""
    return order(left, right) == 1


def below(left: Value | Missing, right: Value | Missing) -> bool:
    """The < operator."""
    return order(left, right) == -1


def at_least(left: Value | Missing, right: Value | Missing) -> bool:
    """The >= operator."""
    return order(left, right) in (0, 1)


def at_most(left: Value | Missing, right: Value | Missing) -> bool:
    """The <= operator."""
    return order(left, right) in (0, -1)


def contains(whole: Value | Missing, part: Value | Missing) -> bool:
    """A text holds a text, an array an equal element, an object a key."""
    if isinstance(whole, list):
        return any(equal(item, part) for item in whole)
    needle = _plain_text(part)
    return bool(needle) and needle in (whole if isinstance(whole, dict) else _plain_text(whole))


def starts_with(whole: Value | Missing, part: Value | Missing) -> bool:
    """The text begins with that text."""
    needle = _plain_text(part)
    return bool(needle) and _plain_text(whole).startswith(needle)


def ends_with(whole: Value | Missing, part: Value | Missing) -> bool:
    """The text ends with that text."""
    needle = _plain_text(part)
    return bool(needle) and _plain_text(whole).endswith(needle)


def _plain_text(value: Value | Missing) -> str:
    return to_text(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


OPERATORS: Final[dict[str, Compare]] = {
    "==": equal,
    "!=": different,
    ">": above,
    "<": below,
    ">=": at_least,
    "<=": at_most,
    "contains": contains,
    "starts with": starts_with,
    "ends with": ends_with,
}
