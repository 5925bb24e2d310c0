"""While the database is known to be away, requests are refused at once: nobody waits for what cannot come.

Without this, requests that find all threads busy with waiting would wait for a thread first and for the
database then, twice as long as Meta may be kept waiting.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from common.errors import StoreUnavailable
from common.store.database import time_limit
from common.store.errors import is_away
from common.store.store import DatabaseError

log = structlog.get_logger()

# Meta has its answer within 3 s; looking for a server, the driver overruns its limit by up to half a second.
_REQUEST_SECONDS = 2.0
_PING_SECONDS = 1.0
_PAUSE_SECONDS = 0.2


class Outage:
    """Whether the database is away, as far as the requests of this process noticed. Thread-safe."""

    def __init__(self, ping: Callable[[], None]) -> None:
        self._ping = ping
        self._lock = threading.Lock()
        self._is_on = False

    @contextmanager
    def guard(self) -> Iterator[None]:
        """What a request does with the database. All of it together has one time limit.

        Raises StoreUnavailable at once while the database is away, DatabaseError where it goes away meanwhile.
        """
        if self._is_on:
            raise StoreUnavailable("the database is away")
        try:
            with time_limit(_REQUEST_SECONDS):
                yield
        except DatabaseError as error:
            if is_away(error):
                self._begin()
            raise

    def _begin(self) -> None:
        with self._lock:
            if self._is_on:
                return
            self._is_on = True
        threading.Thread(target=self._look_out, name="outage", daemon=True).start()

    def _look_out(self) -> None:
        """Ask until it answers. Requests do not: those that ask would be kept waiting."""
        log.warning("database.away")
        pause = threading.Event()
        while True:
            try:
                with time_limit(_PING_SECONDS):
                    self._ping()
            except DatabaseError:
                pause.wait(_PAUSE_SECONDS)
            else:
                break
        self._is_on = False
        log.warning("database.back")
