"""Bots and compiled flows, kept in memory. A version never changes; which one is live is asked every second."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from common.flow.definition import LoadedFlow, load_flow
from common.model.bots import BotConfig
from common.store.store import Store
from common.store.test_versions import PREFIX

# A deploy is followed by every worker within a second. What is known is believed for less than that: looking again,
# loading what has changed and beginning the turn take time too, on a busy machine some tenths.
_FRESH_SECONDS = 0.7
_MOST_FLOWS = 500


class KnownFlow(NamedTuple):
    """A version as workers know it: its flow's id, what can run of it, and its number within the flow."""

    flow_id: str
    loaded: LoadedFlow
    number: int


class Directory:
    """What workers know of bots. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._bots: dict[str, BotConfig] = {}
        self._checked_at: dict[str, float] = {}
        self._flows: OrderedDict[str, KnownFlow] = OrderedDict()
        self._lock = threading.Lock()

    def bots(self, bot_ids: Iterable[str]) -> dict[str, BotConfig]:
        """These bots as they are now, or were a second ago. Deleted ones are missing."""
        wanted = set(bot_ids)
        now = time.monotonic()
        with self._lock:
            stale = [
                bot_id
                for bot_id in wanted
                if now - self._checked_at.get(bot_id, -_FRESH_SECONDS) >= _FRESH_SECONDS
                or self._is_stopped(bot_id)
            ]
        if stale:
            self._refresh(stale, now)
        with self._lock:
            return {bot_id: self._bots[bot_id] for bot_id in wanted if bot_id in self._bots}

    def _is_stopped(self, bot_id: str) -> bool:
        """Whether this bot waits to be (re)connected: then look each time, or its lanes would be parked once more."""
        bot = self._bots.get(bot_id)
        return bot is not None and (bot.account is None or bot.account.stopped_for is not None)

    def forget(self, bot_id: str) -> None:
        """Look this bot up again the next time."""
        with self._lock:
            self._checked_at.pop(bot_id, None)

    def _refresh(self, bot_ids: list[str], now: float) -> None:
        revisions = self._store.bots.revisions(bot_ids)
        for bot_id in bot_ids:
            known = self._bots.get(bot_id)
            bot = known
            if bot_id not in revisions:
                bot = None
            elif known is None or known.revision != revisions[bot_id]:
                bot = self._store.bots.load(bot_id)
            with self._lock:
                self._checked_at[bot_id] = now
                if bot is None:
                    self._bots.pop(bot_id, None)
                else:
                    self._bots[bot_id] = bot

    def flow(self, version_id: str) -> KnownFlow | None:
        """A version, compiled; None where there is no such version."""
        with self._lock:
            known = self._flows.get(version_id)
            if known is not None:
                self._flows.move_to_end(version_id)
                return known
        is_test = version_id.startswith(PREFIX)
        version = (self._store.test_versions.find if is_test else self._store.bots.version)(version_id)
        if version is None:
            return None
        known = KnownFlow(version.flow_id, load_flow(version.flow_data, version_id), version.number)
        with self._lock:
            self._flows[version_id] = known
            while len(self._flows) > _MOST_FLOWS:
                self._flows.popitem(last=False)
        return known
