"""A whole bot as a file: its variables and flows with their settings, no keys of its connections, no customers.

What somebody wrote into a variable or a flow is in it, also where that is a secret.
Without ids and times, so that what is imported is exported to the same file again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from common.flow.bot_variables import name_problem, value_problem
from common.flow.files import DESCRIPTION_MOST, NAME_MOST, BadFile, flow_file, read_flow_file
from common.flow.shape import MOST_PROBLEMS, Problems
from common.flow.trigger_files import read_triggers, triggers_in_file
from common.flow.variables import MAX_SESSION_BYTES, json_size
from common.model.bot_parts import MOST_FLOWS, BotParts, FlowPart, VariablePart
from common.model.flow_settings import RestartPolicy
from common.model.names import is_one_line, one_line
from common.model.triggers import Claimed, collision
from common.model.values import VariableType

FORMAT: Final = "whatsapp-flow-builder/bot"
FORMAT_VERSION: Final = 1
MOST_VARIABLES: Final = 500
VARIABLE_DESCRIPTION_MOST: Final = 500
MOST_DAYS: Final = 3650

_FIELDS: Final = {
    "": ("format", "formatVersion", "name", "description", "settings", "variables", "defaultFlow", "flows"),
    "settings": ("retention",),
    "settings.retention": ("messageDays", "executionLogDays"),
    "variable": ("name", "type", "value", "description"),
    "flow": ("file", "settings", "triggers"),
    "flow.settings": ("restartPolicy", "fallbackFlow"),
}


def bot_file(bot: BotParts) -> dict[str, Any]:
    """The bot as a file."""
    return {
        "format": FORMAT,
        "formatVersion": FORMAT_VERSION,
        "name": bot.name,
        "description": bot.description,
        "settings": {"retention": {name: bot.retention.get(name) for name in _FIELDS["settings.retention"]}},
        "variables": [
            {"name": one.name, "type": one.kind.value, "value": one.value, "description": one.description}
            for one in bot.variables
        ],
        "defaultFlow": bot.default_flow,
        "flows": [
            {
                "file": flow_file(flow.name, flow.description, flow.flow_data),
                "settings": {"restartPolicy": flow.restart_policy.value, "fallbackFlow": flow.fallback},
                "triggers": triggers_in_file(flow.triggers),
            }
            for flow in bot.flows
        ],
    }


def read_bot_file(value: object) -> BotParts:
    """Read a file that `bot_file` made. Raises BadFile with every place that is wrong, up to a number."""
    reader = _Reader()
    parts = reader.read(value)
    if reader.problems or parts is None:
        raise BadFile(reader.problems)
    return parts


class _Reader:
    """Reads on past what is wrong, to tell all of it at once."""

    def __init__(self) -> None:
        self.problems: Problems = {}

    def read(self, value: object) -> BotParts | None:
        if not isinstance(value, Mapping) or value.get("format") != FORMAT:
            self._wrong("format", f'This is no file of a bot: "format" must be "{FORMAT}".')
            return None
        version = value.get("formatVersion")
        if isinstance(version, bool) or version != FORMAT_VERSION:
            self._wrong(
                "formatVersion", f"This version of the format is not known here; {FORMAT_VERSION} is."
            )
            return None
        self._object(value, "", _FIELDS[""])
        flows = tuple(
            flow
            for place, each in self._list(value.get("flows"), "flows", MOST_FLOWS)
            if (flow := self._flow(each, place)) is not None
        )
        default = self._optional_name(value.get("defaultFlow"), "defaultFlow")
        if not self.problems:
            self._flows_together(flows, default)
        return BotParts(
            name=self._name(value.get("name")),
            description=self._text(value.get("description"), "description", DESCRIPTION_MOST),
            retention=self._retention(value.get("settings")),
            variables=self._variables(value.get("variables")),
            flows=flows,
            default_flow=default,
        )

    # Parts

    def _retention(self, settings: object) -> dict[str, int | None]:
        retention = self._object(settings, "settings", _FIELDS["settings"]).get("retention")
        known = self._object(retention, "settings.retention", _FIELDS["settings.retention"])
        days: dict[str, int | None] = {}
        for name in _FIELDS["settings.retention"]:
            value = known.get(name)
            days[name] = _days(value)
            if value is not None and days[name] is None:
                self._wrong(f"settings.retention.{name}", f"This must be a number of days, 1 to {MOST_DAYS}.")
        return days

    def _variables(self, value: object) -> tuple[VariablePart, ...]:
        found: dict[str, VariablePart] = {}
        size = 0
        for place, each in self._list(value, "variables", MOST_VARIABLES):
            variable = self._variable(each, place)
            if variable is None:
                continue
            if variable.name in found:
                self._wrong(f"{place}.name", f'Two variables are called "{variable.name}".')
            found[variable.name] = variable
            size += json_size(variable.value)
        if size > MAX_SESSION_BYTES:
            self._wrong("variables", f"Together they hold at most {MAX_SESSION_BYTES // 1024} KiB.")
        return tuple(found.values())

    def _variable(self, value: object, place: str) -> VariablePart | None:
        given = self._object(value, place, _FIELDS["variable"])
        name, kind = given.get("name"), given.get("type")
        wrong = name_problem(name) if isinstance(name, str) else "This must be a text."
        if wrong is not None or not isinstance(name, str):
            self._wrong(f"{place}.name", wrong or "")
            return None
        if not isinstance(kind, str) or kind not in VariableType.__members__:
            self._wrong(f"{place}.type", f"This must be one of {', '.join(VariableType)}.")
            return None
        wrong = value_problem(given.get("value"), VariableType(kind))
        if wrong is not None:
            self._wrong(f"{place}.value", wrong)
            return None
        about = self._text(given.get("description"), f"{place}.description", VARIABLE_DESCRIPTION_MOST)
        return VariablePart(name, VariableType(kind), given["value"], about)

    def _flow(self, value: object, place: str) -> FlowPart | None:
        given = self._object(value, place, _FIELDS["flow"])
        try:
            file = read_flow_file(given.get("file"))
        except BadFile as bad:
            for inner, why in bad.problems.items():
                self._wrong(f"{place}.file.{inner}" if inner else f"{place}.file", why[0])
            return None
        settings = self._object(given.get("settings"), f"{place}.settings", _FIELDS["flow.settings"])
        policy = self._choice(
            settings.get("restartPolicy"), f"{place}.settings.restartPolicy", tuple(RestartPolicy.__members__)
        )
        fallback = self._optional_name(settings.get("fallbackFlow"), f"{place}.settings.fallbackFlow")
        triggers, problems = read_triggers(given.get("triggers"))
        for inner, why in problems.items():
            self._wrong(f"{place}.triggers{inner}", why[0])
        return FlowPart(
            file.name, file.description, file.flow_data, RestartPolicy(policy), fallback, triggers
        )

    def _flows_together(self, flows: tuple[FlowPart, ...], default: str | None) -> None:
        """Names are there once, what they refer to is there, and nobody goes round in circles."""
        by_name: dict[str, FlowPart] = {}
        for index, flow in enumerate(flows):
            if flow.name in by_name:
                self._wrong(f"flows[{index}].file.name", f'Two flows are called "{flow.name}".')
            by_name[flow.name] = flow
        if default is not None and default not in by_name:
            self._wrong("defaultFlow", f'The file has no flow "{default}".')
        before: list[Claimed] = []
        for index, flow in enumerate(flows):
            found = collision(flow.triggers, before)
            if found is not None:
                where = f"flows[{index}].triggers[{flow.triggers.index(found.trigger)}].text"
                self._wrong(where, f'The flow "{found.other.name}" has this trigger already.')
            before.append(Claimed(flow.name, flow.name, flow.triggers))
            wrong = _fallback_problem(flow, by_name)
            if wrong is not None:
                self._wrong(f"flows[{index}].settings.fallbackFlow", wrong)

    # Values

    def _wrong(self, place: str, why: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.setdefault(place, []).append(why)

    def _object(self, value: object, place: str, names: tuple[str, ...]) -> Mapping[str, Any]:
        if not isinstance(value, Mapping):
            self._wrong(place, "This must be an object.")
            return {}
        for key in value:
            if key not in names:
                shown = str(key)[:64]
                self._wrong(f"{place}.{shown}" if place else shown, "There is no such field.")
        return value

    def _list(self, value: object, place: str, most: int) -> Iterator[tuple[str, object]]:
        if not isinstance(value, list):
            self._wrong(place, "This must be a list.")
        elif len(value) > most:
            self._wrong(place, f"There are {len(value)} of them; {most} are allowed.")
        else:
            yield from ((f"{place}[{index}]", each) for index, each in enumerate(value))

    def _text(self, value: object, place: str, most: int, *, is_required: bool = False) -> str:
        if not isinstance(value, str) or len(value) > most or (is_required and not value.strip()):
            least = "1 to " if is_required else "up to "
            self._wrong(place, f"This must be a text of {least}{most} characters.")
            return ""
        return value

    def _name(self, value: object) -> str:
        text = self._text(value, "name", NAME_MOST, is_required=True)
        if not is_one_line(text):
            self._wrong("name", "A name is one line of text.")
        return text.strip()

    def _optional_name(self, value: object, place: str) -> str | None:
        """The name of a flow, written as the flow's own name is read."""
        return None if value is None else one_line(self._text(value, place, NAME_MOST, is_required=True))

    def _choice(self, value: object, place: str, choices: tuple[str, ...]) -> str:
        if isinstance(value, str) and value in choices:
            return value
        self._wrong(place, f"This must be one of {', '.join(choices)}.")
        return choices[0]


def _days(value: object) -> int | None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return value if is_whole and isinstance(value, int) and 1 <= value <= MOST_DAYS else None


def _fallback_problem(flow: FlowPart, by_name: Mapping[str, FlowPart]) -> str | None:
    if flow.fallback is None:
        if flow.restart_policy is RestartPolicy.FALLBACK_FLOW:
            return "Name the flow that takes over when this one has ended."
        return None
    if flow.fallback not in by_name:
        return f'The file has no flow "{flow.fallback}".'
    seen: set[str] = set()
    ahead: str | None = flow.name
    while ahead is not None and ahead not in seen:
        seen.add(ahead)
        then = by_name.get(ahead)
        hands_over = then is not None and then.restart_policy is RestartPolicy.FALLBACK_FLOW
        ahead = then.fallback if then is not None and hands_over else None
    return "From there it leads back to itself: nobody would get out." if ahead == flow.name else None
