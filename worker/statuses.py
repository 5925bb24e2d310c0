"""What became of our messages: status jobs, applied in bulk, in any order, forward only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from common.clock import utc_now
from common.model.contacts import STATUS_LANE_PREFIX
from common.model.jobs import Job
from common.model.outbox import StatusUpdate
from common.model.parking import ParkedFor
from common.store.deliveries import MessageRef, News
from common.store.store import Store
from worker import metrics
from worker.tally import Tally

log = structlog.get_logger()

# A status may come before the answer to the send that it is about; without our attempt id in it we cannot know
# whose it is yet. It is looked at once more after this time. Later ones belong to messages sent elsewhere.
_LATE_SECONDS = 10.0
_MOST_ERROR_CHARACTERS = 500
_CUT = timedelta(seconds=1)


class Statuses:
    """Applies status jobs."""

    def __init__(self, store: Store, tally: Tally) -> None:
        self._store = store
        self._tally = tally

    def apply(self, jobs: Sequence[Job]) -> None:
        """Move the messages that these jobs speak of, and finish the jobs. Repeating it changes nothing."""
        jobs, updates = self._read(jobs)
        if updates:
            waiting = self._store.messages.apply_statuses(list(updates.values()))
            self._tally.put(_news(update) for update in updates.values())
            self._store.bots.heard_statuses(_newest(updates.values()))
            if waiting:
                self._store.lanes.hear(waiting, ParkedFor.UNKNOWN_SEND)
        late = self._put_aside(jobs, updates)
        self._store.jobs.finish([job.job_id for job in jobs if job.job_id not in late], outcome="status")
        metrics.STATUSES.inc(len(updates))
        log.info("statuses.applied", count=len(updates), set_aside=len(late))

    def _read(self, jobs: Sequence[Job]) -> tuple[list[Job], dict[str, StatusUpdate]]:
        """The jobs that can be read, and what they say. One that cannot be is dead: it would hold up all others."""
        readable: list[Job] = []
        updates: dict[str, StatusUpdate] = {}
        for job in jobs:
            try:
                update = read_status(job)
            except Exception as error:  # a border: one bad job, not all that came with it
                reason = f"{type(error).__name__}: {error}"[:500]
                self._store.jobs.fail(job.job_id, reason, max_attempts=0)
                log.exception("job.dead", job_id=job.job_id, reason=reason)
                continue
            readable.append(job)
            if update is not None:
                updates[job.job_id] = update
        return readable, updates

    def _put_aside(self, jobs: Sequence[Job], updates: dict[str, StatusUpdate]) -> set[str]:
        """Statuses without an attempt id whose message is not known (yet) get one more look, in a lane of their own."""
        doubtful = {
            job.job_id: job
            for job in jobs
            if job.attempts == 0 and (update := updates.get(job.job_id)) and update.attempt_id is None
        }
        if not doubtful:
            return set()
        unknown = self._store.messages.unmatched([updates[job_id] for job_id in doubtful])
        late = {job_id for job_id in doubtful if updates[job_id].wamid in unknown}
        lanes: dict[str, list[str]] = {}
        for job_id in late:
            lane = f"{STATUS_LANE_PREFIX}:{doubtful[job_id].phone_number_id}:late"
            lanes.setdefault(lane, []).append(job_id)
        for lane, job_ids in lanes.items():
            self._store.jobs.move(job_ids, lane)
            self._store.lanes.wake([lane], delay_seconds=_LATE_SECONDS)
        return late


def _news(update: StatusUpdate) -> News:
    if update.attempt_id is not None:
        return News(MessageRef.ATTEMPT, update.attempt_id)
    return News(MessageRef.WAMID, update.wamid)


def _newest(updates: Iterable[StatusUpdate]) -> dict[str, datetime]:
    """Of when the newest status of each number is. Meta's times are whole seconds, cut: it may be a second more."""
    newest: dict[str, datetime] = {}
    now = utc_now()
    for update in updates:
        if update.at is not None:
            at = min(update.at + _CUT, now)
            newest[update.phone_number_id] = max(at, newest.get(update.phone_number_id, at))
    return newest


def read_status(job: Job) -> StatusUpdate | None:
    """The status of a STATUS job; None where it lacks what a status needs."""
    element = json.loads(job.payload)
    wamid, status = element.get("id"), element.get("status")
    if not isinstance(wamid, str) or not isinstance(status, str) or job.phone_number_id is None:
        return None
    attempt_id = element.get("biz_opaque_callback_data")
    return StatusUpdate(
        phone_number_id=job.phone_number_id,
        wamid=wamid,
        status=status,
        attempt_id=attempt_id if isinstance(attempt_id, str) and attempt_id.isascii() else None,
        at=_at(element.get("timestamp")),
        error=_error(element.get("errors")) if status == "failed" else None,
    )


def _at(timestamp: object) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(str(timestamp)[:20]), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _error(errors: object) -> dict[str, Any]:
    """The first error of a failed status, flat: {code, message}."""
    first = errors[0] if isinstance(errors, list) and errors else None
    if not isinstance(first, dict):
        return {"code": None, "message": "failed without a reason"}
    data = first.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    text = next((t for t in (details, first.get("message"), first.get("title")) if isinstance(t, str)), "")
    code = first.get("code")
    is_code = isinstance(code, int) and abs(code) < 2**31
    clean = text.encode("utf-8", "replace").decode().replace("\x00", "")
    return {"code": code if is_code else None, "message": clean[:_MOST_ERROR_CHARACTERS]}
