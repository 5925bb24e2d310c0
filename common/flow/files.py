"""One flow as a file: what is exported can be imported, here or elsewhere, and exported again to the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from common.flow.shape import Problems, shape_problems
from common.flow.trigger_files import read_triggers, triggers_in_file
from common.model.flow_content import content_of
from common.model.flow_settings import FlowSettings, RestartPolicy, Trigger
from common.model.names import one_line

FORMAT: Final = "whatsapp-flow-builder/flow"
FORMAT_VERSION: Final = 1
NAME_MOST: Final = 120
DESCRIPTION_MOST: Final = 2000
_FIELDS: Final = ("format", "formatVersion", "name", "description", "flow")
_RULES: Final = ("settings", "triggers")
_SETTINGS: Final = ("restartPolicy", "fallbackFlow")
_POLICIES: Final = (RestartPolicy.RESTART.value, RestartPolicy.RESUME_LAST_NODE.value)
_UNNAMED: Final = "Imported flow"


class BadFile(ValueError):  # noqa: N818 - what the file is
    """The file cannot be imported; `problems` says why, by place in the file."""

    def __init__(self, problems: Problems) -> None:
        super().__init__("the file cannot be imported")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class FlowFile:
    """What a file holds. `flow_data` has no ids of where it comes from. `restart_policy` None: as `flow_data` says."""

    name: str
    description: str
    flow_data: dict[str, Any]
    restart_policy: RestartPolicy | None = None
    triggers: tuple[Trigger, ...] = ()


def flow_file(name: str, description: str, flow_data: Mapping[str, Any]) -> dict[str, Any]:
    """A flow as a file: no ids, no times, so that the same flow always gives the same file."""
    return {
        "format": FORMAT,
        "formatVersion": FORMAT_VERSION,
        "name": name,
        "description": description,
        "flow": content_of(flow_data),
    }


def lone_flow_file(
    name: str,
    description: str,
    flow_data: Mapping[str, Any],
    settings: FlowSettings | None,
    triggers: tuple[Trigger, ...],
) -> dict[str, Any]:
    """A flow as a file of its own, with what is set beside its JSON. It names no other flow: that one stays behind."""
    data = content_of(flow_data)
    inside = data.get("settings")
    if isinstance(inside, Mapping):
        data["settings"] = {key: value for key, value in inside.items() if key != "fallbackFlowId"}
    given = settings.restart_policy.value if settings else data.get("settings", {}).get("restartPolicy")
    policy = given if given in _POLICIES else _POLICIES[0]
    return {
        **flow_file(name, description, data),
        "settings": {"restartPolicy": policy, "fallbackFlow": None},
        "triggers": triggers_in_file(triggers),
    }


def read_lone_flow_file(value: object) -> FlowFile:
    """Read a file that `lone_flow_file` or `flow_file` made, or plain flow JSON. Raises BadFile."""
    if not isinstance(value, Mapping) or "format" not in value:
        return read_flow_file(value)
    file = read_flow_file({key: each for key, each in value.items() if key not in _RULES})
    settings, problems = value.get("settings"), Problems()
    if settings is not None:
        problems |= _below("settings", _settings_problems(settings))
    triggers, wrong = read_triggers(value.get("triggers", []))
    problems |= {f"triggers{inner}": why for inner, why in wrong.items()}
    if problems:
        raise BadFile(problems)
    policy = RestartPolicy(settings["restartPolicy"]) if isinstance(settings, Mapping) else None
    return FlowFile(file.name, file.description, file.flow_data, policy, triggers)


def _settings_problems(settings: object) -> Problems:
    if not isinstance(settings, Mapping):
        return {"": ["This must be an object."]}
    problems: Problems = {
        str(key)[:64]: ["There is no such field."] for key in settings if key not in _SETTINGS
    }
    if settings.get("restartPolicy") not in _POLICIES:
        problems["restartPolicy"] = [f"This must be one of {', '.join(_POLICIES)}."]
    if settings.get("fallbackFlow") is not None:
        problems["fallbackFlow"] = ["The file of one flow names no other one. Choose it after the import."]
    return problems


def read_flow_file(value: object) -> FlowFile:
    """Read a file that `flow_file` made, or plain flow JSON as in docs/examples. Raises BadFile."""
    if not isinstance(value, Mapping):
        raise BadFile({"": ["A flow's file is a JSON object."]})
    if "format" not in value and "nodes" in value:
        return _read_plain(value)
    problems = _envelope_problems(value)
    if not problems:
        problems = _below("flow", shape_problems(value["flow"]))
    if problems:
        raise BadFile(problems)
    return FlowFile(_name(value["name"]), value["description"], content_of(value["flow"]))


def _read_plain(value: Mapping[str, Any]) -> FlowFile:
    problems = shape_problems(value)
    if problems:
        raise BadFile(problems)
    return FlowFile(_name(value.get("flowName", "")), "", content_of(value))


def _envelope_problems(value: Mapping[str, Any]) -> Problems:
    if value.get("format") != FORMAT:
        return {"format": [f'This is no file of a flow: "format" must be "{FORMAT}".']}
    version = value.get("formatVersion")
    if isinstance(version, bool) or version != FORMAT_VERSION:
        return {"formatVersion": [f"This version of the format is not known here; {FORMAT_VERSION} is."]}
    problems: Problems = {str(key)[:64]: ["There is no such field."] for key in value if key not in _FIELDS}
    for name, most in (("name", NAME_MOST), ("description", DESCRIPTION_MOST)):
        text = value.get(name)
        if not isinstance(text, str) or len(text) > most:
            problems[name] = [f"This must be a text of up to {most} characters."]
    if "flow" not in value:
        problems["flow"] = ["The flow itself is missing."]
    return problems


def _below(place: str, problems: Problems) -> Problems:
    return {f"{place}.{inner}" if inner else place: why for inner, why in problems.items()}


def _name(text: str) -> str:
    """The name on one line, as names are."""
    return one_line(text)[:NAME_MOST].strip() or _UNNAMED
