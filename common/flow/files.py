"""One flow as a file: what is exported can be imported, here or elsewhere, and exported again to the same bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from common.flow.shape import Problems, shape_problems
from common.model.flow_content import content_of

FORMAT: Final = "whatsapp-flow-builder/flow"
FORMAT_VERSION: Final = 1
NAME_MOST: Final = 120
DESCRIPTION_MOST: Final = 2000
_FIELDS: Final = ("format", "formatVersion", "name", "description", "flow")
_UNNAMED: Final = "Imported flow"


class BadFile(ValueError):  # noqa: N818 - what the file is
    """The file cannot be imported; `problems` says why, by place in the file."""

    def __init__(self, problems: Problems) -> None:
        super().__init__("the file cannot be imported")
        self.problems = problems


@dataclass(frozen=True, slots=True)
class FlowFile:
    """What a file holds. `flow_data` has no ids of where it comes from."""

    name: str
    description: str
    flow_data: dict[str, Any]


def flow_file(name: str, description: str, flow_data: Mapping[str, Any]) -> dict[str, Any]:
    """A flow as a file: no ids, no times, so that the same flow always gives the same file."""
    return {
        "format": FORMAT,
        "formatVersion": FORMAT_VERSION,
        "name": name,
        "description": description,
        "flow": content_of(flow_data),
    }


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
    return (
        " ".join("".join(c if c.isprintable() else " " for c in text).split())[:NAME_MOST].strip() or _UNNAMED
    )
