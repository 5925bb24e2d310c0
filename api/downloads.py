"""Who downloads a long file: a place each, since a thread is busy with it until the client has read it all."""

from __future__ import annotations

import threading
from http import HTTPStatus
from typing import Final

from common.errors import AppError, ErrorCode

# Who has read a file asks for the next one before this process has noticed.
_PLACE_SECONDS: Final = 1.0
_MOST_WAITING: Final = 2


class Download:
    """A place. Closed twice does no harm; forgotten, it closes itself."""

    def __init__(self, downloads: Downloads, user_id: str) -> None:
        self._downloads = downloads
        self.user_id = user_id

    def close(self) -> None:
        """Give the place back."""
        self._downloads.leave(self)

    def __del__(self) -> None:
        self.close()


class Downloads:
    """The places of one process. Thread-safe."""

    def __init__(self, most: int, most_each: int = 1) -> None:
        self._most = most
        self._most_each = most_each
        self._open: dict[int, str] = {}  # by identity: to hold the places would keep forgotten ones
        self._waiting = 0
        self._changed = threading.Condition(threading.RLock())

    def begin(self, user_id: str) -> Download:
        """A place for one more. Raises AppError 429 where there is none."""
        with self._changed:
            if self._is_full(user_id) and self._waiting < _MOST_WAITING:
                self._waiting += 1
                try:
                    self._changed.wait_for(lambda: not self._is_full(user_id), _PLACE_SECONDS)
                finally:
                    self._waiting -= 1
            if self._is_full(user_id):
                raise AppError(
                    ErrorCode.TOO_MANY_STREAMS,
                    HTTPStatus.TOO_MANY_REQUESTS,
                    "Too many downloads are under way. Wait until one is done, then try again.",
                )
            download = Download(self, user_id)
            self._open[id(download)] = user_id
            return download

    def _is_full(self, user_id: str) -> bool:
        mine = sum(other == user_id for other in self._open.values())
        return len(self._open) >= self._most or mine >= self._most_each

    def leave(self, download: Download) -> None:
        """A download is over."""
        with self._changed:
            if self._open.pop(id(download), None) is not None:
                self._changed.notify_all()
