"""Who watches which conversation: one change stream a process, started with the first watcher, ended with the last."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus

import structlog

from common.errors import AppError, ErrorCode
from common.store.changes import Changes, Watched
from common.store.store import DatabaseError, Store

log = structlog.get_logger()

# How long the stream listens before it looks whether others are watched by now.
_LISTEN_SECONDS = 0.25
_PAUSE_SECONDS = 1.0
# Who reloads a page asks for a new stream before the old one has noticed that nobody reads it.
_PLACE_SECONDS = 1.0
_MOST_WAITING = 2


class Watcher:
    """One open stream. `wait` returns as soon as there may be news."""

    def __init__(self, hub: Hub, user_id: str, watched: Watched) -> None:
        self._hub = hub
        self.user_id = user_id
        self.watched = watched
        self._news = threading.Event()
        self._is_closed = False
        self._closing = threading.Lock()

    def tell(self) -> None:
        """Something changed, or may have."""
        self._news.set()

    def wait(self, seconds: float) -> bool:
        """Whether there may be news; waits for them, so many seconds at most."""
        has_news = self._news.wait(seconds)
        self._news.clear()
        return has_news

    def close(self) -> None:
        """Give the place back. Twice does no harm."""
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
        self._hub.leave(self)


class Hub:
    """The watchers of one process. Thread-safe."""

    def __init__(self, store: Store, *, most: int, most_each: int) -> None:
        self._store = store
        self._most = most
        self._most_each = most_each
        self._watchers: set[Watcher] = set()
        self._waiting = 0
        self._changed = threading.Condition(threading.RLock())
        self._thread: threading.Thread | None = None
        self._is_stopping: Callable[[], bool] = lambda: False

    def stop_when(self, is_stopping: Callable[[], bool]) -> None:
        """Have every stream end when this says so: a process that stops does not wait for watchers."""
        self._is_stopping = is_stopping

    @property
    def is_stopping(self) -> bool:
        return self._is_stopping()

    def count(self) -> int:
        """Streams that are open."""
        return len(self._watchers)

    def watch(self, user_id: str, watched: Watched) -> Watcher:
        """A place for one more stream. Raises AppError 429 where there is none."""
        watcher = Watcher(self, user_id, watched)
        with self._changed:
            if not self._has_place(user_id):
                raise AppError(
                    ErrorCode.TOO_MANY_STREAMS,
                    HTTPStatus.TOO_MANY_REQUESTS,
                    "Too many live views are open. Close one, or try again in a while.",
                )
            self._watchers.add(watcher)
            self._changed.notify_all()
            if self._thread is None:  # not before: gunicorn forks, and threads do not survive that
                self._thread = threading.Thread(target=self._listen, name="changes", daemon=True)
                self._thread.start()
        return watcher

    def _has_place(self, user_id: str) -> bool:
        """Whether there is a place, or one becomes free in a moment. Few may wait: they hold threads of requests."""
        if self._is_full(user_id) and self._waiting < _MOST_WAITING:
            self._tell_all()  # whose client is gone finds that out
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: not self._is_full(user_id), _PLACE_SECONDS)
            finally:
                self._waiting -= 1
        return not self._is_full(user_id)

    def _is_full(self, user_id: str) -> bool:
        mine = sum(other.user_id == user_id for other in self._watchers)
        return len(self._watchers) >= self._most or mine >= self._most_each

    def leave(self, watcher: Watcher) -> None:
        """Somebody has stopped watching."""
        with self._changed:
            self._watchers.discard(watcher)
            self._changed.notify_all()

    def _listen(self) -> None:
        changes = Changes(self._store.database, _LISTEN_SECONDS)
        listened_for: frozenset[Watched] = frozenset()
        while True:
            try:
                listened_for = self._hear(changes, listened_for)
            except DatabaseError as error:
                log.warning("live.database_away", error=type(error).__name__)
                self._pause()
            except Exception as error:  # a border: the thread outlives any one change
                log.exception("live.failed", error=type(error).__name__)
                changes.close()
                self._pause()

    def _hear(self, changes: Changes, listened_for: frozenset[Watched]) -> frozenset[Watched]:
        """Listen for a while; what is listened for now."""
        with self._changed:
            if not self._watchers:
                changes.close()
                self._changed.wait_for(lambda: bool(self._watchers))
            wanted = frozenset(watcher.watched for watcher in self._watchers)
        if wanted != listened_for or not changes.is_open:
            changes.open(wanted)
            self._tell_all()  # what changed before the stream was open
            return wanted
        changed = changes.next()
        if changed is not None:
            with self._changed:
                for watcher in self._watchers:
                    if watcher.watched == changed:
                        watcher.tell()
        return wanted

    def _tell_all(self) -> None:
        with self._changed:
            for watcher in self._watchers:
                watcher.tell()

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: False, _PAUSE_SECONDS)
