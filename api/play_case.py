"""Writes what was played as a conversation test (the format of tests/conversations)."""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from common.flow.replay import path_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from common.flow.turn import Turn
    from common.model.session import Session
    from common.model.turn_records import OutboundMessage


@dataclass(slots=True)
class CaseRecorder:
    """Keeps the steps of a play. `name` and `flow` stand in the case as they are."""

    name: str
    flow: str
    given: dict[str, Any]
    script: list[dict[str, Any]] = field(default_factory=list)
    path: list[str] = field(default_factory=list)

    def add(self, did: dict[str, Any], turns: Iterable[Turn], calls: list[dict[str, Any]]) -> None:
        """One thing that the customer did (or time that passed), and what followed."""
        turns = list(turns)
        steps = [step for turn in turns for step in turn.steps]
        self.path += path_of(steps)
        step = dict(did)
        if calls:
            step["calls"] = calls
        shown = [_shown(message) for turn in turns for message in turn.messages]
        notes = [note for taken in steps for note in taken.notes]
        recorded = next((turn.recorded_as for turn in turns if turn.recorded_as), None)
        error = next((taken.error for taken in steps if taken.error), None)
        found = {"recorded": recorded, "bot": shown, "notes": notes, "error": error}
        self.script.append(step | {key: value for key, value in found.items() if value})

    def to_yaml(self, session: Session) -> str:
        """The case, with the end as it stands now."""
        case: dict[str, Any] = {
            "name": self.name,
            "flow": self.flow,
            "given": self.given,
            "script": self.script,
        }
        case["ends"] = {
            "status": session.status.value,
            "variables": session.variables,
            "path": self.path,
        }
        yaml = YAML()
        yaml.allow_unicode = True
        yaml.width = 100
        yaml.representer.ignore_aliases = lambda *_: True
        yaml.indent(mapping=2, sequence=4, offset=2)
        text = io.StringIO()
        yaml.dump([case], text)
        return textwrap.dedent(text.getvalue())


def _shown(message: OutboundMessage) -> Any:
    if not message.buttons:
        return message.text
    return {"text": message.text, "buttons": [button.title for button in message.buttons]}
