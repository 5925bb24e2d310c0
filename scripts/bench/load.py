"""The load: a process of its own that POSTs prepared webhooks over kept-open connections, as cheaply as possible.

`python -m scripts.bench.load PLAN.json RESULT.json`. Everything is prepared before the first byte is sent, and
one loop on raw sockets does the rest, since it shares the machine with what it measures.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import sys
import time
from collections import deque
from dataclasses import asdict, dataclass, field
from pathlib import Path

from scripts.bench import webhooks

_ANSWER_SECONDS = 30.0
# Replies are counted this often where customers wait for them.
_LOOK_SECONDS = 0.002


@dataclass(slots=True, kw_only=True)
class Plan:
    """What to send. Without `per_second` as fast as answers come (closed loop), with it at that pace (open loop).

    `window`: so many customers at most wait for their reply; the next message waits for one of those, which are
    counted in the WhatsApp peer's record, line by line.
    """

    port: int
    app_secret: str
    phone_number_id: str
    connections: int
    messages: int
    customers: int
    prefix: str
    first_customer: int = 0
    per_second: float = 0.0
    most_seconds: float = 60.0
    window: int = 0
    record_path: str = ""


@dataclass(slots=True)
class Result:
    """Times are Unix times of this machine. `due_at` is when a message should have been sent (open loop)."""

    texts: list[str] = field(default_factory=list)
    due_at: list[float] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)
    answered_at: list[float] = field(default_factory=list)
    refused: int = 0


class _Connection:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), _ANSWER_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.message = 0

    def status(self) -> int | None:
        """The status of the answer, once it is complete."""
        self.buffer += self.socket.recv(65536)
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if len(body) < int(length or 0):
            return None
        self.buffer = b""
        return int(head[9:12])


class _Replies:
    """Counts the lines that the peer has written down since we began."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_RDONLY)
        os.lseek(self._file, 0, os.SEEK_END)
        self.count = 0

    def look(self) -> int:
        while chunk := os.read(self._file, 1 << 20):
            self.count += chunk.count(b"\n")
        return self.count


class Load:
    """One run of a plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._free = deque(_Connection(plan.port) for _ in range(plan.connections))
        self._selector = selectors.DefaultSelector()
        for connection in self._free:
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        self._replies = _Replies(plan.record_path) if plan.window else None
        self._requests = [self._request(number) for number in range(plan.messages)]
        self._sent = self._answered = 0
        self.result = Result(texts=[f"{plan.prefix}{number}" for number in range(plan.messages)])

    def _request(self, number: int) -> bytes:
        plan = self._plan
        customer = plan.first_customer + number % plan.customers
        content = webhooks.body(plan.phone_number_id, customer, f"{plan.prefix}{number}")
        return webhooks.request(plan.port, plan.app_secret, content, f"{plan.prefix}{number:08d}")

    def run(self) -> Result:
        """Send everything, or what the time allows; returns when all that was sent is answered."""
        started = time.time()
        plan = self._plan
        due = [
            started + number / plan.per_second if plan.per_second else 0.0 for number in range(plan.messages)
        ]
        self.result.answered_at = [0.0] * plan.messages
        while self._answered < len(self._requests):
            now = time.time()
            if now - started > plan.most_seconds:
                del self._requests[self._sent :]
            while self._may_send(now, due):
                self._send(due[self._sent])
            for key, _ in self._selector.select(self._pause(now, due)):
                self._receive(key.data)
        del self.result.texts[self._sent :], self.result.answered_at[self._sent :]
        return self.result

    def _may_send(self, now: float, due: list[float]) -> bool:
        if not self._free or self._sent >= len(self._requests) or due[self._sent] > now:
            return False
        return self._replies is None or self._sent - self._replies.look() < self._plan.window

    def _pause(self, now: float, due: list[float]) -> float:
        if self._replies is not None:
            return _LOOK_SECONDS
        if self._free and self._sent < len(self._requests):
            return max(0.0, due[self._sent] - now)
        return 1.0

    def _send(self, due_at: float) -> None:
        connection = self._free.popleft()
        connection.message = self._sent
        sent_at = time.time()
        connection.socket.sendall(self._requests[self._sent])
        self.result.sent_at.append(sent_at)
        self.result.due_at.append(due_at or sent_at)
        self._sent += 1

    def _receive(self, connection: _Connection) -> None:
        status = connection.status()
        if status is None:
            return
        self.result.answered_at[connection.message] = time.time()
        self.result.refused += status != 200  # noqa: PLR2004 - HTTP's own
        self._answered += 1
        self._free.append(connection)


def main() -> int:
    """Run the plan in the file, write the result into the other one."""
    plan = Plan(**json.loads(Path(sys.argv[1]).read_text()))
    result = Load(plan).run()
    Path(sys.argv[2]).write_text(json.dumps(asdict(result)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
