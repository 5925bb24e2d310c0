"""Reads the `variables` of flow JSON: names the bot provides, and the session's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from common.flow.definition import DeclaredVariables
from common.flow.variables import VariableTypeError, admit, check_name, coerce
from common.model.issues import Issue
from common.model.values import Value, VariableType


def read_variables(raw: object, issues: list[Issue]) -> DeclaredVariables:
    """Read `{"bot": […], "session": […]}`. An entry is a name, or `{"name", "type"?, "value"?}`."""
    if raw is None:
        return DeclaredVariables()
    if not isinstance(raw, Mapping):
        message = 'The "variables" of a flow must be an object with "bot" and "session".'
        issues.append(Issue.error("variables.not_an_object", message, field="variables"))
        return DeclaredVariables()
    bot = list(_entries(raw.get("bot"), "variables.bot", issues))
    session = list(_entries(raw.get("session"), "variables.session", issues))
    bot_names = frozenset(name for name, _, _ in bot)
    issues += [
        Issue.error(
            "variable.read_only",
            f'"{name}" is declared as a variable of the bot and of the session. Choose one.',
            field="variables.session",
        )
        for name, _, _ in session
        if name in bot_names
    ]
    return DeclaredVariables(
        bot=bot_names,
        session={name: declared for name, declared, _ in session if name not in bot_names},
        samples={name: value for name, _, value in bot if value is not None},
    )


def _entries(
    raw: object, place: str, issues: list[Issue]
) -> Iterator[tuple[str, VariableType | None, Value]]:
    if raw is None:
        return
    if not isinstance(raw, list):
        issues.append(Issue.error("variables.not_a_list", f'"{place}" must be a list of names.', field=place))
        return
    for index, entry in enumerate(raw):
        try:
            yield _entry(entry)
        except ValueError as wrong:
            issues.append(Issue.error("variable.declaration", str(wrong), field=f"{place}[{index}]"))


def _entry(entry: Any) -> tuple[str, VariableType | None, Value]:
    if isinstance(entry, str):
        entry = {"name": entry}
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise ValueError('A variable is declared by its name, or as {"name", "type"}.')  # noqa: TRY004 - wrong JSON
    name, declared, value = entry["name"], entry.get("type"), entry.get("value")
    if wrong := check_name(name):
        raise ValueError(wrong)
    if declared is not None and (not isinstance(declared, str) or declared not in VariableType.__members__):
        raise ValueError(f'The type of "{name}" must be one of: {", ".join(VariableType)}.')
    kind = None if declared is None else VariableType(declared)
    try:
        return name, kind, admit(value) if kind is None else coerce(value, kind)
    except VariableTypeError as refused:
        raise ValueError(f'The value of "{name}" does not fit. {refused}') from refused
