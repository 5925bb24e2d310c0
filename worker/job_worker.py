"""One worker process: lanes go round from claim to turn to outbox to call, until there is nothing left to do.

Threads: one claims, `worker_threads` run turns, one writes the outbox, one releases, one renews leases, and two
pools send messages and make calls. A lane is with exactly one of them at a time.
"""

from __future__ import annotations

import threading
import time
from collections import deque

import structlog

from common.clock import DatabaseClock
from common.gateways.whatsapp.gateway import WhatsAppGateway
from common.model.contacts import is_status_lane
from common.settings import Settings
from common.store.store import DatabaseError, Store
from common.store.wakeups import Wakeups
from worker import metrics
from worker.claimer import JOBS_EACH, Claimer
from worker.directory import Directory
from worker.effects.callers import make_callers
from worker.effects.scheduler import Effects
from worker.held_lane import HeldLane
from worker.keeper import Keeper
from worker.later import Later
from worker.outbox import Outbox
from worker.runner import Runner
from worker.statuses import Statuses
from worker.tally import Tally

log = structlog.get_logger()

# After a database error: long enough not to hammer it, short enough to be back soon after a fail-over.
_PAUSE_SECONDS = 0.5
# The longest wait for turns under way before more lanes are claimed (see `_gather`).
_GATHER_SECONDS = 0.02


class JobWorker:
    """Runs until `stop`; `run` then finishes what is under way and hands every lane back."""

    def __init__(self, store: Store, settings: Settings, gateway: WhatsAppGateway, owner: str) -> None:
        self._settings = settings
        self._store = store
        self._stopping = threading.Event()
        self._ready: deque[HeldLane] = deque()
        self._ready_changed = threading.Condition()
        clock = DatabaseClock()
        directory = Directory(store)
        self._later = Later()
        self._tally = Tally(store)
        self._keeper = Keeper(store, owner, settings.lease_seconds)
        self._outbox = Outbox(
            store=store,
            gateway=gateway,
            settings=settings,
            clock=clock,
            keeper=self._keeper,
            later=self._later,
            tally=self._tally,
            done=self.route,
        )
        self._effects = Effects(
            store=store,
            settings=settings,
            keeper=self._keeper,
            later=self._later,
            callers=make_callers(settings),
            done=self.route,
        )
        self._runner = Runner(
            store=store,
            directory=directory,
            settings=settings,
            clock=clock,
            keeper=self._keeper,
            outbox=self._outbox,
            done=self.route,
        )
        self._claimer = Claimer(store, directory, settings, clock, self._keeper)
        self._statuses = Statuses(store, self._tally)
        self._wakeups = Wakeups(store.database, settings.poll_max_seconds)
        self._runners = [
            threading.Thread(target=self._run_turns, name=f"turns-{number}", daemon=True)
            for number in range(settings.worker_threads)
        ]

    def stop(self) -> None:
        """Claim nothing more. Safe in a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Work until told to stop, then finish and hand back, in `stop_seconds` at most."""
        for part in (self._later, self._keeper, self._outbox, self._tally):
            part.start()
        for thread in self._runners:
            thread.start()
        try:
            self._claim_until_stopped()
        finally:
            self._finish()

    def route(self, lane: HeldLane) -> None:
        """Give a lane to whoever has something to do for it. Thread-safe, quick."""
        if lane.is_lost:
            self._keeper.drop(lane, "lost")
        elif lane.outbox and not lane.has_job_before_sends():
            self._outbox.submit(lane)
        elif lane.answer is not None:
            self._run_soon(lane)
        elif lane.outbox and self._stopping.is_set():
            self._keeper.give_back(lane, "stopping")  # its next holder finds the messages and the job
        elif lane.outbox or (lane.overtaking_job() is not None and not self._stopping.is_set()):
            self._run_soon(lane)
        elif lane.waits_for_call and self._stopping.is_set():
            self._keeper.give_back(lane, "stopping")  # its next holder makes the call
        elif lane.waits_for_call:
            self._effects.submit(lane)
        elif lane.jobs and not self._stopping.is_set():
            self._run_soon(lane)
        else:
            self._keeper.release(lane)

    def _run_soon(self, lane: HeldLane) -> None:
        with self._ready_changed:
            self._ready.append(lane)
            self._ready_changed.notify()

    # Claiming

    def _claim_until_stopped(self) -> None:
        batch = self._settings.worker_batch_lanes
        while not self._stopping.is_set():
            room = self._keeper.wait_for_room(self._settings.worker_held_lanes, _PAUSE_SECONDS)
            if room == 0:
                continue
            try:
                wanted = min(room, batch)
                lanes = self._claimer.claim(wanted)
                for lane in lanes:
                    self._admit(lane)
                if 0 < len(lanes) < wanted:
                    self._gather()
                if not lanes:
                    self._wakeups.wait()
            except DatabaseError as error:
                metrics.count_database_error(error)
                log.warning("worker.database_away", error=type(error).__name__)
                self._stopping.wait(_PAUSE_SECONDS)
            except Exception as error:  # the lane loop's border
                log.exception("worker.claim_failed", error=type(error).__name__)
                self._stopping.wait(_PAUSE_SECONDS)

    def _gather(self) -> None:
        """Nothing more was waiting: let the turns under way be written first.

        What comes meanwhile is claimed, run and written together; one lane costs the database nearly as much as
        many. With a backlog claims do not wait, and without work there is nothing to wait for.
        """
        with self._ready_changed:
            self._ready_changed.wait_for(lambda: not self._ready and not self._running, _GATHER_SECONDS)

    def _admit(self, lane: HeldLane) -> None:
        if is_status_lane(lane.name):
            self._run_soon(lane)
        else:
            self.route(lane)

    # Turns

    def _run_turns(self) -> None:
        while True:
            lanes = self._take()
            if not lanes:
                return
            try:
                statuses = [lane for lane in lanes if is_status_lane(lane.name)]
                if statuses:
                    self._apply_statuses(statuses)
                self._runner.run([lane for lane in lanes if not is_status_lane(lane.name)])
            except Exception as error:  # the lane loop's border
                log.exception("worker.turns_failed", error=type(error).__name__)
                for lane in lanes:
                    self._keeper.give_back(lane, type(error).__name__)
            finally:
                with self._ready_changed:
                    self._running -= 1
                    self._ready_changed.notify_all()

    def _take(self) -> list[HeldLane]:
        """Lanes that are ready, as many as one transaction takes; empty when all is over."""
        with self._ready_changed:
            self._ready_changed.wait_for(lambda: self._ready or self._is_over)
            most = min(len(self._ready), self._settings.worker_batch_lanes)
            self._running += 1
            return [self._ready.popleft() for _ in range(most)]

    _is_over = False
    _running = 0  # turns under way

    def _apply_statuses(self, lanes: list[HeldLane]) -> None:
        try:
            self._statuses.apply([job for lane in lanes for job in lane.jobs])
        except DatabaseError as error:
            metrics.count_database_error(error)
            for lane in lanes:
                self._keeper.give_back(lane, f"{type(error).__name__} while applying statuses")
            return
        for lane in lanes:
            lane.has_more = len(lane.jobs) >= JOBS_EACH
            lane.jobs.clear()
            self._keeper.release(lane)

    # Stopping

    def _finish(self) -> None:
        deadline = time.monotonic() + self._settings.stop_seconds - 3
        self._wakeups.close()
        log.info("worker.stopping", held=self._keeper.count())
        self._keeper.wait_until_empty(max(0.0, deadline - time.monotonic()))
        for lane in self._keeper.held():
            self._keeper.give_back(lane, "stopping")
        self._effects.close()
        with self._ready_changed:
            self._is_over = True
            self._ready_changed.notify_all()
        self._keeper.wait_until_empty(1.0)
        self._keeper.close()
        self._tally.close()
        log.info("worker.stopped", held=self._keeper.count())
