"""A lane while this process holds it: its lease, what was loaded for it, and what it has to do next."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field

from common.model.bots import BotConfig
from common.model.contacts import Contact
from common.model.events import EffectAnswered
from common.model.jobs import Job
from common.model.session import WaitKind
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

    @property
    def waits_for_call(self) -> bool:
        """Whether the session waits for an answer that nobody is getting yet."""
        stored = self.stored
        if stored is None or self.answer is not None or stored.session.wait is None:
            return False
        return stored.session.wait.kind is WaitKind.EFFECT

    def made_progress(self, allow_seconds: float = _PROGRESS_SECONDS) -> None:
        """Renew the lease for as long as the next step may take."""
        self.progress_by = time.monotonic() + allow_seconds
