"""How many requests are worked on at a time, whatever number of threads there is for open streams."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class RequestSlots:
    """A WSGI layer. A stream is written after the application has returned it: it holds no slot."""

    def __init__(self, app: WSGIApplication, most: int) -> None:
        self._app = app
        self._slots = threading.BoundedSemaphore(most)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        with self._slots:
            return self._app(environ, start_response)
