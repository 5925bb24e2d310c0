"""One turn, computed: from a held lane and what happened to it, to everything that is to be written.

No I/O here. Whatever a turn changes is in its `TurnWrites`; the lane itself changes only once they are written.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from common.flow.executor import run
from common.flow.replay import LoggedTurn
from common.flow.restart import Restart, Resume
from common.flow.turn import Surroundings
from common.model.bots import BotConfig
from common.model.contacts import Channel, Contact, channel_of
from common.model.events import Event, MessageKind, MessageReceived, TimerFired
from common.model.jobs import Job, JobKind
from common.model.pair_pace import PairPace
from common.model.reply_window import WINDOW_CLOSED, WINDOW_CLOSED_REASON
from common.model.session import Session, SessionStatus
from common.model.simulation import TestSettings
from common.model.turn_records import OutboundMessage, Step
from common.model.values import Value
from common.store.messages import (
    OutboxMessage,
    inbound_document,
    outbound_document,
    outbox_message,
)
from common.store.sessions import StoredSession, session_document
from common.store.turns import TurnWrites
from worker import simulation
from worker.beginnings import new_session, take_up
from worker.counting import TurnFacts, count_recorded, count_turn
from worker.directory import Directory
from worker.held_lane import HeldLane
from worker.inbound import Inbound, read_message
from worker.step_log import TurnOrigin, step_documents

_MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class ComputedTurn:
    """A turn ready to be written, and what the lane is afterwards."""

    writes: TurnWrites
    contact: Contact
    stored: StoredSession | None
    outbox: list[OutboxMessage] = field(default_factory=list)
    read_message_id: str | None = None  # the customer's message to mark as read
    node_count: int = 0


class CannotRun(Exception):  # noqa: N818 - says what is the case
    """A job that cannot be run and never will be; the message says why."""


@dataclass(frozen=True, slots=True)
class TurnSettings:
    """The settings that a turn depends on."""

    inbound_per_minute: int
    keeps_variables_in_log: bool
    pair_seconds: float


def compute(
    lane: HeldLane, job: Job | None, directory: Directory, settings: TurnSettings, now: datetime
) -> ComputedTurn:
    """The turn that a job (or, without one, the answer of a call) causes. Raises CannotRun.

    Anything else that is raised is our own fault; the job is then tried again later.
    """
    turn = TurnBuilder(lane, job, directory, settings, now).build()
    simulation.number(turn.writes)
    return turn


@dataclass(slots=True)
class Result:
    """What the engine made of an event, as far as it is written."""

    session: Session
    messages: list[OutboundMessage] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    bot_variables_read: dict[str, Value] = field(default_factory=dict)
    recorded_as: str | None = None


class TurnBuilder:
    """Builds one turn."""

    def __init__(
        self, lane: HeldLane, job: Job | None, directory: Directory, settings: TurnSettings, now: datetime
    ) -> None:
        if lane.bot is None or lane.contact is None:
            raise CannotRun("the bot of this conversation does not exist any more")
        self.lane = lane
        self.job = job
        self.bot: BotConfig = lane.bot
        self.contact = replace(lane.contact)
        self.directory = directory
        self.settings = settings
        self.real_now = now
        self.now = now + simulation.clock_offset(self.contact)
        self.request_id = job.request_id if job else lane.request_id
        self.channel = channel_of(lane.name)
        self.writes = TurnWrites(lease=lane.lease, job_id=job.job_id if job else None)
        self.inbound: Inbound | None = None
        self.note: str | None = None
        self.taken_up: Resume | Restart | None = None

    def build(self) -> ComputedTurn:
        event = self._event()
        stored = self.lane.stored
        if event is None or (stored is None and not isinstance(event, MessageReceived)):
            return self._recorded(stored)  # no session: a timer or an answer that came too late
        if stored is None:
            stored = self._new_session()
            if stored is None:
                self.note = "no_live_flow"
                return self._recorded(None)
        return self._run(stored, event)

    def build_failure(self, code: str, message: str) -> ComputedTurn:
        event = self._event()
        if event is None:
            return self._recorded(self.lane.stored)
        stored = self.lane.stored or self._new_session()
        return self._failed(stored, event, code, message) if stored else self._recorded(None)

    def _event(self) -> Event | None:
        """What happened; None where it is only recorded."""
        if self.job is None:
            return self.lane.answer
        if self.job.kind is JobKind.TIMER:
            return self._timer(json.loads(self.job.payload))
        self.inbound = read_message(self.job, self.now)
        self._meet(self.inbound)
        self.note = self._why_only_recorded(self.inbound)
        return None if self.note else MessageReceived(self.inbound.message)

    def _timer(self, payload: dict[str, Any]) -> TimerFired | None:
        stored = self.lane.stored
        if stored is None or stored.session.session_id != payload["sessionId"]:
            self.writes.outcome = "stale_timer"
            return None
        if self.contact.is_bot_paused:  # it is set anew when the bot goes on
            self.note = "bot_paused"
            return None
        return TimerFired(payload["waitId"])

    def _why_only_recorded(self, inbound: Inbound) -> str | None:
        if inbound.message.kind is MessageKind.PASSIVE:
            return "passive"
        if self.contact.is_bot_paused:
            return "bot_paused"
        return "rate_limited" if self._is_over_rate() else None

    def _meet(self, inbound: Inbound) -> None:
        contact = self.contact
        if inbound.sender.simulated_as:
            contact.test = contact.test or TestSettings()
        contact.profile_name = inbound.profile_name or contact.profile_name
        contact.wa_id = inbound.sender.wa_id or contact.wa_id
        contact.bsuid = inbound.sender.bsuid or contact.bsuid
        known = [*contact.aliases, *inbound.sender.aliases, *inbound.other_aliases]
        # Two contacts are never made one: an id that is another one's stays there.
        contact.aliases = tuple(a for a in dict.fromkeys(known) if a not in self.lane.foreign_aliases)
        if inbound.message.kind is MessageKind.PASSIVE and inbound.message.type != "reaction":
            return  # system notices and the like are no words of the customer: they open no window
        contact.heard_from(inbound.message.sent_at, inbound.phone_number_id)

    def _is_over_rate(self) -> bool:
        contact = self.contact
        if contact.inbound_since is None or self.now - contact.inbound_since >= _MINUTE:
            contact.inbound_since, contact.inbound_count = self.now, 0
        contact.inbound_count += 1
        return contact.inbound_count > self.settings.inbound_per_minute

    def _new_session(self) -> StoredSession | None:
        return new_session(self.bot, self.contact, self.channel, self.inbound, self.real_now)

    def _recorded(self, stored: StoredSession | None) -> ComputedTurn:
        """Nothing runs; a message is kept in the transcript with the reason."""
        session_id = stored.session.session_id if stored else None
        self._add_inbound(session_id)
        if self.inbound is not None:
            self.writes.counted = count_recorded(self.bot.bot_id, self.channel, stored)
        if self.writes.outcome is None:
            self.writes.outcome = self.note
        if self.contact.aliases:  # or it would be nobody: a timer of somebody who was deleted meanwhile
            self.writes.contact = self.contact
        return ComputedTurn(self.writes, self.contact, stored)

    def _add_inbound(self, session_id: str | None) -> None:
        if self.inbound is None or self.job is None:
            return
        self.contact.message_seq += 1
        self.writes.messages.append(
            inbound_document(
                message_id=self.job.job_id,
                session_id=session_id,
                lane=self.lane.name,
                bot_id=self.bot.bot_id,
                contact_id=self.contact.contact_id,
                seq=self.contact.message_seq,
                message=self.inbound.message,
                phone_number_id=self.job.phone_number_id,
                request_id=self.request_id,
                note=self.note,
                now=self.now,
            )
        )

    def _run(self, stored: StoredSession, event: Event) -> ComputedTurn:
        taken = take_up(stored, event, self.bot, self.directory)
        stored, self.taken_up = taken.stored, taken.how
        if taken.is_offline:
            self.note = "no_live_flow"
            return self._recorded(stored)
        loaded = self.directory.flow(stored.session.flow_version_id)
        if loaded is None or loaded[1].flow is None:
            return self._failed(
                stored, event, "flow.unusable", "The flow of this conversation cannot be run."
            )
        begins = isinstance(taken.how, Restart)
        turn = run(loaded[1].flow, stored.session, event, self._surroundings(), begins=begins)
        if turn.ignored:
            self.writes.outcome = "stale"
            return self._recorded(stored)
        taken.explain(turn.steps)
        result = Result(turn.session, turn.messages, turn.steps, turn.bot_variables_read, turn.recorded_as)
        return self._written(stored, event, result)

    def _names(self) -> dict[str, str]:
        return {
            "user_name": self.contact.profile_name,
            "user_phone": self.contact.wa_id or "",
            "message_id": self.inbound.message.message_id if self.inbound else "",
            "user_id": self.bot.user_id,
        }

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            now=self.now,
            bot_variables=self.bot.variables,
            stopwatch=time.perf_counter,
            breakpoints=frozenset(self._test.breakpoints),
            stops_at_each_node=self._test.stops_at_each_node,
            **self._names(),
        )

    @property
    def _test(self) -> TestSettings:
        return self.contact.test or TestSettings()

    def _written(self, stored: StoredSession, event: Event, turn: Result) -> ComputedTurn:
        session = turn.session
        before = stored.session
        after = replace(stored, session=session)
        if before.node_id is None:
            after.started_at = self.now
        self.note = turn.recorded_as
        self._add_inbound(session.session_id)
        documents = self._outbound(session, stored.flow_id, turn)
        self.writes.messages.extend(documents)
        self.writes.steps = self._steps(session, event, turn)
        if session.wait is None or session.wait is not before.wait:
            after.call_starts = 0
        self.writes.session = session_document(
            after,
            self.now,
            self.contact.wa_id,
            self.lane.name,
            resume_at=simulation.resume_at(after, self.contact),
        )
        self.writes.session["fence"] = self.lane.lease.fence
        self.writes.rev_before = stored.rev
        is_open = session.status.is_open
        self.writes.clears_variables = not is_open
        if is_open:
            old = before.variables if stored.rev else {}
            self.writes.variables_set = {
                name: value
                for name, value in session.variables.items()
                if name not in old or old[name] is not value
            }
            self.writes.variables_deleted = tuple(name for name in old if name not in session.variables)
        self._count_pair(len(documents))
        self.writes.contact = self.contact
        heard, said = self.inbound is not None, len(turn.messages)
        facts = TurnFacts(self.lane.stored, stored, after, event, turn.steps, heard, said, self.now)
        self.writes.counted = count_turn(facts)
        after.rev += 1
        return ComputedTurn(
            self.writes,
            self.contact,
            after if is_open else None,
            outbox=[outbox_message(document) for document in documents if "open" in document],
            read_message_id=self.inbound.message.message_id if self.inbound else None,
            node_count=len(turn.steps),
        )

    def _count_pair(self, sends: int) -> None:
        """Meta limits how fast one contact may be written to; the contact remembers, whoever sends next."""
        pace, _ = PairPace(self.contact.pace_level, self.contact.pace_at or self.now).after(
            self.now, sends, seconds=self.settings.pair_seconds
        )
        self.contact.pace_level, self.contact.pace_at = pace.level, pace.at

    def _outbound(self, session: Session, flow_id: str, turn: Result) -> list[dict[str, Any]]:
        documents = []
        account = self.bot.account
        for place, message in enumerate(turn.messages):
            self.contact.message_seq += 1
            documents.append(
                outbound_document(
                    message_id=f"{session.session_id}:{session.turn}:{place}",
                    session_id=session.session_id,
                    lane=self.lane.name,
                    bot_id=self.bot.bot_id,
                    contact_id=self.contact.contact_id,
                    seq=self.contact.message_seq,
                    message=message,
                    phone_number_id=account.phone_number_id if account else None,
                    request_id=self.request_id,
                    is_open=self.channel is Channel.WHATSAPP,
                    now=self.now,
                    flow_id=flow_id,
                    version_id=session.flow_version_id,
                )
            )
            if self.channel is Channel.SIMULATOR:
                self._judge_window(documents[-1], turn.steps)
        return documents

    def _judge_window(self, document: dict[str, Any], steps: list[Step]) -> None:
        if simulation.refuse_outside_window(document, self.contact, self.now):
            for step in steps:
                if step.node_id == document["nodeId"]:
                    step.notes.append(f"A message was not sent: {WINDOW_CLOSED_REASON} ({WINDOW_CLOSED})")
                    break

    def _steps(self, session: Session, event: Event, turn: Result) -> list[dict[str, Any]]:
        steps = turn.steps or [Step(session.node_id or "", "NONE", notes=[turn.recorded_as or "recorded"])]
        origin = TurnOrigin(
            bot_id=self.bot.bot_id,
            lane=self.lane.name,
            fence=self.lane.lease.fence,
            job_id=self.writes.job_id,
            request_id=self.request_id,
            now=self.now,
        )
        test = self._test
        keeps = self.settings.keeps_variables_in_log or self.channel is Channel.SIMULATOR
        cause = LoggedTurn(
            turn=session.turn,
            event=event,
            now=self.now,
            bot_variables=turn.bot_variables_read,
            breakpoints=test.breakpoints,
            stops_at_each_node=test.stops_at_each_node,
            taken_up=self.taken_up,
            **self._names(),
        )
        return step_documents(steps, session, cause, origin, keeps_variables=keeps)

    def _failed(self, stored: StoredSession, event: Event, code: str, message: str) -> ComputedTurn:
        """The session ends here, with the reason in its log."""
        session = replace(
            stored.session, status=SessionStatus.FAILED, turn=stored.session.turn + 1, wait=None
        )
        step = Step(session.node_id or "", "NONE", error=code, message=message)
        return self._written(stored, event, Result(session, steps=[step]))


def compute_failure(
    lane: HeldLane,
    job: Job | None,
    directory: Directory,
    settings: TurnSettings,
    now: datetime,
    *,
    code: str,
    message: str,
) -> ComputedTurn:
    """The turn that ends a conversation whose real turn cannot be stored: the session fails, with the reason."""
    turn = TurnBuilder(lane, job, directory, settings, now).build_failure(code, message)
    simulation.number(turn.writes)
    return turn
