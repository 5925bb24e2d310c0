"""What a bot variable may be called and may hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from common.flow.shape import HARMFUL_KEYS
from common.flow.variables import RESERVED_NAMES, SYSTEM_NAMES, check_name, check_value
from common.model.values import Value, VariableType, type_of

_WORDS = {
    VariableType.STRING: "a text",
    VariableType.NUMBER: "a number",
    VariableType.BOOLEAN: "true or false",
    VariableType.OBJECT: "an object",
    VariableType.ARRAY: "a list",
}


def name_problem(name: str) -> str | None:
    """Why no bot variable may be called so; None where one may."""
    if name in SYSTEM_NAMES - RESERVED_NAMES:
        return f'"{name}" is what every conversation knows of itself. Choose another name.'
    return check_name(name)


def value_problem(value: Value, kind: VariableType) -> str | None:
    """Why a variable of this type cannot hold the value; None where it can. Nothing is converted."""
    if value is None or type_of(value) is not kind:
        return f"A variable of type {kind.value} holds {_WORDS[kind]}."
    too_large = check_value(value)
    if too_large is not None:
        return too_large
    return next(_harms(value), None)


def _harms(value: Value) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key in HARMFUL_KEYS.intersection(value):
            yield f'No field may be called "{key}".'
        if "$ref" in value and "$id" in value:  # the database would give something else back
            yield 'No object may have both "$ref" and "$id".'
        for inner in value.values():
            yield from _harms(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _harms(inner)
