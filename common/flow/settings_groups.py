"""Settings as a whole: reading a config into its settings object, and walking through one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, dataclass_transform

from marshmallow import ValidationError
from marshmallow import missing as MISSING  # noqa: N812 - as in settings_fields

from common.flow.expressions import Expression
from common.flow.settings_fields import FIELD, NextNodeField, SettingField, declare, text
from common.flow.settings_language import VariableField
from common.flow.templates import HeaderTemplate, JsonTemplate, Template, UrlTemplate
from common.model.issues import Issue, Severity

Layout = tuple[tuple[str, str, SettingField], ...]

_LAYOUTS: dict[type, Layout] = {}
READERS = (Template, JsonTemplate, UrlTemplate, HeaderTemplate, Expression)


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsPart:
    """A part of a node's settings: the whole, a group or a row."""

    def findings(self) -> Iterator[Issue]:
        """What is wrong with these settings taken together; `field` is the JSON name of the one to look at."""
        return iter(())


C = TypeVar("C")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def settings_class(cls: type[C]) -> type[C]:
    """Make a dataclass of a settings class."""
    return dataclass(frozen=True, slots=True, kw_only=True)(cls)


@settings_class
class NodeSettings(SettingsPart):
    """What every node has. The settings of a type derive from this."""

    label: str = text("Label", max_length=80, help="Shown on the canvas and in the logs.")
    description: str = text("Description", max_length=500)


P = TypeVar("P", bound=SettingsPart)
N = TypeVar("N", bound=NodeSettings)


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading a config: the settings, or None if an issue is an error."""

    settings: NodeSettings | None
    issues: tuple[Issue, ...]


@dataclass(frozen=True, slots=True)
class NextNode:
    """An exit's target as a config names it: exit, node id, and the JSON name of the field."""

    handle: str
    target: str
    field: str


class GroupField(SettingField):
    """Settings inside settings. With `optional`, null and a missing key mean there are none.

    `inherits` names fields beside the group that the fields inside depend on.
    """

    widget = "group"

    def __init__(
        self, label: str, cls: type[SettingsPart], *, optional: bool, inherits: tuple[str, ...], **rest: Any
    ) -> None:
        super().__init__(label, **rest)
        self.cls, self.optional, self.inherits = cls, optional, inherits

    def deserialize(
        self, value: Any, attr: str | None = None, data: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> Any:
        if (value is MISSING or value is None) and not self.optional:
            value = {}  # the fields inside have their defaults, and may be required
        return super().deserialize(value, attr, data, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> Any:
        del attr
        if not isinstance(value, Mapping):
            raise self.refuse("field.type", f'"{self.label}" must be an object.')
        return build(self.cls, {**value, **_inherited(self.inherits, data)})

    def limits(self) -> dict[str, Any]:
        return {"optional": self.optional, "inherits": list(self.inherits)}


def _inherited(names: tuple[str, ...], data: Mapping[str, Any] | None) -> dict[str, Any]:
    """What fields beside a group or list hold, for the fields inside that depend on them."""
    return {name: (data or {}).get(name) for name in names}


class RowsField(SettingField):
    """A list of settings. `inherits` as for a group."""

    widget = "rows"

    def __init__(
        self,
        label: str,
        cls: type[SettingsPart],
        *,
        minimum: int,
        maximum: int,
        inherits: tuple[str, ...],
        **rest: Any,
    ) -> None:
        super().__init__(label, required=minimum > 0, **rest)
        self.cls, self.minimum, self.maximum, self.inherits = cls, minimum, maximum, inherits

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> Any:
        del attr
        if not isinstance(value, list):
            raise self.refuse("field.type", f'"{self.label}" must be a list.')
        if len(value) < self.minimum:
            raise self.refuse("field.too_few", f'"{self.label}" needs at least {self.minimum}.')
        if len(value) > self.maximum:
            raise self.refuse("field.too_many", f'"{self.label}" takes at most {self.maximum}.')
        inherited = _inherited(self.inherits, data)
        rows, wrong = [], {}
        for index, row in enumerate(self._with_ids(value)):
            try:
                rows.append(self._build_row(row, inherited))
            except ValidationError as error:
                wrong[index] = error.messages
        if wrong:
            raise ValidationError(wrong)
        return tuple(rows)

    def _build_row(self, row: object, inherited: dict[str, Any]) -> SettingsPart:
        if not isinstance(row, Mapping):
            raise self.refuse("field.type", f'Each of "{self.label}" must be an object.')
        return build(self.cls, {**row, **inherited})

    def _with_ids(self, rows: list[Any]) -> Iterator[Any]:
        """The rows, those without an id given one by their position."""
        prefix = next((field.prefix for _, field in fields_of(self.cls) if hasattr(field, "prefix")), None)
        name = next((name for name, field in fields_of(self.cls) if hasattr(field, "prefix")), "")
        for position, row in enumerate(rows, start=1):
            if prefix and isinstance(row, Mapping) and row.get(name) in (None, ""):
                yield {**row, name: f"{prefix}_{position}"}
            else:
                yield row

    def empty(self) -> Any:
        return ()

    def limits(self) -> dict[str, Any]:
        return {"minItems": self.minimum, "maxItems": self.maximum, "inherits": list(self.inherits)}


def group(label: str, cls: type[P], *, inherits: tuple[str, ...] = (), **rest: Any) -> P:
    """Settings inside settings, with their defaults where none are given."""
    return declare(GroupField(label, cls, optional=False, inherits=inherits, **rest))  # type: ignore[no-any-return]


def optional_group(label: str, cls: type[P], **rest: Any) -> P | None:
    """Settings inside settings, or none."""
    return declare(GroupField(label, cls, optional=True, inherits=(), **rest))  # type: ignore[no-any-return]


def rows(
    label: str, cls: type[P], *, minimum: int = 0, maximum: int, inherits: tuple[str, ...] = (), **rest: Any
) -> tuple[P, ...]:
    """A list of settings."""
    return declare(  # type: ignore[no-any-return]
        RowsField(label, cls, minimum=minimum, maximum=maximum, inherits=inherits, **rest)
    )


def camel(name: str) -> str:
    """The JSON spelling of a Python name."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def fields_of(cls: type[SettingsPart]) -> tuple[tuple[str, Any], ...]:
    """The fields of a settings class, each with its JSON name, in the order they are declared."""
    return tuple((name, field) for _, name, field in _layout(cls))


def _layout(cls: type[SettingsPart]) -> Layout:
    """The fields of a settings class: attribute, JSON name, description."""
    if cls not in _LAYOUTS:
        _LAYOUTS[cls] = tuple(
            (field.name, camel(field.name), field.metadata[FIELD])
            for field in dataclasses.fields(cls)
            if FIELD in field.metadata
        )
    return _LAYOUTS[cls]


def build(cls: type[P], data: Mapping[str, Any]) -> P:
    """The settings that the data describes. Raises ValidationError with issues, by JSON name.

    The fields are marshmallow's; going through them here, without a schema, halves the time to load a flow.
    """
    values: dict[str, Any] = {}
    wrong: dict[str, Any] = {}
    for attribute, name, field in _layout(cls):
        try:
            values[attribute] = field.deserialize(data.get(name, MISSING), name, data)
        except ValidationError as error:
            wrong[name] = error.messages
    if wrong:
        raise ValidationError(wrong)
    return cls(**values)


def read_settings(cls: type[NodeSettings], config: Mapping[str, Any]) -> Reading:
    """Read a node's config. Never raises, whatever the config holds."""
    issues = list(_unknown(cls, config))
    settings: NodeSettings | None = None
    try:
        settings = build(cls, config)
    except ValidationError as error:
        issues += _flatten(error.messages, "")
    else:
        issues += settings.findings()
    if any(issue.severity is Severity.ERROR for issue in issues):
        settings = None
    return Reading(settings, tuple(issues))


def _unknown(cls: type[SettingsPart], config: Mapping[Any, Any]) -> Iterator[Issue]:
    known = {name for name, _ in fields_of(cls)} | {"nodeType"}
    for name in config:
        if name not in known:
            shown = name[:64] if isinstance(name, str) else "?"
            yield Issue.warning("field.unknown", f'"{shown}" is no setting of this node.', field=shown)


def _flatten(messages: Any, path: str) -> Iterator[Issue]:
    """The issues in marshmallow's tree of messages, each with its path: buttons[0].label."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            step = f"[{key}]" if isinstance(key, int) else f".{key}" if path else str(key)
            yield from _flatten(inner, path + step)
        return
    for message in messages:
        issue = message if isinstance(message, Issue) else Issue.error("field.invalid", str(message))
        yield dataclasses.replace(issue, field=path)


Part = tuple[str, SettingField, Any, SettingsPart]


def parts(settings: SettingsPart) -> list[Part]:
    """Every field of the settings with its path, description, value and owner; groups and rows are entered."""
    found: list[Part] = []
    _collect_parts(settings, "", found)
    return found


def _collect_parts(settings: SettingsPart, path: str, found: list[Part]) -> None:
    for attribute, name, field in _layout(type(settings)):
        value, here = getattr(settings, attribute), path + name
        if isinstance(value, SettingsPart):
            _collect_parts(value, f"{here}.", found)
        elif isinstance(field, RowsField):
            for index, row in enumerate(value):
                _collect_parts(row, f"{here}[{index}].", found)
        else:
            found.append((here, field, value, settings))


def read_names(settings: SettingsPart) -> frozenset[str]:
    """The variables that the templates and expressions in the settings look at."""
    found = [value.names for _, _, value, _ in parts(settings) if isinstance(value, READERS)]
    return frozenset[str]().union(*found)


def written_fields(settings: SettingsPart) -> Iterator[tuple[str, str]]:
    """The fields that name a variable to write to: path and name."""
    for path, field, value, _ in parts(settings):
        if isinstance(field, VariableField) and field.writes and value:
            yield path, value


def written_names(settings: SettingsPart) -> frozenset[str]:
    """The variables that the settings name as places to write to."""
    return frozenset(name for _, name in written_fields(settings))


def next_nodes(settings: SettingsPart) -> Iterator[NextNode]:
    """The next nodes that the settings name. A row or group that is an exit itself knows its `handle`."""
    for path, field, value, owner in parts(settings):
        if isinstance(field, NextNodeField) and value is not None:
            yield NextNode(field.handle or str(getattr(owner, "handle", "")), value, path)
