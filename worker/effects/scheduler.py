"""Calls of API and AI nodes: on threads of their own, so that a slow one never keeps a conversation waiting.

The turn that asked is committed and its messages are sent before the call begins; the answer comes back as the
next event of the same lane, which is held meanwhile. That a call begins is written down first: after a crash it
is made again (with the same Idempotency-Key), but not for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

import structlog

from common.crashpoint import crashpoint
from common.model.calls import Answer, CallFailed, ChatRequest, HttpRequest, Request, request_from_json
from common.model.control import CallMode
from common.model.events import EffectAnswered
from common.model.simulation import no_stand_in
from common.settings import Settings
from common.store.sessions import StoredSession
from common.store.store import DatabaseError, Store
from worker import metrics
from worker.held_lane import HeldLane
from worker.keeper import Keeper
from worker.later import Later

log = structlog.get_logger()

# A call that was begun so often and never came to an end takes its process down, or its process was unlucky.
MOST_STARTS = 3
_MARGIN_SECONDS = 30.0
# Waiting for a free thread is not hanging: the lane is kept meanwhile.
_QUEUE_SECONDS = 3600.0
# Before each attempt the lease must have this much left; the heartbeat renews it during the call.
_LEASE_SECONDS = 5.0


class Caller(Protocol):
    """One kind of call. `attempt` makes one; `next_delay` says when to try again (None: not at all)."""

    def attempt(self, lane: HeldLane, request: Request, effect_id: str) -> Answer: ...

    def next_delay(self, request: Request, failed: CallFailed, attempt: int) -> float | None: ...

    def longest_seconds(self, request: Request) -> float: ...  # of one attempt


class Effects:
    """The pool. `done(lane)` is called when a lane has its answer."""

    def __init__(
        self,
        *,
        store: Store,
        settings: Settings,
        keeper: Keeper,
        later: Later,
        callers: dict[type[HttpRequest | ChatRequest], Caller],
        done: Callable[[HeldLane], None],
    ) -> None:
        self._store = store
        self._keeper = keeper
        self._later = later
        self._callers = callers
        self._done = done
        self._pool = ThreadPoolExecutor(settings.worker_effect_threads, thread_name_prefix="effect")

    def close(self) -> None:
        """Begin nothing more; what runs is not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def submit(self, lane: HeldLane) -> None:
        """Get the answer that this lane's session waits for. Thread-safe."""
        lane.made_progress(_QUEUE_SECONDS)
        self._submit(self._begin, lane)

    def _submit(self, work: Callable[..., None], lane: HeldLane, *more: object) -> None:
        try:
            self._pool.submit(self._guarded, work, lane, *more)
        except RuntimeError:  # the pool is closed: we are going down
            self._keeper.give_back(lane, "stopping")

    def _guarded(self, work: Callable[..., None], lane: HeldLane, *more: object) -> None:
        try:
            work(lane, *more)
        except Exception as error:  # a border: the lane must go on
            log.exception("call.broken", lane=lane.name, error=type(error).__name__)
            self._finish(
                lane, CallFailed("call.broken", f"The call could not be made ({type(error).__name__}).")
            )

    def _begin(self, lane: HeldLane) -> None:
        stored = lane.stored
        wait = stored.session.wait if stored else None
        if stored is None or wait is None or wait.request is None:
            self._finish(lane, CallFailed("call.lost", "The call is not known any more."))
            return
        request = request_from_json(wait.request)
        if lane.contact is not None and lane.contact.test and lane.contact.test.calls is CallMode.STAND_IN:
            self._stand_in(lane, stored, request)
            return
        if stored.call_starts >= MOST_STARTS:
            self._finish(
                lane, CallFailed("call.abandoned", f"The call was begun {MOST_STARTS} times in vain.")
            )
            return
        if not self._keeper.has_lease(lane, _LEASE_SECONDS):
            self._keeper.drop(lane, "lost before a call")
            return
        try:
            begun = self._store.sessions.begin_call(stored.session.session_id, stored.rev)
        except DatabaseError:
            self._keeper.give_back(lane, "database away before a call")
            return
        if not begun:
            self._keeper.drop(lane, "the session has moved on")
            return
        stored.call_starts += 1
        crashpoint("K8")
        self._attempt(lane, request, 1)

    def _stand_in(self, lane: HeldLane, stored: StoredSession, request: Request) -> None:
        """A test that makes no real calls: the answer that was set or recorded for this node."""
        node_id = stored.session.node_id or ""
        try:
            found = self._store.stand_ins.find(stored.session.bot_id, stored.flow_id, node_id)
        except DatabaseError:
            self._keeper.give_back(lane, "database away before a stand-in")
            return
        self._finish(lane, found.answer_to(request) if found else no_stand_in(node_id))

    def _attempt(self, lane: HeldLane, request: Request, attempt: int) -> None:
        if not self._keeper.has_lease(lane, _LEASE_SECONDS):
            self._keeper.drop(lane, "lost before a call")
            return
        caller = self._callers[type(request)]
        lane.made_progress(caller.longest_seconds(request) + _MARGIN_SECONDS)
        answer = caller.attempt(lane, request, lane.effect_id())
        crashpoint("K9")
        metrics.count_call(request, answer)
        if isinstance(answer, CallFailed):
            log.warning(
                "call.failed", lane=lane.name, code=answer.code, status=answer.status, attempt=attempt
            )
            delay = caller.next_delay(request, answer, attempt)
            if delay is not None:
                again = attempt + 1
                lane.made_progress(delay + _QUEUE_SECONDS)
                self._later.call(delay, lambda: self._submit(self._attempt, lane, request, again))
                return
        else:
            log.info(
                "call.answered", lane=lane.name, duration_ms=round(answer.duration_ms, 1), attempt=attempt
            )
        self._finish(lane, answer, attempt)

    def _finish(self, lane: HeldLane, answer: Answer, attempts: int = 1) -> None:
        counted = replace(answer, attempts=max(attempts, answer.attempts))
        lane.answer = EffectAnswered(lane.effect_id(), counted)
        lane.made_progress()
        self._done(lane)
