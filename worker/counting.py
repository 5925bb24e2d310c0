"""What a turn adds to the figures. Pure; the amounts are written in the turn's own transaction.

A *run* is one pass of a conversation through a flow: from START, or from where a finished conversation is taken up
again, to its end. Each run begins once and ends at most once, so at any time and for every version

    starts + resumed = completed + endedInError + failed + closed + restarted + runs still open

and the same holds for each node: visits = ways out + ended + failed + closed + restarted + jumped + standing there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from common.model.calls import CallFailed, ChatAnswer, HttpAnswer
from common.model.contacts import Channel
from common.model.counters import (
    OTHER,
    Amounts,
    Counted,
    CountKey,
    NodeFigure,
    Total,
    duration_path,
    edge_path,
    error_path,
    node_error_path,
    node_path,
)
from common.model.events import EffectAnswered, Event
from common.model.session import SessionStatus
from common.model.turn_records import Step
from common.store.sessions import StoredSession

REFUSED_ANSWER: Final = "input.refused"
_CODE: Final = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
_MOST_CODE_CHARACTERS: Final = 60
_NANO: Final = 1_000_000_000
_RUNNING: Final = (SessionStatus.ACTIVE, SessionStatus.PAUSED)


@dataclass(frozen=True, slots=True)
class TurnFacts:
    """What there is to count of a turn.

    `before` is the session as it was stored (None: new), `begun` as the turn took it up, `after` as it is written.
    """

    before: StoredSession | None
    begun: StoredSession
    after: StoredSession
    event: Event | None
    steps: Sequence[Step]
    is_inbound: bool
    queued: int
    now: datetime


def count_recorded(bot_id: str, channel: Channel, stored: StoredSession | None) -> list[Counted]:
    """A customer's message that no flow ran for."""
    if channel is Channel.SIMULATOR:
        return []
    return [(CountKey(bot_id) if stored is None else key_of(stored), {Total.MESSAGES_IN.path: 1})]


def count_turn(facts: TurnFacts) -> list[Counted]:
    """The amounts of a turn: of the version that it ran, and of the one that it left, if it left one.

    Tests in the simulator are not in the figures.
    """
    return [] if facts.after.channel is Channel.SIMULATOR else _Count(facts).counted()


class _Count:
    def __init__(self, facts: TurnFacts) -> None:
        self.facts = facts
        self.amounts: Amounts = {}
        before, begun = facts.before, facts.begun.session
        self.was_running = is_running(before)
        self.is_start = begun.node_id is None
        self.is_resumed = not (self.was_running or self.is_start) and self._is_taken_up()
        self.has_run = self.is_start or self.is_resumed or self.was_running

    def counted(self) -> list[Counted]:
        facts = self.facts
        self._add(Total.TURNS.path)
        if facts.before is None:
            self._add(Total.SESSIONS.path)
        if facts.is_inbound:
            self._add(Total.MESSAGES_IN.path)
        if facts.queued:
            self._add(Total.QUEUED.path, facts.queued)
        if self.is_start:
            self._add(Total.STARTS.path)
        if self.is_resumed:
            self._add(Total.RESUMED.path)
        self._count_steps()
        self._count_end()
        if isinstance(facts.event, EffectAnswered):
            self._count_call(facts.event)
        return [*self._left_behind(), (key_of(facts.after), self.amounts)]

    def _add(self, path: str, amount: int = 1) -> None:
        self.amounts[path] = self.amounts.get(path, 0) + amount

    def _is_taken_up(self) -> bool:
        """Whether a conversation that had ended goes on, or was to and could not."""
        begun, after = self.facts.begun.session, self.facts.after.session
        return begun.status in _RUNNING or after.status is SessionStatus.FAILED

    def _left_behind(self) -> list[Counted]:
        """A run that was under way when this turn began another: it ends here."""
        before = self.facts.before
        if before is None or not (self.was_running and self.is_start):
            return []
        amounts = {Total.RESTARTED.path: 1}
        if before.session.node_id:
            amounts[node_path(before.session.node_id, NodeFigure.RESTARTED)] = 1
        return [(key_of(before), amounts)]

    def _count_steps(self) -> None:
        steps = self.facts.steps
        standing = None if self.is_start or self.is_resumed else self.facts.begun.session.node_id
        if standing and steps and steps[0].node_id != standing:
            self._add(node_path(standing, NodeFigure.JUMPED))
        for place, step in enumerate(steps):
            is_entry = place > 0 or step.node_id != standing
            if is_entry and is_node(step):
                self._add(Total.VISITS.path)
                self._add(node_path(step.node_id, NodeFigure.VISITS))
            # A way that no further step follows was not taken: the turn failed before.
            if step.handle and place < len(steps) - 1:
                self._add(edge_path(step.node_id, step.handle))
            if step.error is not None:
                self._count_error(step.node_id, step.error)
            elif "refused" in step.detail:
                self._count_error(step.node_id, REFUSED_ANSWER)

    def _count_error(self, node_id: str, code: str) -> None:
        known = code if len(code) <= _MOST_CODE_CHARACTERS and _CODE.fullmatch(code) else OTHER
        self._add(Total.ERRORS.path)
        self._add(error_path(known))
        if node_id:
            self._add(node_error_path(node_id, known))

    def _count_end(self) -> None:
        if not self.has_run:
            return
        facts = self.facts
        status, last = facts.after.session.status, facts.steps[-1] if facts.steps else None
        node_id = facts.after.session.node_id or ""
        if last is not None and "endType" in last.detail:
            is_normal = last.detail["endType"] == "NORMAL"
            self._end(Total.COMPLETED if is_normal else Total.ENDED_IN_ERROR, node_id, NodeFigure.ENDED)
            self._count_duration(facts.now - (facts.after.started_at or facts.after.created_at))
        elif status is SessionStatus.FAILED:
            came_there = self.was_running or (last is not None and is_node(last))
            self._end(Total.FAILED, node_id if came_there else "", NodeFigure.FAILED)
        elif status not in _RUNNING:
            self._end(Total.CLOSED, node_id, NodeFigure.CLOSED)

    def _end(self, total: Total, node_id: str, figure: NodeFigure) -> None:
        self._add(total.path)
        if node_id:
            self._add(node_path(node_id, figure))

    def _count_duration(self, lasted: timedelta) -> None:
        milliseconds = max(0, round(lasted.total_seconds() * 1000))
        self._add(Total.DURATIONS.path)
        self._add(Total.DURATION_MS.path, milliseconds)
        self._add(duration_path(milliseconds / 1000))

    def _count_call(self, event: EffectAnswered) -> None:
        match event.answer:
            case HttpAnswer():
                self._add(Total.API_CALLS.path)
            case ChatAnswer() as answer:
                self._add(Total.AI_CALLS.path)
                self._add(Total.PROMPT_TOKENS.path, max(0, answer.prompt_tokens))
                self._add(Total.COMPLETION_TOKENS.path, max(0, answer.completion_tokens))
                if answer.cost_usd is None:
                    self._add(Total.UNPRICED.path)
                else:
                    self._add(Total.COST_NANO_USD.path, max(0, round(answer.cost_usd * _NANO)))
            case CallFailed() as failed:
                stands_at = self.facts.steps[0].node_type if self.facts.steps else ""
                is_ai = failed.code.startswith("ai.") or stands_at == "AI"
                self._add((Total.AI_CALLS if is_ai else Total.API_CALLS).path)
                self._add((Total.AI_FAILURES if is_ai else Total.API_FAILURES).path)


def is_running(stored: StoredSession | None) -> bool:
    """Whether a run is under way in this session."""
    return stored is not None and stored.session.node_id is not None and stored.session.status in _RUNNING


def is_node(step: Step) -> bool:
    """Whether a step is that of a node; one that only carries a failure is not."""
    return step.node_type not in ("", "NONE")


def key_of(stored: StoredSession) -> CountKey:
    """What a session's turns are counted for."""
    return CountKey(stored.session.bot_id, stored.flow_id, stored.session.flow_version_id)
