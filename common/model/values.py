"""What a variable can hold: JSON, in five named types."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

Value: TypeAlias = "None | bool | int | float | str | list[Value] | dict[str, Value]"


class VariableType(StrEnum):
    """The five types of the specification."""

    STRING = "STRING"
    NUMBER = "NUMBER"
    BOOLEAN = "BOOLEAN"
    OBJECT = "OBJECT"
    ARRAY = "ARRAY"


def type_of(value: Value) -> VariableType:
    """The type of a value; null counts as STRING, as an unset variable does."""
    match value:
        case bool():
            return VariableType.BOOLEAN
        case int() | float():
            return VariableType.NUMBER
        case dict():
            return VariableType.OBJECT
        case list():
            return VariableType.ARRAY
        case _:
            return VariableType.STRING
