"""One session's history while somebody looks at it: the flow versions it ran on, and its turns run again."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from api.history.known_flow import SHELF, KnownFlow
from common.flow.definition import Flow
from common.flow.replay import LoggedTurn
from common.flow.retrace import CannotRetrace, LoggedRun, RanTurn, retrace
from common.model.session import Session
from common.model.turn_records import Step
from common.model.values import Value
from common.store.database import Document
from common.store.store import Store

# Running 2,000 steps again takes a tenth of a second; who asks for more than that gets the log as it is.
MOST_STEPS_AGAIN: Final = 2_000
MOST_CHARACTERS_AGAIN: Final = 20_000_000  # of events, that is, of the answers among them
_TOO_LONG = "This conversation is too long to be run again."
_EXPIRED = "The log of this conversation is not kept any more."
_CUT_OFF = "NONE"  # the node type of a step that no node took


@dataclass(slots=True)
class SessionRecord:
    """`session` is the stored document. What is asked for twice is read once."""

    store: Store
    session: Document
    _again: dict[int, tuple[list[RanTurn], str | None]] = field(default_factory=dict)
    _flows: dict[str, KnownFlow | None] = field(default_factory=dict)

    @property
    def session_id(self) -> str:
        session_id: str = self.session["_id"]
        return session_id

    def flow(self, version_id: str | None) -> KnownFlow | None:
        """A version that this session ran on."""
        if not version_id:
            return None
        if version_id not in self._flows:
            self._flows[version_id] = SHELF.get(self.store, version_id)
        return self._flows[version_id]

    def label(self, step: Document) -> str:
        """What a person calls the node of a step."""
        known = self.flow(step.get("flowVersionId"))
        return known.label(step["nodeId"]) if known else str(step["nodeId"])

    def run_again(self, until_turn: int) -> tuple[dict[int, RanTurn], str | None]:
        """The turns up to this one by their numbers, run again; or none, and why not, for people."""
        if until_turn not in self._again:
            try:
                self._again[until_turn] = (self._retrace(until_turn), None)
            except CannotRetrace as why:
                self._again[until_turn] = ([], str(why))
        ran, why_not = self._again[until_turn]
        return {turn.told.turn: turn for turn in ran}, why_not

    def _retrace(self, until_turn: int) -> list[RanTurn]:
        steps = self.store.execution_logs.ways(
            self.session_id,
            until_turn=until_turn,
            most=MOST_STEPS_AGAIN,
            most_characters=MOST_CHARACTERS_AGAIN,
        )
        if steps is None:
            raise CannotRetrace(_TOO_LONG)
        if not steps:
            raise CannotRetrace(_EXPIRED)
        begun = Session(self.session_id, self.session["botId"], self.session["contactId"], "")
        turns = groupby(steps, key=itemgetter("turn"))
        return retrace(begun, [_logged_run(list(of_turn)) for _, of_turn in turns], self._find_flow)

    def _find_flow(self, version_id: str) -> Flow | None:
        known = self.flow(version_id)
        return known.flow if known else None


def _logged_run(steps: list[Document]) -> LoggedRun:
    """Raises CannotRetrace where the entry is not one that a turn wrote."""
    try:
        told = LoggedTurn.from_json(json.loads(steps[0]["cause"]))
        version_id = str(steps[0]["flowVersionId"])
    except (KeyError, TypeError, ValueError):
        raise CannotRetrace(_EXPIRED) from None
    way = tuple((step["nodeId"], step["handle"]) for step in steps)
    return LoggedRun(told, version_id, way, is_cut_off=steps[0]["nodeType"] == _CUT_OFF)


@dataclass(frozen=True, slots=True)
class StepAgain:
    """A step that ran again, with the variables before it and where its messages stand among the turn's."""

    step: Step
    variables: dict[str, Value]
    sent_from: int


def steps_again(ran: RanTurn) -> list[StepAgain]:
    """The steps of a turn in order."""
    variables = dict(ran.before.variables)
    found: list[StepAgain] = []
    sent = 0
    for step in ran.turn.steps if ran.turn is not None else ():
        found.append(StepAgain(step, dict(variables), sent))
        sent += step.sent
        variables.update(step.changes)
        for name in step.deleted:
            variables.pop(name, None)
    return found


def read_json(step: Document, name: str) -> Any:
    """A value that the log keeps as JSON text; None where it has none."""
    text = step.get(name)
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
