"""What was asked of a peer: a bounded record of requests, secrets left out."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from scripts.peers.json_text import BadJsonError, read_json
from scripts.peers.wire import Answer, Outcome, Request

KEPT = 5000
HIDDEN = "***"
SECRET_HEADERS = frozenset({"authorization", "cookie", "x-api-key"})


class Calls:
    """The newest calls; `count` counts all."""

    def __init__(self) -> None:
        self.count = 0
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def add(self, request: Request, outcome: Outcome, **more: object) -> None:
        """Write one call down."""
        self.count += 1
        headers = {
            name: HIDDEN if name in SECRET_HEADERS else value for name, value in request.headers.items()
        }
        self._kept.append(
            {
                "seq": self.count,
                "at": time.time(),
                "method": request.method,
                "path": request.path,
                "query": request.query(),
                "headers": headers,
                "body": _readable(request.body),
                "status": int(outcome.status) if isinstance(outcome, Answer) else None,
            }
            | more
        )

    def find(self, after: int = 0) -> list[dict[str, Any]]:
        """Calls after that sequence number."""
        return [call for call in self._kept if call["seq"] > after]

    def clear(self) -> None:
        """Forget them; the numbering goes on."""
        self._kept.clear()


def _readable(body: bytes) -> Any:
    if not body:
        return None
    try:
        return read_json(body)
    except BadJsonError:
        return body[:2000].decode("utf-8", "replace")
