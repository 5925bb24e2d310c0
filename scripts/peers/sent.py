"""The ground truth: every send that was accepted, written down before it is answered."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts.peers.json_text import write_json


@dataclass(frozen=True, slots=True)
class Sent:
    """One accepted send. `at` is Unix time of this machine; `to` the wa_id, `recipient` the business-scoped id."""

    seq: int
    at: float
    phone_number_id: str
    to: str | None
    recipient: str | None
    kind: str
    body: str
    buttons: tuple[tuple[str, str], ...]
    opaque: str | None
    wamid: str
    replies_to: str | None

    def as_dict(self) -> dict[str, Any]:
        """The record as JSON; buttons as `[{"id", "title"}]`."""
        return asdict(self) | {"buttons": [{"id": key, "title": title} for key, title in self.buttons]}

    def is_for(self, aliases: frozenset[str]) -> bool:
        """Whether it went to the person with one of these ids."""
        return (self.to or self.recipient) in aliases


class SentLog:
    """Accepted sends in memory, and line by line in a file that survives the peer's death."""

    def __init__(self, path: Path | None = None) -> None:
        self._records: list[Sent] = []
        self._first_seq = 1
        self._waiters: set[asyncio.Future[None]] = set()
        self._file = None if path is None else os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __len__(self) -> int:
        return len(self._records)

    @property
    def next_seq(self) -> int:
        """The number that the next send will get; numbers are never used twice."""
        return self._first_seq + len(self._records)

    def add(self, record: Sent) -> None:
        """Write it down, then wake whoever waits."""
        if self._file is not None:
            os.write(self._file, write_json(record.as_dict()) + b"\n")
        self._records.append(record)
        if self._waiters:
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()

    def find(
        self,
        *,
        to: frozenset[str] | None = None,
        number_id: str | None = None,
        since: float = 0.0,
        after: int = 0,
    ) -> list[Sent]:
        """Records after the sequence number `after`, from the time `since` on, to that person, by that number."""
        newer = self._records[max(0, after + 1 - self._first_seq) :]
        return [
            record
            for record in newer
            if record.at >= since
            and (to is None or record.is_for(to))
            and (number_id is None or record.phone_number_id == number_id)
        ]

    def last_with_buttons(self, aliases: frozenset[str]) -> Sent | None:
        """The newest message with buttons that the person has got."""
        return next((sent for sent in reversed(self._records) if sent.buttons and sent.is_for(aliases)), None)

    async def wait(
        self, seconds: float, *, to: frozenset[str] | None, number_id: str | None, since: float, after: int
    ) -> list[Sent]:
        """As `find`, but wait up to `seconds` for the first match."""
        end = time.monotonic() + seconds
        while True:
            found = self.find(to=to, number_id=number_id, since=since, after=after)
            remaining = end - time.monotonic()
            if found or remaining <= 0:
                return found
            after = max(after, self.next_seq - 1)
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await asyncio.wait_for(waiter, remaining)
            except TimeoutError:
                continue
            finally:
                self._waiters.discard(waiter)

    def clear(self) -> None:
        """Forget the records; the sequence goes on."""
        self._first_seq = self.next_seq
        self._records.clear()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
