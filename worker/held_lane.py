"""A lane while this process holds it: its lease, what was loaded for it, and what it has to do next."""

from __future__ import annotations

import json
import time
from collections import deque
from dataclasses import dataclass, field

from common.model.bots import BotConfig
from common.model.calls import answer_from_json
from common.model.contacts import Contact, is_status_lane
from common.model.control import ControlAction
from common.model.events import EffectAnswered
from common.model.jobs import Job, JobKind
from common.model.outbox import MessageStatus
from common.model.session import Wait, WaitKind
from common.store.lanes import Lease
from common.store.messages import OutboxMessage
from common.store.sessions import StoredSession

# A lane that makes no progress for so long is not renewed any more: somebody else may have it.
_PROGRESS_SECONDS = 90.0


@dataclass(slots=True, eq=False)
class HeldLane:
    """Only one thread works on it at a time; `route` hands it from one to the next."""

    lease: Lease
    held_until: float  # monotonic; moved on by the heartbeat
    jobs: deque[Job] = field(default_factory=deque)
    has_more: bool = False  # more jobs were waiting than were loaded
    bot: BotConfig | None = None
    contact: Contact | None = None
    stored: StoredSession | None = None
    foreign_aliases: frozenset[str] = frozenset()  # ids that a message brings, but that are another contact's
    outbox: deque[OutboxMessage] = field(default_factory=deque)
    answer: EffectAnswered | None = None
    request_id: str = ""
    is_lost: bool = False
    progress_by: float = field(default_factory=lambda: time.monotonic() + _PROGRESS_SECONDS)

    @property
    def name(self) -> str:
        return self.lease.lane

    def deleted_bot_id(self, job: Job) -> str | None:
        """The bot that this job was for, where there is no such bot any more."""
        if self.bot is not None:
            return None
        return self.contact.bot_id if self.contact is not None else job.bot_id

    @property
    def is_needless(self) -> bool:
        """Whether this is nobody's conversation: what woke the lane was moved elsewhere, or came to nothing."""
        return not is_status_lane(self.name) and (self.contact is None or not self.contact.is_stored)

    @property
    def _call(self) -> Wait | None:
        """The wait for a call, if that is what the session waits for and the bot may go on."""
        wait = self.stored.session.wait if self.stored else None
        is_paused = self.contact is not None and self.contact.is_bot_paused
        return wait if wait is not None and wait.kind is WaitKind.EFFECT and not is_paused else None

    @property
    def waits_for_call(self) -> bool:
        """Whether the session waits for an answer that nobody is getting yet."""
        return self._call is not None and self.answer is None

    def effect_id(self) -> str:
        """The name of the call that the session waits for."""
        wait = self.stored.session.wait if self.stored else None
        return f"{self.stored.session.session_id}:{wait.wait_id}" if self.stored and wait else ""

    def mind_answer(self) -> None:
        """Take up an answer that was kept while the bot was paused; forget one that nobody waits for any more."""
        call = self._call
        if call is None:
            self.answer = None
        elif self.answer is None and call.answer is not None:
            self.answer = EffectAnswered(self.effect_id(), answer_from_json(call.answer))

    def overtaking_job(self) -> Job | None:
        """The control that comes before the answer of a call: the first job, or a pause of the bot.

        A pause comes before the messages that wait, too: once a person has taken over, the bot is silent.
        """
        control = next((job for job in self.jobs if job.kind is JobKind.CONTROL), None)
        return control if control is not None and (control is self.jobs[0] or _is_pause(control)) else None

    @property
    def is_stopped(self) -> bool:
        """Whether the bot can send nothing, to nobody."""
        account = self.bot.account if self.bot else None
        return account is None or account.stopped_for is not None

    @property
    def is_muted(self) -> bool:
        """Whether the next message was not begun before a person took over: it waits until the bot may go on."""
        is_paused = self.contact is not None and self.contact.is_bot_paused
        return is_paused and bool(self.outbox) and self.outbox[0].status is MessageStatus.QUEUED

    def has_job_before_sends(self) -> bool:
        """Whether a job comes before what waits to be sent; what was begun to be sent is decided first.

        While the bot is silent, that is every job; else a pause and, where nothing can be sent, any control whose
        turn it is.
        """
        if not self.jobs or not self.outbox or self.outbox[0].status is not MessageStatus.QUEUED:
            return False
        if self.is_muted:
            return True
        is_pausing = any(job.kind is JobKind.CONTROL and _is_pause(job) for job in self.jobs)
        return self.overtaking_job() is not None and (self.is_stopped or is_pausing)

    def next_job(self) -> Job | None:
        """What to work on; None: the answer of a call."""
        overtaking = self.overtaking_job()
        if overtaking is not None or self.answer is not None:
            return overtaking
        return self.jobs[0]

    def finished(self, job: Job) -> None:
        """Take a job out of those that wait."""
        self.jobs = deque(other for other in self.jobs if other is not job)

    def made_progress(self, allow_seconds: float = _PROGRESS_SECONDS) -> None:
        """Renew the lease for as long as the next step may take."""
        self.progress_by = time.monotonic() + allow_seconds


def _is_pause(job: Job) -> bool:
    try:
        return bool(json.loads(job.payload)["action"] == ControlAction.PAUSE)
    except (ValueError, KeyError, TypeError):
        return False  # its own turn will say what is wrong with it
