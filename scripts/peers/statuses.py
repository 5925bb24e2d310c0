"""The life of an accepted message as status webhooks tell it: sent, delivered, read, each after its delay."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from dataclasses import dataclass, field
from typing import Any

from scripts.peers.clock import PeerClock
from scripts.peers.graph_errors import status_error
from scripts.peers.numbers import Number
from scripts.peers.people import Person
from scripts.peers.sent import Sent
from scripts.peers.webhooks import Webhooks

BATCH_LIMIT = 100
BATCH_WINDOW_SECONDS = 0.01
REPEAT_AFTER_SECONDS = 0.02
NAMES = ("sent", "delivered", "read", "failed")
PRICING = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "service"}


@dataclass(slots=True)
class Twist:
    """What a fault does to one message's statuses."""

    copies: int = 1
    is_reversed: bool = False
    dropped: frozenset[str] = frozenset()
    fail_code: int | None = None


@dataclass(slots=True, order=True)
class _Due:
    at: float
    order: int
    number: Number = field(compare=False)
    status: dict[str, Any] = field(compare=False)
    contact: dict[str, Any] | None = field(compare=False)


class Statuses:
    """Schedules statuses and posts those that are due together in one webhook."""

    def __init__(self, webhooks: Webhooks, clock: PeerClock) -> None:
        self.delays: dict[str, float] = {}
        self._webhooks = webhooks
        self._clock = clock
        self._heap: list[_Due] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        """Statuses whose time has not come."""
        return len(self._heap)

    def follow(
        self,
        sent: Sent,
        number: Number,
        person: Person,
        twist: Twist | None = None,
        after_seconds: float = 0.0,
    ) -> None:
        """Schedule the statuses of a message that is accepted, and answered `after_seconds` from now."""
        if self._webhooks.target.url is None or not (self.delays or (twist and twist.fail_code)):
            return
        twist = twist or Twist()
        now = asyncio.get_running_loop().time() + after_seconds
        for name, delay in self._plan(twist):
            status = self._status(sent, person, name, delay, twist.fail_code)
            contact = None if name == "failed" else person.contact()
            for copy in range(twist.copies):
                due_at = now + delay + copy * REPEAT_AFTER_SECONDS
                heapq.heappush(self._heap, _Due(due_at, next(self._order), number, status, contact))
        self._arm()

    async def tell_at_once(self, sent: Sent, number: Number, person: Person) -> None:
        """Deliver the first planned status and wait for its 200: it overtakes the answer to the send."""
        plan = self._plan(Twist()) or [("sent", 0.0)]
        status = self._status(sent, person, plan[0][0], 0.0, None)
        task = self._post([_Due(0.0, 0, number, status, person.contact())])
        if task is not None:
            await asyncio.wait([task], timeout=5)

    def flush(self) -> None:
        """Post everything that is scheduled now."""
        due = [heapq.heappop(self._heap) for _ in range(len(self._heap))]
        self._post_batches(due)

    def clear(self) -> None:
        """Forget what is scheduled."""
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _plan(self, twist: Twist) -> list[tuple[str, float]]:
        if twist.fail_code is not None:
            return [("failed", self.delays.get("sent", 0.0))]
        plan = sorted(self.delays.items(), key=lambda item: item[1])
        if twist.is_reversed:
            names = [name for name, _ in plan]
            plan = [(name, delay) for name, (_, delay) in zip(reversed(names), plan, strict=True)]
        return [(name, delay) for name, delay in plan if name not in twist.dropped]

    def _status(
        self, sent: Sent, person: Person, name: str, delay: float, code: int | None
    ) -> dict[str, Any]:
        status: dict[str, Any] = {
            "id": sent.wamid,
            "status": name,
            "timestamp": str(int(self._clock.now() + delay)),
        }
        if sent.recipient is None:
            status |= person.ids("recipient_id", "recipient_user_id")
        else:
            status["recipient_user_id"] = sent.recipient
        if sent.opaque is not None:
            status["biz_opaque_callback_data"] = sent.opaque
        if name in {"sent", "delivered"}:
            status["pricing"] = PRICING
        if code is not None:
            status["errors"] = [status_error(code)]
        return status

    def _arm(self) -> None:
        if self._timer is not None or not self._heap:
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(max(self._heap[0].at, loop.time() + 0.001), self._on_due)

    def _on_due(self) -> None:
        self._timer = None
        horizon = asyncio.get_running_loop().time() + BATCH_WINDOW_SECONDS
        due = []
        while self._heap and self._heap[0].at <= horizon:
            due.append(heapq.heappop(self._heap))
        self._post_batches(due)
        self._arm()

    def _post_batches(self, due: list[_Due]) -> None:
        by_secret: dict[str | None, list[_Due]] = {}
        for item in due:
            by_secret.setdefault(item.number.app_secret, []).append(item)
        for items in by_secret.values():
            for start in range(0, len(items), BATCH_LIMIT):
                self._post(items[start : start + BATCH_LIMIT])

    def _post(self, items: list[_Due]) -> asyncio.Task[None] | None:
        by_number: dict[str, list[_Due]] = {}
        for item in items:
            by_number.setdefault(item.number.phone_number_id, []).append(item)
        entries = [_entry(group) for group in by_number.values()]
        return self._webhooks.post(
            {"object": "whatsapp_business_account", "entry": entries},
            kind="statuses",
            ids=[item.status["id"] for item in items],
            app_secret=items[0].number.app_secret,
        )


def _entry(group: list[_Due]) -> dict[str, Any]:
    number = group[0].number
    value: dict[str, Any] = envelope_value(number)
    contacts = {str(item.contact): item.contact for item in group if item.contact is not None}
    if contacts:
        value["contacts"] = list(contacts.values())
    value["statuses"] = [item.status for item in group]
    return {"id": number.waba_id, "changes": [{"field": "messages", "value": value}]}


def envelope_value(number: Number) -> dict[str, Any]:
    """The part of a webhook that says which business number it is about."""
    return {
        "messaging_product": "whatsapp",
        "metadata": {
            "display_phone_number": number.display_digits,
            "phone_number_id": number.phone_number_id,
        },
    }
