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
from common.flow.restart import Resume, SwitchFlow, decide, restart, resume
from common.flow.turn import Surroundings
from common.ids import new_ulid
from common.model.bots import BotConfig
from common.model.contacts import Channel, Contact, channel_of
from common.model.events import Event, MessageKind, MessageReceived, TimerFired
from common.model.jobs import Job, JobKind
from common.model.pair_pace import PairPace
from common.model.session import Session, SessionStatus
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
    return _TurnBuilder(lane, job, directory, settings, now).build()


@dataclass(slots=True)
class _Result:
    """What the engine made of an event, as far as it is written."""

    session: Session
    messages: list[OutboundMessage] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    bot_variables_read: dict[str, Value] = field(default_factory=dict)
    recorded_as: str | None = None


class _TurnBuilder:
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
        self.now = now
        self.request_id = job.request_id if job else lane.request_id
        self.channel = channel_of(lane.name)
        self.writes = TurnWrites(lease=lane.lease, job_id=job.job_id if job else None)
        self.inbound: Inbound | None = None
        self.note: str | None = None

    def build(self) -> ComputedTurn:
        event = self._event()
        stored = self.lane.stored
        if event is None or (stored is None and not isinstance(event, MessageReceived)):
            return self._recorded(stored)  # no session: a timer or an answer that came too late
        if stored is None:
            stored = self._new_session(event)
            if stored is None:
                self.note = "no_live_flow"
                return self._recorded(None)
        return self._run(stored, event)

    def build_failure(self, code: str, message: str) -> ComputedTurn:
        event = self._event()
        if event is None:
            return self._recorded(self.lane.stored)
        stored = self.lane.stored or self._new_session(event)
        return self._failed(stored, event, code, message) if stored else self._recorded(None)

    def _event(self) -> Event | None:
        """What happened; None where it is only recorded."""
        if self.job is None:
            return self.lane.answer
        if self.job.kind is JobKind.TIMER:
            payload = json.loads(self.job.payload)
            stored = self.lane.stored
            if stored is None or stored.session.session_id != payload["sessionId"]:
                self.writes.outcome = "stale_timer"
                return None
            return TimerFired(payload["waitId"])
        self.inbound = read_message(self.job, self.now)
        self._meet(self.inbound)
        message = self.inbound.message
        if message.kind is MessageKind.PASSIVE:
            self.note = "passive"
            return None
        if self._is_over_rate():
            self.note = "rate_limited"
            return None
        return MessageReceived(message)

    def _meet(self, inbound: Inbound) -> None:
        contact = self.contact
        contact.profile_name = inbound.profile_name or contact.profile_name
        contact.wa_id = inbound.sender.wa_id or contact.wa_id
        contact.bsuid = inbound.sender.bsuid or contact.bsuid
        known = [*contact.aliases, *inbound.sender.aliases, *inbound.other_aliases]
        # Two contacts are never made one: an id that is another one's stays there.
        contact.aliases = tuple(a for a in dict.fromkeys(known) if a not in self.lane.foreign_aliases)
        if inbound.message.kind is MessageKind.PASSIVE and inbound.message.type != "reaction":
            return  # system notices and the like are no words of the customer: they open no window
        sent_at = inbound.message.sent_at
        if contact.last_inbound_at is None or sent_at > contact.last_inbound_at:
            contact.last_inbound_at = sent_at

    def _is_over_rate(self) -> bool:
        contact = self.contact
        if contact.inbound_since is None or self.now - contact.inbound_since >= _MINUTE:
            contact.inbound_since, contact.inbound_count = self.now, 0
        contact.inbound_count += 1
        return contact.inbound_count > self.settings.inbound_per_minute

    def _new_session(self, event: Event) -> StoredSession | None:
        text = event.message.text if isinstance(event, MessageReceived) else ""
        live = self.bot.flow_for(text)
        if live is None:
            return None
        session = Session(
            session_id=new_ulid(),
            bot_id=self.bot.bot_id,
            contact_id=self.contact.contact_id,
            flow_version_id=live.version_id,
        )
        return StoredSession(session, self.channel, live.flow_id, created_at=self.now)

    def _recorded(self, stored: StoredSession | None) -> ComputedTurn:
        """Nothing runs; a message is kept in the transcript with the reason."""
        session_id = stored.session.session_id if stored else None
        self._add_inbound(session_id)
        if self.writes.outcome is None:
            self.writes.outcome = self.note
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
        stored, event = self._after_end(stored, event)
        loaded = self.directory.flow(stored.session.flow_version_id)
        if loaded is None or loaded[1].flow is None:
            return self._failed(
                stored, event, "flow.unusable", "The flow of this conversation cannot be run."
            )
        turn = run(loaded[1].flow, stored.session, event, self._surroundings())
        if turn.ignored:
            self.writes.outcome = "stale"
            return self._recorded(stored)
        result = _Result(turn.session, turn.messages, turn.steps, turn.bot_variables_read, turn.recorded_as)
        return self._written(stored, event, result)

    def _after_end(self, stored: StoredSession, event: Event) -> tuple[StoredSession, Event]:
        """A message after an END that kept the session: the flow's restart policy decides."""
        if stored.session.status is not SessionStatus.COMPLETED or not isinstance(event, MessageReceived):
            return stored, event
        loaded = self.directory.flow(stored.session.flow_version_id)
        flow = loaded[1].flow if loaded else None
        if flow is None:
            return stored, event
        decision = decide(stored.session, flow)
        if isinstance(decision, Resume):
            return replace(stored, session=resume(stored.session, decision.node_id)), event
        live = self.bot.live(decision.flow_id) if isinstance(decision, SwitchFlow) else None
        live = live or self.bot.live(stored.flow_id)
        target = self.directory.flow(live.version_id) if live else None
        onto = target[1].flow if target else None
        if live is None or onto is None:
            return replace(stored, session=restart(stored.session, flow)), event
        return replace(stored, session=restart(stored.session, onto), flow_id=live.flow_id), event

    def _names(self) -> dict[str, str]:
        return {
            "user_name": self.contact.profile_name,
            "user_phone": self.contact.wa_id or "",
            "message_id": self.inbound.message.message_id if self.inbound else "",
            "user_id": self.bot.user_id,
        }

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            now=self.now, bot_variables=self.bot.variables, stopwatch=time.perf_counter, **self._names()
        )

    def _written(self, stored: StoredSession, event: Event, turn: _Result) -> ComputedTurn:
        session = turn.session
        before = stored.session
        after = replace(stored, session=session)
        self.note = turn.recorded_as
        self._add_inbound(session.session_id)
        documents = self._outbound(session, turn)
        self.writes.messages.extend(documents)
        self.writes.steps = self._steps(session, event, turn)
        self.writes.session = session_document(after, self.now, self.contact.wa_id, self.lane.name)
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
        after.rev += 1
        after.call_starts = 0
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

    def _outbound(self, session: Session, turn: _Result) -> list[dict[str, Any]]:
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
                )
            )
        return documents

    def _steps(self, session: Session, event: Event, turn: _Result) -> list[dict[str, Any]]:
        steps = turn.steps or [Step(session.node_id or "", "NONE", notes=[turn.recorded_as or "recorded"])]
        origin = TurnOrigin(
            bot_id=self.bot.bot_id,
            lane=self.lane.name,
            fence=self.lane.lease.fence,
            job_id=self.writes.job_id,
            request_id=self.request_id,
            now=self.now,
        )
        keeps = self.settings.keeps_variables_in_log or self.channel is Channel.SIMULATOR
        cause = LoggedTurn(
            turn=session.turn,
            event=event,
            now=self.now,
            bot_variables=turn.bot_variables_read,
            **self._names(),
        )
        return step_documents(steps, session, cause, origin, keeps_variables=keeps)

    def _failed(self, stored: StoredSession, event: Event, code: str, message: str) -> ComputedTurn:
        """The session ends here, with the reason in its log."""
        session = replace(
            stored.session, status=SessionStatus.FAILED, turn=stored.session.turn + 1, wait=None
        )
        step = Step(session.node_id or "", "NONE", error=code, message=message)
        return self._written(stored, event, _Result(session, steps=[step]))


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
    return _TurnBuilder(lane, job, directory, settings, now).build_failure(code, message)
