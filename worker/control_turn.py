"""The turn that a person's control causes: closing, pausing, and in tests the debugger's commands.

As any other turn it is computed here and written in one transaction; done twice, it changes nothing more.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from common.flow.controls import close, control_step
from common.flow.executor import run
from common.model.calls import to_json
from common.model.contacts import Channel
from common.model.control import (
    MOST_OFFSET_SECONDS,
    MOST_SECONDS,
    CallMode,
    Control,
    ControlAction,
    ControlOutcome,
    control_from_json,
)
from common.model.jobs import Job
from common.model.session import WaitKind
from common.model.simulation import TestSettings
from common.store.sessions import StoredSession
from worker import simulation
from worker.directory import Directory
from worker.held_lane import HeldLane
from worker.turn import ComputedTurn, Result, TurnBuilder, TurnSettings

_MOST_BREAKPOINTS = 1000
_NEEDS_NODES = frozenset(
    {
        ControlAction.SET_VARIABLE,
        ControlAction.DELETE_VARIABLE,
        ControlAction.STEP,
        ControlAction.CONTINUE,
    }
)


class _Refused(Exception):  # noqa: N818 - never leaves this module
    """It makes no sense here; the message says why."""


class _Unchanged(Exception):  # noqa: N818 - as above
    """It is so already."""


def compute_control(
    lane: HeldLane, job: Job, directory: Directory, settings: TurnSettings, now: datetime
) -> ComputedTurn:
    """The turn of a CONTROL job. Raises CannotRun where the bot is gone."""
    turn = _ControlBuilder(lane, job, directory, settings, now).build_control(json.loads(job.payload))
    simulation.number(turn.writes)
    return turn


class _ControlBuilder(TurnBuilder):
    def build_control(self, payload: dict[str, object]) -> ComputedTurn:
        control = control_from_json(payload)
        try:
            if control.action.is_for_tests and self.channel is not Channel.SIMULATOR:
                raise _Refused("Only a test conversation can do that.")  # noqa: TRY301 - one way out
            if not self.contact.aliases:
                raise _Refused("There is no such contact.")  # noqa: TRY301 - as above
            self._identify(payload)
            turn = self._apply(control)
        except _Refused as refused:
            return self._left(ControlOutcome.REFUSED, str(refused))
        except _Unchanged:
            return self._left(ControlOutcome.UNCHANGED)
        self.writes.outcome = ControlOutcome.APPLIED.value
        return turn

    def _left(self, outcome: ControlOutcome, reason: str | None = None) -> ComputedTurn:
        """Nothing changes; only the job ends."""
        self.writes.outcome, self.writes.outcome_reason = outcome.value, reason
        assert self.lane.contact is not None  # noqa: S101 - or there would be no builder
        return ComputedTurn(self.writes, self.lane.contact, self.lane.stored)

    def _identify(self, payload: dict[str, object]) -> None:
        """A control may be the first that is heard of a contact."""
        contact = payload.get("contact")
        wa_id = contact.get("waId") if isinstance(contact, dict) else None
        if self.contact.wa_id is None and isinstance(wa_id, str):
            self.contact.wa_id = wa_id
        if self.channel is Channel.SIMULATOR:
            self.contact.test = self._test

    def _apply(self, control: Control) -> ComputedTurn:
        for_contact = _FOR_CONTACT.get(control.action)
        if for_contact is not None:
            return for_contact(self, control)
        if self.lane.stored is None:
            raise _Refused("There is no conversation under way.")
        if self._means_another(control):
            raise _Refused("That conversation is over.")
        if self.contact.is_bot_paused:
            raise _Refused("The bot is paused for this contact.")
        return self._logged(self.lane.stored, control)

    def _means_another(self, control: Control) -> bool:
        """Whether it names a session that is not the one under way."""
        stored, wanted = self.lane.stored, control.arguments.get("sessionId")
        return wanted is not None and (stored is None or stored.session.session_id != wanted)

    def close(self, control: Control) -> ComputedTurn:
        stored = self.lane.stored
        if stored is None or self._means_another(control):
            raise _Unchanged
        return self._logged(stored, control)

    def reset(self, control: Control) -> ComputedTurn:
        if self.channel is not Channel.SIMULATOR:
            return self.close(control)
        contact, stored = self.contact, self.lane.stored
        if stored is not None and self._means_another(control):
            raise _Unchanged
        turn = self._logged(stored, control) if stored else None
        contact.test = replace(self._test, clock_offset_seconds=0.0)
        contact.last_inbound_at = contact.pace_at = contact.inbound_since = None
        contact.pace_level, contact.inbound_count = 0.0, 0
        contact.bot_paused_at = contact.bot_paused_by = contact.paused_until = None
        return turn or self._contact_only()

    def pause(self, control: Control) -> ComputedTurn:
        until = _until(control, self.real_now)
        contact = self.contact
        if contact.is_bot_paused and contact.paused_until == until:
            raise _Unchanged
        contact.bot_paused_at = contact.bot_paused_at or self.real_now
        contact.bot_paused_by, contact.paused_until = control.by, until
        return self._with_timer_anew(control)

    def resume(self, control: Control) -> ComputedTurn:
        contact = self.contact
        if not contact.is_bot_paused:
            raise _Unchanged
        contact.bot_paused_at = contact.bot_paused_by = contact.paused_until = None
        return self._with_timer_anew(control)

    def _with_timer_anew(self, control: Control) -> ComputedTurn:
        """Taken off while the bot is paused, set again afterwards: as a job of its own, for the first may be done."""
        stored = self.lane.stored
        if stored is None:
            return self._contact_only()
        return self._logged(replace(stored, timer_arms=stored.timer_arms + 1), control)

    def advance_clock(self, control: Control) -> ComputedTurn:
        stored = self.lane.stored
        if control.arguments.get("toNextTimer") is True:
            wait = stored.session.wait if stored else None
            if wait is None or wait.at is None:
                raise _Refused("No timer waits.")
            seconds = (wait.at - self.now).total_seconds()
            if seconds <= 0:
                raise _Unchanged
        else:
            seconds = _seconds(control)
        offset = self._test.clock_offset_seconds + seconds
        if offset > MOST_OFFSET_SECONDS:
            raise _Refused("The clock of a test moves by ten years at most.")
        self.contact.test = replace(self._test, clock_offset_seconds=offset)
        self.now += timedelta(seconds=seconds)
        return self._logged(stored, control) if stored else self._contact_only()

    def set_breakpoints(self, control: Control) -> ComputedTurn:
        node_ids = control.arguments.get("nodeIds", list(self._test.breakpoints))
        each = control.arguments.get("stepMode", self._test.stops_at_each_node)
        if not isinstance(node_ids, list) or len(node_ids) > _MOST_BREAKPOINTS or not isinstance(each, bool):
            raise _Refused("Breakpoints are a list of node ids.")
        breakpoints = tuple(sorted({str(node_id) for node_id in node_ids}))
        return self._set_test(replace(self._test, breakpoints=breakpoints, stops_at_each_node=each))

    def set_calls(self, control: Control) -> ComputedTurn:
        return self._set_test(replace(self._test, calls=_call_mode(control)))

    def _set_test(self, test: TestSettings) -> ComputedTurn:
        if self.lane.contact is not None and self.lane.contact.test == test:
            raise _Unchanged
        self.contact.test = test
        return self._contact_only()

    def _contact_only(self) -> ComputedTurn:
        self.writes.contact = self.contact
        return ComputedTurn(self.writes, self.contact, self.lane.stored)

    def _logged(self, stored: StoredSession, control: Control) -> ComputedTurn:
        """The engine's turn: what it does to the session, and the step that says so."""
        result = self._with_nodes(stored, control)
        wait, answer = result.session.wait, self.lane.answer
        is_called = wait is not None and wait.kind is WaitKind.EFFECT
        if wait is not None and is_called and answer is not None and self.contact.is_bot_paused:
            # It is worked on when the bot goes on; the call is not made again.
            result.session.wait = replace(wait, answer=to_json(answer.answer))
        return self._written(stored, control, result)

    def _with_nodes(self, stored: StoredSession, control: Control) -> Result:
        loaded = self.directory.flow(stored.session.flow_version_id)
        flow = loaded[1].flow if loaded else None
        if flow is not None:
            turn = run(flow, stored.session, control, self._surroundings())
            if turn.refused:
                raise _Refused(turn.refused)
            return Result(turn.session, turn.messages, turn.steps, turn.bot_variables_read, turn.recorded_as)
        if control.action in _NEEDS_NODES:
            raise _Refused("The flow of this conversation cannot be run.")
        session = replace(stored.session, turn=stored.session.turn + 1)
        if control.action in (ControlAction.CLOSE, ControlAction.RESET):
            close(session)
        return Result(session, steps=[control_step(control, session.node_id or "", "")])


_FOR_CONTACT: dict[ControlAction, Callable[[_ControlBuilder, Control], ComputedTurn]] = {
    ControlAction.CLOSE: _ControlBuilder.close,
    ControlAction.RESET: _ControlBuilder.reset,
    ControlAction.PAUSE: _ControlBuilder.pause,
    ControlAction.RESUME: _ControlBuilder.resume,
    ControlAction.ADVANCE_CLOCK: _ControlBuilder.advance_clock,
    ControlAction.SET_BREAKPOINTS: _ControlBuilder.set_breakpoints,
    ControlAction.SET_CALLS: _ControlBuilder.set_calls,
}


def _until(control: Control, now: datetime) -> datetime | None:
    given = control.arguments.get("until")
    if given is None:
        return None
    try:
        until = datetime.fromisoformat(str(given))
    except ValueError:
        raise _Refused("A pause ends at a time such as 2026-01-31T12:00:00Z.") from None
    until = until.replace(tzinfo=until.tzinfo or UTC, microsecond=until.microsecond // 1000 * 1000)
    if not now < until < now + timedelta(seconds=MOST_OFFSET_SECONDS):
        raise _Refused("A pause ends in the future.")
    return until


def _seconds(control: Control) -> float:
    seconds = control.arguments.get("seconds")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 < seconds <= MOST_SECONDS:
        raise _Refused("A clock moves forward, by a year at most.")
    return float(seconds)


def _call_mode(control: Control) -> CallMode:
    try:
        return CallMode(str(control.arguments.get("calls")))
    except ValueError:
        raise _Refused("Calls are REAL or STAND_IN.") from None
