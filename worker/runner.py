"""Running turns: several lanes at a time, computed one by one, written in one transaction.

The transaction is the group's; the failure is the lane's: what is wrong with one of them is found by trying lane by
lane, so that one bad conversation costs the others nothing. If the database is away, all are handed back.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from common.clock import DatabaseClock
from common.crashpoint import crashpoint
from common.model.control import ControlOutcome
from common.model.jobs import Job, JobKind
from common.model.parking import ParkedFor
from common.settings import Settings
from common.store.errors import is_duplicate, is_unstorable
from common.store.jobs import job_from_document
from common.store.store import DatabaseError, Store
from common.store.turns import Conflict, LeaseLost
from worker import metrics
from worker.claimer import JOBS_EACH
from worker.control_turn import compute_control
from worker.directory import Directory
from worker.effects.scheduler import MOST_STARTS
from worker.held_lane import HeldLane
from worker.keeper import Keeper
from worker.outbox import Outbox
from worker.retry import retry_after
from worker.turn import CannotRun, ComputedTurn, TurnSettings, compute, compute_failure

log = structlog.get_logger()

# How a job ends whose bot was deleted before its turn came.
BOT_DELETED = "bot_deleted"
# A lease must have this much left for an answer to be kept through a failed commit.
_KEEP_SECONDS = 3.0


@dataclass(slots=True)
class _Work:
    lane: HeldLane
    job: Job | None
    turn: ComputedTurn


class Runner:
    """Runs turns for one process; several threads may call `run`. `done(lane)` takes each lane on."""

    def __init__(
        self,
        *,
        store: Store,
        directory: Directory,
        settings: Settings,
        clock: DatabaseClock,
        keeper: Keeper,
        outbox: Outbox,
        done: Callable[[HeldLane], None],
    ) -> None:
        self._store = store
        self._directory = directory
        self._settings = settings
        self._clock = clock
        self._keeper = keeper
        self._outbox = outbox
        self._done = done
        self._turn_settings = TurnSettings(
            inbound_per_minute=settings.inbound_per_minute,
            keeps_variables_in_log=not settings.is_production,
            pair_seconds=settings.pair_seconds,
        )

    def run(self, lanes: list[HeldLane]) -> None:
        """The next turn of each of these lanes."""
        self._look_for_controls([lane for lane in lanes if lane.answer is not None and not lane.is_lost])
        self._look_at_bots(lanes)
        works = [work for lane in lanes if (work := self._compute(lane)) is not None]
        if works:
            self._commit(works)

    def _look_for_controls(self, lanes: list[HeldLane]) -> None:
        """A call may have taken long: what a person decided meanwhile comes before its answer."""
        if not lanes:
            return
        try:
            for name in self._store.jobs.lanes_with_controls([lane.name for lane in lanes]):
                lane = next(lane for lane in lanes if lane.name == name)
                documents = self._store.jobs.pending(name, JOBS_EACH)
                lane.jobs = deque(job_from_document(document) for document in documents)
                lane.has_more = len(documents) == JOBS_EACH
        except (DatabaseError, KeyError, ValueError) as error:  # then they come afterwards
            log.warning("control.not_looked_for", error=type(error).__name__)

    def _look_at_bots(self, lanes: list[HeldLane]) -> None:
        """A lane is held for as long as a call takes; a deploy is followed within a second all the same."""
        try:
            bots = self._directory.bots(lane.bot.bot_id for lane in lanes if lane.bot is not None)
        except DatabaseError as error:  # then as they were known; the turn's commit will tell more
            log.warning("bot.not_looked_at", error=type(error).__name__)
            return
        for lane in lanes:
            if lane.bot is not None:
                lane.bot = bots.get(lane.bot.bot_id)

    def _compute(self, lane: HeldLane) -> _Work | None:
        if lane.is_lost:
            self._keeper.drop(lane, "lost before its turn")
            return None
        lane.made_progress()
        job = lane.next_job()
        if job is not None:
            lane.request_id = job.request_id
        try:
            turn = self._turn(lane, job)
        except CannotRun as error:
            self._reject(lane, job, str(error))
            return None
        except DatabaseError as error:
            self._keeper.give_back(lane, f"{type(error).__name__} while computing")
            return None
        except Exception as error:  # the lane loop's border
            log.exception("turn.failed", lane=lane.name, error=type(error).__name__)
            self._fail(lane, job, f"{type(error).__name__}: {error}"[:500])
            return None
        return _Work(lane, job, turn)

    def _turn(self, lane: HeldLane, job: Job | None) -> ComputedTurn:
        now = self._clock.now()
        if job is not None and job.kind is JobKind.CONTROL:
            return compute_control(lane, job, self._directory, self._turn_settings, now)
        return compute(lane, job, self._directory, self._turn_settings, now)

    def _commit(self, works: list[_Work]) -> None:
        started = time.perf_counter()
        try:
            self._store.turns.commit(
                [work.turn.writes for work in works], self._settings.lease_seconds, self._clock.now()
            )
        except (LeaseLost, Conflict) as error:
            if isinstance(error, LeaseLost) and len(works) == 1:
                metrics.FENCE_LOST.inc()
            let_go = self._keeper.drop if isinstance(error, LeaseLost) else self._keeper.give_back
            why = type(error).__name__
            self._apart(works, lambda work: let_go(work.lane, why))
        except Exception as error:  # the lane loop's border
            if is_unstorable(error):
                self._apart(works, self._fail_session)
            elif is_duplicate(error):
                # Two lanes took the same new id of a person at once; the second to look finds whose it is.
                self._apart(works, lambda work: self._keeper.give_back(work.lane, "an id is taken"))
            elif isinstance(error, DatabaseError):
                metrics.count_database_error(error)
                log.warning("turn.commit_failed", error=type(error).__name__, count=len(works))
                for work in works:
                    self._give_back_or_keep(work, type(error).__name__)
            else:
                log.exception("turn.commit_broken", error=type(error).__name__)
                reason = f"{type(error).__name__}: {error}"[:500]
                self._apart(works, lambda work: self._fail(work.lane, work.job, reason))
        else:
            self._committed(works, (time.perf_counter() - started) * 1000)

    def _give_back_or_keep(self, work: _Work, why: str) -> None:
        """After a commit that failed or whose outcome is unknown.

        An answer is kept and committed again, or its call would be made again; if it was committed after all, the
        session has moved on and says so. A job is found again by whoever takes the lane next.
        """
        if work.job is None and self._keeper.has_lease(work.lane, _KEEP_SECONDS):
            self._done(work.lane)
        else:
            self._keeper.give_back(work.lane, f"{why} at commit")

    def _apart(self, works: list[_Work], alone: Callable[[_Work], None]) -> None:
        """Something in this group is wrong: find out what, one by one."""
        if len(works) == 1:
            alone(works[0])
            return
        for work in works:
            self._commit([work])

    def _committed(self, works: list[_Work], took_ms: float) -> None:
        metrics.count_turns([work.turn.writes.steps for work in works], took_ms / 1000)
        held_until = time.monotonic() + self._settings.lease_seconds - took_ms / 1000
        for work in works:
            lane, turn = work.lane, work.turn
            lane.held_until = max(lane.held_until, held_until)
            lane.contact, lane.stored = turn.contact, turn.stored
            lane.contact.is_stored = lane.contact.is_stored or turn.writes.contact is not None
            lane.outbox.extend(turn.outbox)
            if work.job is None:
                crashpoint("K10")
                lane.answer = None
            else:
                lane.finished(work.job)
            lane.mind_answer()
            log.info(
                "turn.committed",
                lane=lane.name,
                fence=lane.lease.fence,
                session_id=turn.writes.session["_id"] if turn.writes.session else None,
                job_id=turn.writes.job_id,
                nodes=turn.node_count,
                messages=len(turn.outbox),
                group=len(works),
                duration_ms=round(took_ms, 1),
                request_id=lane.request_id,
            )
            if turn.read_message_id is not None:
                self._outbox.mark_read(lane, turn.read_message_id)
            self._done(lane)

    def _fail_session(self, work: _Work) -> None:
        """What this turn wants to write cannot be stored, today or ever: the session fails and says why."""
        if work.job is not None and work.job.kind is JobKind.CONTROL:
            self._fail(work.lane, work.job, "what it would write cannot be stored")
            return
        try:
            turn = compute_failure(
                work.lane,
                work.job,
                self._directory,
                self._turn_settings,
                self._clock.now(),
                code="session.too_large",
                message="This conversation holds more than can be stored.",
            )
            self._store.turns.commit([turn.writes], self._settings.lease_seconds, self._clock.now())
        except (LeaseLost, Conflict) as error:
            self._keeper.drop(work.lane, type(error).__name__)
        except Exception as error:  # the lane loop's border
            log.exception("turn.failure_failed", lane=work.lane.name, error=type(error).__name__)
            self._fail(work.lane, work.job, f"{type(error).__name__}: {error}"[:500])
        else:
            self._committed([_Work(work.lane, work.job, turn)], 0.0)

    def _fail(self, lane: HeldLane, job: Job | None, reason: str) -> None:
        """Our own fault: once more later, with growing distance, then the job is dead and the lane goes on."""
        if job is None:
            if lane.stored is not None and lane.stored.call_starts >= MOST_STARTS:
                self._fail_answer(lane)
                return
            # The answer of a call: it is asked for again by whoever takes the lane next.
            self._keeper.park(lane, self._settings.retry_base_seconds, ParkedFor.JOB_FAILED)
            return
        try:
            is_dead = self._store.jobs.fail(job.job_id, reason, max_attempts=self._settings.job_max_attempts)
        except DatabaseError as error:
            self._keeper.give_back(lane, f"{type(error).__name__} while failing a job")
            return
        metrics.JOBS_FAILED.labels("dead" if is_dead else "retried").inc()
        log.error("job.dead" if is_dead else "job.failed", job_id=job.job_id, lane=lane.name, reason=reason)
        if is_dead:
            lane.finished(job)
            self._done(lane)
        else:
            job.attempts += 1
            self._keeper.park(lane, retry_after(job.attempts, self._settings), ParkedFor.JOB_FAILED)

    def _fail_answer(self, lane: HeldLane) -> None:
        """No turn can be made of any answer to this call: the session fails, or it would stand here for ever."""
        try:
            turn = compute_failure(
                lane,
                None,
                self._directory,
                self._turn_settings,
                self._clock.now(),
                code="turn.broken",
                message="The answer of a call could not be worked on.",
            )
            self._store.turns.commit([turn.writes], self._settings.lease_seconds, self._clock.now())
        except Exception as error:  # the lane loop's border
            log.exception("turn.failure_failed", lane=lane.name, error=type(error).__name__)
            self._keeper.park(lane, self._settings.retry_max_seconds, ParkedFor.JOB_FAILED)
        else:
            self._committed([_Work(lane, None, turn)], 0.0)

    def _reject(self, lane: HeldLane, job: Job | None, reason: str) -> None:
        if job is not None:
            deleted = lane.deleted_bot_id(job)
            try:
                if deleted is not None:
                    self._store.jobs.finish([job.job_id], outcome=BOT_DELETED, reason=reason)
                    self._store.deletions.remind(deleted)
                elif job.kind is JobKind.CONTROL:  # nobody will want to do it again
                    self._store.jobs.finish([job.job_id], outcome=ControlOutcome.REFUSED.value, reason=reason)
                else:
                    self._store.jobs.reject(job.job_id, reason)
            except DatabaseError as error:
                self._keeper.give_back(lane, f"{type(error).__name__} while rejecting a job")
                return
            lane.finished(job)
        log.warning("job.unrouted", lane=lane.name, reason=reason)
        lane.answer = None
        lane.stored = None
        self._done(lane)
