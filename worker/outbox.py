"""The outbox: sends a lane's messages in order, one at a time, and never blindly twice.

QUEUED → SENDING is written, with a fresh attempt id, before the POST; ACCEPTED after it. What lies between when
a process dies, or when the POST's outcome cannot be known, is UNKNOWN: the lane is parked (never a thread) until
a status webhook echoes the attempt id, or the grace period is over and the policy decides.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import structlog

from common.clock import DatabaseClock
from common.crashpoint import crashpoint
from common.gateways.whatsapp.backoff import retry_delay, transport_retry_delay
from common.gateways.whatsapp.error_table import Action
from common.gateways.whatsapp.gateway import WhatsAppGateway
from common.gateways.whatsapp.pace import NumberPace
from common.gateways.whatsapp.results import (
    Accepted,
    NotSent,
    Recipient,
    Refused,
    SendResult,
    Unknown,
)
from common.ids import new_ulid
from common.model.bots import WhatsAppAccount
from common.model.contacts import Contact
from common.model.outbox import MessageStatus
from common.model.pair_pace import PairPace
from common.model.parking import ParkedFor
from common.model.reply_window import why_unsendable
from common.secrets import KeyRing
from common.settings import Settings
from common.store.marks import (
    Mark,
    mark_accepted,
    mark_failed,
    mark_requeued,
    mark_sending,
    mark_unknown,
)
from common.store.messages import OutboxMessage
from common.store.store import DatabaseError, Store
from worker import metrics
from worker.access_tokens import AccessTokens
from worker.held_lane import HeldLane
from worker.keeper import Keeper
from worker.later import Later
from worker.mark_writer import MarkWrite, MarkWriter
from worker.tally import Tally
from worker.unknown_sends import UnknownSends

log = structlog.get_logger()

# How often a stopped bot's lanes look whether it was reconnected (being reconnected wakes them at once).
_STOPPED_SECONDS = 60.0
# How often a lane whose messages are held looks whether the bot goes on (a resume wakes it at once).
_PAUSED_SECONDS = 3600.0
# Every process follows a new connection within this time.
_RECONNECTED_SECONDS = 1.0
# Waits shorter than this are sat out here; for longer ones the lane is handed back.
_SHORT_SECONDS = 2.0
# A lease must last this much longer than a POST may take, or it is renewed first.
_LEASE_MARGIN_SECONDS = 2.0


class Outbox:
    """Sends for one process. `done(lane)` is called when a lane has nothing more to send just now."""

    def __init__(
        self,
        *,
        store: Store,
        gateway: WhatsAppGateway,
        settings: Settings,
        clock: DatabaseClock,
        keeper: Keeper,
        later: Later,
        tally: Tally,
        done: Callable[[HeldLane], None],
    ) -> None:
        self._store = store
        self._gateway = gateway
        self._settings = settings
        self._clock = clock
        self._keeper = keeper
        self._later = later
        self._done = done
        self._tokens = AccessTokens(KeyRing.from_setting(settings.encryption_keys))
        self._unknown = UnknownSends(store, settings)
        # Meta counts per number, whatever number of processes sends for it.
        self._pace = NumberPace(settings.number_per_second / settings.worker_processes)
        self._random = random.Random()  # noqa: S311 - jitter
        self._writer = MarkWriter("outbox", store, keeper, tally)
        self._pool = ThreadPoolExecutor(settings.worker_send_threads, thread_name_prefix="send")

    def start(self) -> None:
        self._writer.start()

    def close(self) -> None:
        """Finish what is under way."""
        self._pool.shutdown(wait=True)
        self._writer.close()
        self._gateway.close()

    def submit(self, lane: HeldLane) -> None:
        """Send what the lane has to send. Quick: the work happens elsewhere. Thread-safe."""
        if not lane.outbox or lane.is_lost or lane.has_job_before_sends():
            self._done(lane)
            return
        lane.made_progress()
        message = lane.outbox[0]
        if message.status is MessageStatus.QUEUED:
            self._prepare(lane, message)
        else:
            self._resolve(lane, message)

    def mark_read(self, lane: HeldLane, message_id: str) -> None:
        """Show the customer that the message was read, and that we are typing: best effort, if so set."""
        account = lane.bot.account if lane.bot else None
        if account is None or not (self._settings.mark_as_read or self._settings.typing_indicator):
            return
        sender = self._tokens.sender(account)
        if sender is not None:
            typing = self._settings.typing_indicator
            self._pool.submit(
                self._gateway.mark_read, sender, message_id, typing=typing, request_id=lane.request_id
            )

    # Before the POST

    def _prepare(self, lane: HeldLane, message: OutboxMessage) -> None:
        """Check what can be checked, wait where that is due, then write down that we are about to send."""
        account, contact = lane.bot.account if lane.bot else None, lane.contact
        if contact is not None and lane.is_muted:
            self._park_muted(lane, contact)
            return
        if account is None or contact is None or account.stopped_for is not None:
            self._keeper.park(lane, _STOPPED_SECONDS, ParkedFor.BOT_STOPPED)
            return
        now = self._clock.now()
        if (objection := why_unsendable(contact, account.phone_number_id, now)) is not None:
            self._give_up(lane, message, *objection)
            return
        wait = self._pair_wait(lane, contact, now)
        if wait <= _SHORT_SECONDS:
            number = account.phone_number_id
            wait = max(wait, self._pace.reserve(number, time.monotonic(), _SHORT_SECONDS))
        if wait > _SHORT_SECONDS:
            self._keeper.park(lane, wait, ParkedFor.RETRY_SEND)
        elif wait > 0:
            self._later.call(wait, lambda: self._begin(lane, message, account, contact))
        else:
            self._begin(lane, message, account, contact)

    def _park_muted(self, lane: HeldLane, contact: Contact) -> None:
        """Until the pause ends by itself, or a job comes: a resume, or something to record."""
        seconds = _PAUSED_SECONDS
        if lane.has_more:
            seconds = 0.0
        elif contact.paused_until is not None:
            seconds = min(seconds, max(0.0, (contact.paused_until - self._clock.now()).total_seconds()))
        self._keeper.park(lane, seconds, ParkedFor.BOT_PAUSED)

    def _pair_wait(self, lane: HeldLane, contact: Contact, now: datetime) -> float:
        pace = PairPace(contact.pace_level, contact.pace_at or now)
        return pace.wait_for_first_of(
            len(lane.outbox), now, burst=self._settings.pair_burst, seconds=self._settings.pair_seconds
        )

    def _begin(
        self, lane: HeldLane, message: OutboxMessage, account: WhatsAppAccount, contact: Contact
    ) -> None:
        if not self._keeper.has_lease(lane, self._settings.graph_timeout_seconds + _LEASE_MARGIN_SECONDS):
            self._keeper.drop(lane, "lease ended before the send")
            return
        now = self._clock.now()
        message.attempt_id, message.sending_at = new_ulid(), now
        message.attempts += 1
        message.status = MessageStatus.SENDING
        self._writer.put(
            MarkWrite(
                lane,
                mark_sending(message.message_id, message.attempt_id, now),
                then=lambda: self._post_soon(lane, message, account, contact),
                attempt_id=message.attempt_id,
            )
        )

    def _post_soon(
        self, lane: HeldLane, message: OutboxMessage, account: WhatsAppAccount, contact: Contact
    ) -> None:
        crashpoint("K5")
        self._pool.submit(self._post, lane, message, account, contact)

    # The POST

    def _post(
        self, lane: HeldLane, message: OutboxMessage, account: WhatsAppAccount, contact: Contact
    ) -> None:
        try:
            if not self._keeper.has_lease(lane, self._settings.graph_timeout_seconds):
                # Certainly not sent, but written down as begun: say so, if the message is still as we left it.
                self._write(
                    lane,
                    mark_requeued(message.message_id, "lease ended", message.attempt_id),
                    lambda: self._keeper.drop(lane, "lease ended before the send"),
                )
                return
            sender = self._tokens.sender(account)
            started = time.perf_counter()
            result: SendResult
            if sender is None:
                result = Refused(None, None, "the access token cannot be decrypted", Action.STOP_BOT_AUTH)
            else:
                recipient = Recipient(wa_id=contact.wa_id, bsuid=contact.bsuid)
                result = self._gateway.send(
                    sender, recipient, message.message, message.attempt_id or "", message.request_id
                )
            crashpoint("K6")
            self._settle(lane, message, result, (time.perf_counter() - started) * 1000)
        except Exception as error:  # a border: the outcome is unknown, and says so
            log.exception("send.failed", lane=lane.name, error=type(error).__name__)
            self._settle(lane, message, Unknown(type(error).__name__), 0.0)

    # After the POST

    def _settle(self, lane: HeldLane, message: OutboxMessage, result: SendResult, took_ms: float) -> None:
        match result:
            case Accepted():
                metrics.count_accepted(took_ms / 1000)
                log.info(
                    "send.accepted",
                    lane=lane.name,
                    message_id=message.message_id,
                    wamid=result.wamid,
                    duration_ms=round(took_ms, 1),
                    request_id=message.request_id,
                )
                mark = mark_accepted(message.message_id, result.wamid)
                self._write(lane, mark, lambda: self._sent(lane))
            case NotSent():
                metrics.SENDS.labels("not_sent").inc()
                delay = transport_retry_delay(message.attempts, self._random.random)
                self._again(lane, message, delay, None, result.reason)
            case Unknown():
                metrics.SENDS.labels("unknown").inc()
                log.warning(
                    "send.unknown", lane=lane.name, message_id=message.message_id, reason=result.reason
                )
                self._write(
                    lane,
                    mark_unknown(message.message_id, is_final=False, attempt_id=message.attempt_id),
                    lambda: self._park_unknown(lane),
                )
            case Refused():
                self._refused(lane, message, result)

    def _refused(self, lane: HeldLane, message: OutboxMessage, refused: Refused) -> None:
        metrics.SENDS.labels("refused").inc()
        metrics.SEND_REFUSALS.labels(refused.action.value).inc()
        log.warning(
            "send.refused",
            lane=lane.name,
            message_id=message.message_id,
            code=refused.code,
            action=refused.action.value,
            details=refused.details,
        )
        account, contact = lane.bot.account if lane.bot else None, lane.contact
        if refused.action.stops_bot and account is not None:
            self._stop_bot(lane, message, account, refused)
            return
        if (
            refused.action is Action.RETRY_ALTERNATIVE_NUMBER
            and contact is not None
            and refused.alternative_wa_id
        ):
            if message.attempts > 1:
                self._give_up(lane, message, refused.code or 0, refused.details)
                return
            contact.wa_id = refused.alternative_wa_id
        delay = retry_delay(
            refused.action, message.attempts, self._random.random, refused.retry_after_seconds
        )
        if (
            delay is not None
            and refused.action in {Action.RETRY_NUMBER, Action.RETRY_APP}
            and account is not None
        ):
            self._pace.hold(account.phone_number_id, delay, time.monotonic())
        self._again(lane, message, delay, refused.code, refused.details)

    def _stop_bot(
        self, lane: HeldLane, message: OutboxMessage, account: WhatsAppAccount, refused: Refused
    ) -> None:
        reason = f"{refused.code}: {refused.details}"[:500]

        def park() -> None:
            is_stopped = True
            try:
                is_stopped = self._store.bots.stop_sending(account.bot_id, reason, used=account)
            except DatabaseError as error:
                log.warning("bot.stop_failed", bot=account.bot_id, error=type(error).__name__)
            if is_stopped:
                log.error("bot.stopped", bot=account.bot_id, reason=reason)
                # A control need not wait for long, only until this process knows.
                seconds = _STOPPED_SECONDS if lane.overtaking_job() is None else _RECONNECTED_SECONDS
                self._keeper.park(lane, seconds, ParkedFor.BOT_STOPPED)
            else:  # connected anew meanwhile: once more, as soon as this process knows
                log.info("bot.reconnected", bot=account.bot_id)
                self._keeper.park(lane, _RECONNECTED_SECONDS, ParkedFor.RETRY_SEND)

        self._write(lane, mark_requeued(message.message_id, reason, message.attempt_id), park)

    def _again(
        self, lane: HeldLane, message: OutboxMessage, delay: float | None, code: int | None, reason: str
    ) -> None:
        if delay is None:
            self._give_up(lane, message, code or "not_sent", reason)
            return
        message.status = MessageStatus.QUEUED
        mark = mark_requeued(message.message_id, reason, message.attempt_id)
        if delay > _SHORT_SECONDS:
            self._write(lane, mark, lambda: self._keeper.park(lane, delay, ParkedFor.RETRY_SEND))
        else:
            self._write(lane, mark, lambda: self._later.call(delay, lambda: self.submit(lane)))

    def _give_up(self, lane: HeldLane, message: OutboxMessage, code: int | str, reason: str) -> None:
        metrics.SENDS_GIVEN_UP.inc()
        log.warning("send.gave_up", lane=lane.name, message_id=message.message_id, code=code, reason=reason)
        mark = mark_failed(message.message_id, code, reason, message.attempt_id)
        self._write(lane, mark, lambda: self._sent(lane))

    def _sent(self, lane: HeldLane) -> None:
        crashpoint("K7")
        lane.outbox.popleft()
        self.submit(lane)

    def _park_unknown(self, lane: HeldLane) -> None:
        self._keeper.park(lane, self._settings.send_grace_seconds, ParkedFor.UNKNOWN_SEND)

    # A send that an earlier holder, or an unanswered POST, left open

    def _resolve(self, lane: HeldLane, message: OutboxMessage) -> None:
        left = self._unknown.seconds_left(message, self._clock.now())
        if left > 0:
            mark = mark_unknown(message.message_id, is_final=False, attempt_id=message.attempt_id)
            self._write(lane, mark, lambda: self._keeper.park(lane, left, ParkedFor.UNKNOWN_SEND))
            return
        # The look at the database belongs to no thread that others wait for.
        self._pool.submit(self._decide, lane, message)

    def _decide(self, lane: HeldLane, message: OutboxMessage) -> None:
        try:
            repeats = self._unknown.is_repeated(lane, message)
        except DatabaseError as error:
            self._keeper.give_back(lane, f"{type(error).__name__} while deciding")
            return
        metrics.SEND_DECISIONS.labels("resent" if repeats else "held").inc()
        log.warning(
            "send.repeated" if repeats else "send.left_unknown",
            lane=lane.name,
            message_id=message.message_id,
            policy=self._unknown.policy.value,
        )
        if repeats:
            message.status = MessageStatus.QUEUED
            reason = f"no status within the grace period ({self._unknown.policy})"
            mark = mark_requeued(message.message_id, reason, message.attempt_id)
            self._write(lane, mark, lambda: self.submit(lane))
        else:
            mark = mark_unknown(message.message_id, is_final=True, attempt_id=message.attempt_id)
            self._write(lane, mark, lambda: self._sent(lane))

    # Writing

    def _write(self, lane: HeldLane, mark: Mark, then: Callable[[], None]) -> None:
        self._writer.put(MarkWrite(lane, mark, then))
