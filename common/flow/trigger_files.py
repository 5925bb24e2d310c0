"""Triggers as files have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from common.flow.shape import Problems
from common.model.flow_settings import Match, Trigger
from common.model.triggers import repeated

MOST_TRIGGERS: Final = 20
TRIGGER_MOST: Final = 100
_FIELDS: Final = ("text", "match", "interrupts")


def triggers_in_file(triggers: Iterable[Trigger]) -> list[dict[str, Any]]:
    """Triggers as `read_triggers` reads them."""
    return [
        {"text": trigger.text, "match": trigger.match.value, "interrupts": trigger.interrupts}
        for trigger in triggers
    ]


def read_triggers(value: object) -> tuple[tuple[Trigger, ...], Problems]:
    """The triggers, and what is wrong with them by place (`[0].text`; "" is the whole)."""
    if not isinstance(value, list):
        return (), {"": ["This must be a list."]}
    if len(value) > MOST_TRIGGERS:
        return (), {"": [f"There are {len(value)} of them; {MOST_TRIGGERS} are allowed."]}
    problems: Problems = {}
    triggers = [_trigger(each, f"[{index}]", problems) for index, each in enumerate(value)]
    for index in repeated(triggers):
        problems.setdefault(
            f"[{index}].text", ["This trigger says what an earlier one says, or nothing at all."]
        )
    return tuple(triggers), problems


def _trigger(value: object, place: str, problems: Problems) -> Trigger:
    if not isinstance(value, Mapping):
        problems[place] = ["This must be an object."]
        return Trigger("")
    problems |= {
        f"{place}.{str(key)[:64]}": ["There is no such field."] for key in value if key not in _FIELDS
    }
    text, match, interrupts = value.get("text"), value.get("match"), value.get("interrupts", False)
    if not isinstance(text, str) or len(text) > TRIGGER_MOST or not text.strip():
        problems[f"{place}.text"] = [f"This must be a text of 1 to {TRIGGER_MOST} characters."]
        text = ""
    if not isinstance(match, str) or match not in Match.__members__:
        problems[f"{place}.match"] = [f"This must be one of {', '.join(Match.__members__)}."]
        match = Match.EXACT
    if not isinstance(interrupts, bool):
        problems[f"{place}.interrupts"] = ["This must be true or false."]
    return Trigger(text, Match(match), interrupts is True)
