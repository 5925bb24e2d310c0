"""Every place in a flow's settings that looks at variables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.flow.expressions import Expression
from common.flow.references import Chain, Constant, Reference
from common.flow.settings_fields import SettingField
from common.flow.settings_groups import READERS, GroupField, RowsField, SettingsPart, fields_of, parts
from common.flow.settings_language import OperandField, VariableField

if TYPE_CHECKING:
    from common.flow.definition import Node


@dataclass(frozen=True, slots=True)
class Use:
    """A placeholder, where it stands, and whether it is part of a condition."""

    node: Node
    field: str
    label: str
    chain: Chain
    is_condition: bool = False

    @property
    def has_default(self) -> bool:
        """Whether something stands in for what is unset: {{name || "Guest"}}."""
        return any(isinstance(operand, Constant) for operand in self.chain.operands)


def uses_of(node: Node) -> Iterator[Use]:
    """What a node's settings look at. What it reads without a placeholder counts too, unless it also sets it: such
    a node is prepared to find nothing.
    """
    if node.settings is None:
        return
    named: set[str] = set()
    for path, described, value, _ in parts(node.settings):
        if isinstance(value, READERS):
            is_condition = isinstance(value, Expression) or isinstance(described, OperandField)
            for chain in value.chains:
                named |= chain.names
                yield Use(node, path, described.label, chain, is_condition)
    others = node.type.reads(node.settings) - named
    for name in sorted(others - node.type.writes(node.settings)) if others else ():
        yield Use(node, "", "", Chain((Reference(name),)))


def names_written_raw(cls: type[SettingsPart], config: Mapping[str, Any]) -> Iterator[str]:
    """The variables that a config with errors names as places to write to, as far as it can be read."""
    for name, described in fields_of(cls):
        value = config.get(name)
        if isinstance(described, VariableField):
            if described.writes and isinstance(value, str) and value:
                yield value
        else:
            yield from _written_inside(described, value)


def _written_inside(described: SettingField, value: object) -> Iterator[str]:
    if isinstance(described, GroupField) and isinstance(value, Mapping):
        yield from names_written_raw(described.cls, value)
    elif isinstance(described, RowsField) and isinstance(value, list):
        for row in value:
            if isinstance(row, Mapping):
                yield from names_written_raw(described.cls, row)
