"""Set, update, delete or count up a session variable."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

from common.flow.comparisons import is_nothing
from common.flow.facts import NUMBER
from common.flow.forecast import Filled, Leaving
from common.flow.node import Go, Look, NodeType
from common.flow.settings_fields import OnlyIf, choice, next_node, number
from common.flow.settings_groups import NodeSettings, settings_class
from common.flow.settings_language import typed_template, variable
from common.flow.turn import VariableRefused
from common.flow.variables import VariableTypeError, coerce
from common.model.values import Value, VariableType

if TYPE_CHECKING:
    from common.flow.templates import JsonTemplate, Template
    from common.flow.turn import Turn


class Operation(StrEnum):
    SET = "SET"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    INCREMENT = "INCREMENT"


_WITH_VALUE: Final = OnlyIf("operation", ("SET", "UPDATE"), default="SET")
_COUNTING: Final = OnlyIf("operation", ("INCREMENT",), default="SET")


@settings_class
class SetVariableSettings(NodeSettings):
    operation: Operation = choice(
        "What to do",
        default=Operation.SET,
        labels={"INCREMENT": "Count up"},
        help="Update adds to an object's fields or an array's items; any other value is replaced.",
    )
    variable_name: str = variable("Variable", required=True)
    value_type: VariableType = choice("Type", default=VariableType.STRING, only_if=_WITH_VALUE)
    value: Template | JsonTemplate = typed_template(
        "Value", type_name="valueType", json_types=("OBJECT", "ARRAY"), only_if=_WITH_VALUE
    )
    amount: float = number("By", default=1, only_if=_COUNTING)
    next_node_id: str | None = next_node("output")


class SetVariable(NodeType[SetVariableSettings]):
    kind = "SET_VARIABLE"
    look = Look("Set variable", icon="variable", tone="slate", category="Logic")
    description = "Sets, updates, deletes or counts up a variable of the conversation."
    settings = SetVariableSettings

    def reads(self, settings: SetVariableSettings) -> frozenset[str]:
        needs_it = settings.operation is Operation.UPDATE
        return super().reads(settings) | ({settings.variable_name} if needs_it else set())

    def leaving(self, settings: SetVariableSettings, handle: str) -> Leaving:
        del handle
        name = settings.variable_name
        match settings.operation:
            case Operation.DELETE:
                return Leaving(deletes=frozenset({name}))
            case Operation.INCREMENT:
                return Leaving({name: NUMBER})
            case Operation.SET | Operation.UPDATE:
                return Leaving({name: Filled(settings.value, settings.value_type)})

    def expects(self, settings: SetVariableSettings) -> dict[str, VariableType]:
        is_counted = settings.operation is Operation.INCREMENT
        return {settings.variable_name: VariableType.NUMBER} if is_counted else {}

    def enter(self, settings: SetVariableSettings, turn: Turn) -> Go:
        name = settings.variable_name
        match settings.operation:
            case Operation.SET:
                turn.set(name, _value(settings, turn))
            case Operation.UPDATE:
                turn.set(name, _updated(turn.session.variables.get(name), _value(settings, turn)))
            case Operation.DELETE:
                turn.delete(name)
            case Operation.INCREMENT:
                turn.set(name, _counted_up(settings, turn))
        return Go("output")


def _value(settings: SetVariableSettings, turn: Turn) -> Value:
    """The value in its type. An empty text is no number, boolean, object or array: it sets null."""
    filled = settings.value.fill(turn)
    if filled == "" and settings.value_type is not VariableType.STRING:
        return None
    try:
        return coerce(filled, settings.value_type)
    except VariableTypeError as refused:
        raise VariableRefused(
            "variable.refused", f'"{settings.variable_name}" could not be set. {refused}'
        ) from refused


def _updated(old: Value, new: Value) -> Value:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **new}
    if isinstance(old, list) and isinstance(new, list):
        return [*old, *new]
    return new


def _counted_up(settings: SetVariableSettings, turn: Turn) -> Value:
    """The number plus the amount; what is unset, null or empty counts from 0."""
    old = turn.session.variables.get(settings.variable_name)
    number: Value = 0
    try:
        if not is_nothing(old):
            number = coerce(old, VariableType.NUMBER)
    except VariableTypeError as refused:
        message = f'"{settings.variable_name}" cannot be counted up. {refused}'
        raise VariableRefused("variable.not_a_number", message) from refused
    total = settings.amount + (number if isinstance(number, int | float) else 0)
    return int(total) if total % 1 == 0 else total
