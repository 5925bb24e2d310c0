"""A node type as JSON: enough to draw its card, its exits and its settings form."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from common.flow.node import Exit, ExitPerRow, NodeType
from common.flow.settings_fields import SettingField
from common.flow.settings_groups import GroupField, RowsField, SettingsPart, camel, fields_of
from common.flow.settings_language import VariableField, widget_of


def describe(node_type: NodeType[Any]) -> dict[str, Any]:
    """The type's kind, description, look, inputs, exits and fields.

    An exit is `{handle, label}`, with `when` (a setting that must be filled in) or, for one exit a row,
    `{rows, idField, labelField}`. A field is `{name, label, help, widget, required, default, onlyIf, …limits}`;
    groups and rows hold `fields` of their own.
    """
    return {
        "kind": node_type.kind,
        "description": node_type.description,
        "look": asdict(node_type.look),
        "inputs": list(node_type.inputs),
        "exits": [_describe_exit(place, node_type.settings) for place in node_type.exits],
        "waitsFor": None if node_type.waits_for is None else node_type.waits_for.value,
        "fields": _describe_fields(node_type.settings),
    }


def _describe_exit(place: Exit | ExitPerRow, settings: type[SettingsPart]) -> dict[str, Any]:
    if isinstance(place, Exit):
        shown = {"handle": place.handle, "label": place.label}
        return shown if place.when is None else shown | {"when": camel(place.when)}
    name = camel(place.rows)
    row_class = next(field.cls for key, field in fields_of(settings) if key == name)
    id_field = next(key for key, field in fields_of(row_class) if hasattr(field, "prefix"))
    return {"rows": name, "idField": id_field, "labelField": "label"}


def _describe_fields(settings: type[SettingsPart]) -> list[dict[str, Any]]:
    return [_describe_field(name, field) for name, field in fields_of(settings)]


def _describe_field(name: str, field: SettingField) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": name,
        "label": field.label,
        "help": field.help,
        "widget": widget_of(field),
        "required": field.is_needed,
        "default": field.shown_default(),
        **field.limits(),
    }
    if field.only_if is not None:
        condition = field.only_if
        shown["onlyIf"] = {
            "name": condition.name,
            "values": list(condition.values),
            "default": condition.default,
        }
    if isinstance(field, VariableField):
        shown["writes"] = field.writes
    if isinstance(field, GroupField | RowsField):
        shown["fields"] = _describe_fields(field.cls)
    return shown
