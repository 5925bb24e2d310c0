"""Sends whose outcome is not known: how long to wait for a status, and what to do when none comes."""

from __future__ import annotations

from datetime import datetime, timedelta

from common.model.outbox import UnknownSendPolicy
from common.settings import Settings
from common.store.messages import OutboxMessage
from common.store.store import Store
from worker.held_lane import HeldLane


class UnknownSends:
    """The installation's policy."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self.policy = UnknownSendPolicy(settings.send_unknown_policy)
        self._grace = timedelta(seconds=settings.send_grace_seconds)

    def seconds_left(self, message: OutboxMessage, now: datetime) -> float:
        """How much longer a status may take; not above 0: it is time to decide."""
        return ((message.sending_at or now) + self._grace - now).total_seconds()

    def is_repeated(self, lane: HeldLane, message: OutboxMessage) -> bool:
        """Whether the message is sent again. Asks the database; raises DatabaseError."""
        if self.policy is not UnknownSendPolicy.AUTO:
            return self.policy is UnknownSendPolicy.RESEND
        account = lane.bot.account if lane.bot else None
        if account is None or message.sending_at is None:
            return False
        # Statuses for this number still came when ours was long overdue: the webhook works, so silence speaks.
        heard_at = self._store.bots.last_status_at(account.phone_number_id)
        return heard_at is not None and heard_at > message.sending_at + self._grace / 2
