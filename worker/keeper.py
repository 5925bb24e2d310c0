"""The leases that this process holds: renewing them, and handing lanes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import structlog

from common.model.parking import ParkedFor
from common.store.lanes import Lease
from common.store.store import DatabaseError, Store
from worker import metrics
from worker.batch_writer import BatchWriter
from worker.held_lane import HeldLane

log = structlog.get_logger()


class Keeper:
    """Knows every lane that is held. Thread-safe."""

    def __init__(self, store: Store, owner: str, lease_seconds: float) -> None:
        self._store = store
        self.owner = owner
        self.lease_seconds = lease_seconds
        self._held: dict[str, HeldLane] = {}
        self._changed = threading.Condition()
        self._is_closed = False
        self._releases: BatchWriter[tuple[HeldLane, bool]] = BatchWriter("release", self._release_all)
        self._parks: BatchWriter[tuple[HeldLane, float, ParkedFor]] = BatchWriter("park", self._park_all)
        metrics.LANES_HELD.set_function(self.count)
        self._heartbeat = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._releases.start()
        self._parks.start()
        self._heartbeat.start()

    def close(self) -> None:
        """Write the last releases, then stop renewing."""
        self._releases.close()
        self._parks.close()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._heartbeat.join()

    def add(self, lanes: Iterable[HeldLane]) -> None:
        with self._changed:
            for lane in lanes:
                self._held[lane.name] = lane

    def count(self) -> int:
        """Lanes held just now."""
        return len(self._held)

    def wait_for_room(self, most: int, timeout_seconds: float) -> int:
        """How many more lanes may be held; waits a while for one to go where that is none."""
        with self._changed:
            if len(self._held) >= most:
                self._changed.wait(timeout_seconds)
            return max(0, most - len(self._held))

    def wait_until_empty(self, timeout_seconds: float) -> bool:
        """Whether every lane was handed back within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._held, timeout_seconds)

    def held(self) -> list[HeldLane]:
        with self._changed:
            return list(self._held.values())

    def has_lease(self, lane: HeldLane, for_seconds: float) -> bool:
        """Whether the lane is ours for so long still, by our own monotonic clock; renews it where needed."""
        if lane.is_lost:
            return False
        wanted = min(for_seconds, self.lease_seconds / 2)
        if lane.held_until - time.monotonic() >= wanted:
            return True
        try:
            return self._renew([lane])
        except DatabaseError:
            return False

    def release(self, lane: HeldLane) -> None:
        """Nothing left to do here; due again at once if there is more."""
        has_more = lane.has_more or bool(lane.jobs)
        self._releases.put((lane, has_more))

    def park(self, lane: HeldLane, seconds: float, reason: ParkedFor) -> None:
        """Hand the lane back until later."""
        self._parks.put((lane, seconds, reason))

    def give_back(self, lane: HeldLane, why: str) -> None:
        """We do not know how things stand with this lane: whoever takes it next finds out."""
        log.warning("lane.given_back", lane=lane.name, why=why)
        lane.is_lost = True  # whoever still works on it here stops
        self._parks.put((lane, 0.0, ParkedFor.INTERRUPTED))

    def drop(self, lane: HeldLane, why: str) -> None:
        """Forget a lane that is ours no longer."""
        metrics.LANES_LOST.inc()
        log.warning("lane.lost", lane=lane.name, fence=lane.lease.fence, why=why)
        self._forget([lane])

    def _forget(self, lanes: Iterable[HeldLane]) -> None:
        with self._changed:
            for lane in lanes:
                if self._held.get(lane.name) is lane:
                    del self._held[lane.name]
            self._changed.notify_all()

    def _release_all(self, releases: list[tuple[HeldLane, bool]]) -> None:
        lanes = [lane for lane, _ in releases]
        # Forget first: from the moment of the write on, this process may claim the lane anew.
        self._forget(lanes)
        has_more = frozenset(lane.name for lane, more in releases if more)
        needless = [lane.lease for lane in lanes if lane.is_needless and lane.name not in has_more]
        try:
            self._store.lanes.remove(needless)
            # Also those that were removed: a lane that was woken meanwhile is still there.
            self._store.lanes.release([lane.lease for lane in lanes], has_more=has_more)
        except DatabaseError as error:
            # Their leases end by themselves; nothing is lost but time.
            metrics.count_database_error(error)
            log.warning("lane.release_failed", error=type(error).__name__, count=len(lanes))

    def _park_all(self, parks: list[tuple[HeldLane, float, ParkedFor]]) -> None:
        self._forget([lane for lane, _, _ in parks])
        entries: list[tuple[Lease, float, ParkedFor]] = [
            (lane.lease, seconds, why) for lane, seconds, why in parks
        ]
        for _ in range(2):  # once more after a fail-over; then the leases end by themselves
            try:
                self._store.lanes.park(entries)
            except DatabaseError as error:
                metrics.count_database_error(error)
                log.warning("lane.park_failed", error=type(error).__name__, count=len(parks))
            else:
                for lane, seconds, why in parks:
                    log.info("lane.parked", lane=lane.name, reason=why, seconds=round(seconds, 1))
                return

    def _renew(self, lanes: list[HeldLane]) -> bool:
        asked_at = time.monotonic()
        leases = [lane.lease for lane in lanes]
        still = {lane.name for lane in lanes}
        if self._store.lanes.hold(leases, self.lease_seconds) != len(leases):
            still = self._store.lanes.held(leases)
        for lane in lanes:
            if lane.name in still:
                lane.held_until = asked_at + self.lease_seconds
            elif self._held.get(lane.name) is lane:
                lane.is_lost = True
                log.warning("lane.lost", lane=lane.name, fence=lane.lease.fence, why="renewal refused")
        return len(still) == len(lanes)

    def _beat(self) -> None:
        while True:
            with self._changed:
                if self._is_closed:
                    return
                self._changed.wait_for(lambda: self._is_closed, self.lease_seconds / 3)
                now = time.monotonic()
                # A step that hangs is not kept alive for ever: its lane goes to somebody else.
                lanes = [lane for lane in self._held.values() if lane.progress_by > now and not lane.is_lost]
            if not lanes:
                continue
            try:
                self._renew(lanes)
            except DatabaseError as error:
                metrics.count_database_error(error)
                log.warning("lane.renewal_failed", error=type(error).__name__, count=len(lanes))
