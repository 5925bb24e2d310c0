"""Claiming lanes and loading, in bulk, all that their turns will need."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import structlog

from common.clock import DatabaseClock
from common.crashpoint import crashpoint
from common.model.contacts import Contact, channel_of, contact_of, is_status_lane, lane_for
from common.model.events import MessageKind
from common.model.jobs import Job, JobKind
from common.model.parking import ParkedFor
from common.settings import Settings
from common.store.jobs import job_from_document
from common.store.lanes import Lease
from common.store.store import DatabaseError, Store
from worker import metrics
from worker.directory import Directory
from worker.held_lane import HeldLane
from worker.inbound import Inbound, read_message
from worker.keeper import Keeper
from worker.retry import retry_after

log = structlog.get_logger()

# Jobs of a lane that are loaded at a time; a lane with more goes to the back of the queue afterwards.
JOBS_EACH = 20


class Claimer:
    """Claims for one process."""

    def __init__(
        self, store: Store, directory: Directory, settings: Settings, clock: DatabaseClock, keeper: Keeper
    ) -> None:
        self._store = store
        self._directory = directory
        self._settings = settings
        self._clock = clock
        self._keeper = keeper

    def claim(self, most: int) -> list[HeldLane]:
        """Up to `most` lanes with work, held and loaded. Raises DatabaseError."""
        asked_at = time.monotonic()
        leases, now = self._store.lanes.claim(
            self._keeper.owner, most, self._settings.lease_seconds, JOBS_EACH
        )
        if now is None:
            return []
        self._clock.observe(now, asked_at)
        crashpoint("K1")
        lanes = [self._hold(lease, asked_at) for lease in leases]
        self._keeper.add(lanes)
        conversations = [lane for lane in lanes if not is_status_lane(lane.name)]
        try:
            self._load(conversations)
        except DatabaseError:
            for lane in lanes:
                self._keeper.give_back(lane, "could not be loaded")
            raise
        except Exception as error:  # a border: one lane that cannot be read, not all that came with it
            log.exception("lane.load_failed", error=type(error).__name__)
            self._load_apart(conversations)
        metrics.count_claims(leases)
        log.info(
            "lane.claimed",
            count=len(lanes),
            jobs=sum(len(lane.jobs) for lane in lanes),
            interrupted=sum(lease.was_interrupted for lease in leases),
            duration_ms=round((time.monotonic() - asked_at) * 1000, 1),
        )
        crashpoint("K2")
        return [lane for lane in lanes if not lane.is_lost]

    def _hold(self, lease: Lease, asked_at: float) -> HeldLane:
        jobs = deque(job for document in lease.jobs if (job := self._read(document)) is not None)
        return HeldLane(
            lease=lease,
            held_until=asked_at + self._settings.lease_seconds,
            jobs=jobs,
            has_more=len(lease.jobs) == JOBS_EACH,
            request_id=jobs[0].request_id if jobs else "",
        )

    def _read(self, document: dict[str, Any]) -> Job | None:
        """A job; one that cannot be read at all is put aside, or it would take down every worker in turn."""
        try:
            return job_from_document(document)
        except (KeyError, ValueError) as error:
            reason = f"unreadable job: {type(error).__name__}: {error}"[:500]
            self._store.jobs.fail(document["_id"], reason, max_attempts=0)
            log.exception("job.dead", job_id=document["_id"], reason=reason)
            return None

    def _load_apart(self, lanes: Sequence[HeldLane]) -> None:
        """Load lanes one by one; what cannot be loaded counts as a failure of its first job, and waits."""
        for lane in lanes:
            lane.outbox.clear()
            try:
                self._load([lane])
            except DatabaseError:
                self._keeper.give_back(lane, "could not be loaded")
            except Exception as error:  # as above
                reason = f"{type(error).__name__}: {error}"[:500]
                log.exception("lane.unreadable", lane=lane.name, reason=reason)
                if lane.jobs:
                    most = self._settings.job_max_attempts
                    self._store.jobs.fail(lane.jobs[0].job_id, reason, max_attempts=most)
                lane.is_lost = True
                pause = retry_after(lane.jobs[0].attempts + 1 if lane.jobs else 1, self._settings)
                self._keeper.park(lane, pause, ParkedFor.JOB_FAILED)

    def _load(self, lanes: Sequence[HeldLane]) -> None:
        if not lanes:
            return
        contact_ids = [contact_of(lane.name) for lane in lanes]
        contacts = self._store.contacts.load(contact_ids)
        sessions = {
            channel: self._store.sessions.load_open(
                [contact_of(lane.name) for lane in lanes if channel_of(lane.name) is channel], channel
            )
            for channel in {channel_of(lane.name) for lane in lanes}
        }
        interrupted = [lane.name for lane in lanes if lane.lease.was_interrupted]
        unsent = self._store.messages.open_in(interrupted) if interrupted else {}
        bots = self._directory.bots(
            bot_id for lane in lanes if (bot_id := _bot_id(lane, contacts)) is not None
        )
        for lane in lanes:
            contact_id = contact_of(lane.name)
            bot_id = _bot_id(lane, contacts)
            lane.bot = bots.get(bot_id) if bot_id else None
            lane.contact = contacts.get(contact_id)
            if lane.bot is None:  # deleted: nothing is left to do but to say so of its jobs
                continue
            lane.stored = sessions[channel_of(lane.name)].get(contact_id)
            self._end_pause(lane.contact)
            lane.mind_answer()
            lane.outbox.extend(unsent.get(lane.name, ()))
            if lane.lease.interruptions >= self._settings.job_max_attempts and lane.jobs:
                self._bury(lane)
            if lane.outbox and lane.contact is not None:
                self._open_window(lane, lane.contact)
        self._meet(lanes)

    def _end_pause(self, contact: Contact | None) -> None:
        """A pause of the bot that was set to end by now is over; the next turn writes that down."""
        if contact is not None and contact.paused_until and contact.paused_until <= self._clock.now():
            contact.bot_paused_at = contact.bot_paused_by = contact.paused_until = None

    def _open_window(self, lane: HeldLane, contact: Contact) -> None:
        """What waits to be sent goes before the messages that wait to be worked on, but these open the window."""
        for inbound in self._inbound(lane):
            if inbound.message.kind is not MessageKind.PASSIVE:
                contact.heard_from(inbound.message.sent_at, inbound.phone_number_id)

    def _meet(self, lanes: Sequence[HeldLane]) -> None:
        """Contacts seen for the first time, or under a further id: whose are these ids already?"""
        new: dict[str, dict[str, str]] = {}  # bot -> alias -> the contact that it belongs to, as far as known
        unknown: list[tuple[HeldLane, str, list[str]]] = []
        for lane in sorted(lanes, key=lambda lane: lane.contact is None):
            known = set(lane.contact.aliases) if lane.contact else set()
            aliases = [alias for alias in self._aliases(lane) if alias not in known]
            if lane.bot is not None and (aliases or lane.contact is None):
                unknown.append((lane, lane.bot.bot_id, aliases))
                new.setdefault(lane.bot.bot_id, {})
                for alias in aliases:  # of two lanes in one claim, the first one is it
                    new[lane.bot.bot_id].setdefault(alias, contact_of(lane.name))
        for bot_id, owners in new.items():
            stored = self._store.contacts.owners(bot_id, owners)
            owners.update((alias, owner.contact_id) for alias, owner in stored.items())
        for lane, bot_id, aliases in unknown:
            self._introduce(lane, {alias: new[bot_id][alias] for alias in aliases})

    def _aliases(self, lane: HeldLane) -> list[str]:
        heard = [alias for one in self._inbound(lane) for alias in (*one.sender.aliases, *one.other_aliases)]
        return heard + _controlled(lane)

    def _inbound(self, lane: HeldLane) -> list[Inbound]:
        now = self._clock.now()
        found = []
        for job in lane.jobs:
            if job.kind is JobKind.MESSAGE:
                try:
                    found.append(read_message(job, now))
                except Exception:  # noqa: BLE001, S112 - its own turn will say what is wrong with it
                    continue
        return found

    def _introduce(self, lane: HeldLane, owners: dict[str, str]) -> None:
        contact_id = contact_of(lane.name)
        others = {alias: owner for alias, owner in owners.items() if owner != contact_id}
        lane.foreign_aliases = frozenset(others)
        if lane.contact is not None or lane.bot is None:
            return
        aliases = next((one.sender.aliases for one in self._inbound(lane)), tuple(_controlled(lane)[:1]))
        owner = next((others[alias] for alias in aliases if alias in others), None)
        if owner is not None:
            self._forward(lane, owner)
            return
        lane.contact = Contact(contact_id=contact_id, bot_id=lane.bot.bot_id, aliases=aliases)

    def _forward(self, lane: HeldLane, contact_id: str) -> None:
        """Two ids of one person lead to two lanes: this lane's jobs go to the first one, in their order.

        Moving is done before the other lane is woken, and both can be repeated.
        """
        home = lane_for(channel_of(lane.name), contact_id)
        self._store.jobs.move([job.job_id for job in lane.jobs], home)
        self._store.lanes.wake([home])
        log.info("lane.forwarded", lane=lane.name, to=home, jobs=len(lane.jobs))
        lane.jobs.clear()
        lane.contact = lane.stored = None

    def _bury(self, lane: HeldLane) -> None:
        """Holder after holder died with this lane: its first job is the one thing that they had in common."""
        job = lane.jobs.popleft()
        reason = f"its worker died {lane.lease.interruptions} times in a row"
        self._store.jobs.fail(job.job_id, reason, max_attempts=0)
        self._store.lanes.forgive(lane.lease)
        log.error("job.dead", job_id=job.job_id, lane=lane.name, reason=reason)


def _bot_id(lane: HeldLane, contacts: dict[str, Contact]) -> str | None:
    contact = contacts.get(contact_of(lane.name))
    if contact is not None:
        return contact.bot_id
    return next((job.bot_id for job in lane.jobs if job.bot_id is not None), None)


def _controlled(lane: HeldLane) -> list[str]:
    """The aliases under which a person's controls name this lane's contact."""
    found = []
    for job in lane.jobs:
        if job.kind is JobKind.CONTROL:
            try:
                found.append(str(json.loads(job.payload)["contact"]["alias"]))
            except (ValueError, KeyError, TypeError):
                continue  # its own turn will say what is wrong with it
    return found
