"""Signs and delivers webhooks as Meta does: escaped JSON, HMAC over the bytes, repeated until the answer is 200."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections import deque
from dataclasses import asdict, dataclass, field
from typing import Any

from scripts.peers.http_client import DeliveryError, HttpClient

OK = 200
KEPT_DELIVERIES = 2000


@dataclass(slots=True)
class Target:
    """Where webhooks go, and how stubbornly."""

    url: str | None = None
    app_secret: str = "local-app-secret"  # noqa: S105 - a default for loopback; the caller names the real one
    retry_base_seconds: float = 0.25
    retry_max_seconds: float = 30.0
    timeout_seconds: float = 10.0
    at_once: int = 4


@dataclass(slots=True)
class Delivery:
    """One POST and what became of it; `answers` holds the status of each attempt, or the reason there was none."""

    number: int
    kind: str
    ids: list[str]
    answers: list[int | str] = field(default_factory=list)
    is_done: bool = False

    def as_dict(self) -> dict[str, Any]:
        """The delivery as JSON."""
        return asdict(self) | {"attempts": len(self.answers)}


def to_wire(payload: object) -> bytes:
    r"""Meta's spelling of JSON: everything beyond ASCII as `\u` with lower-case hex, and `/` as `\/`."""
    return json.dumps(payload, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def sign(app_secret: str, body: bytes) -> str:
    """The X-Hub-Signature-256 header of these bytes."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


class Webhooks:
    """Delivers payloads; each delivery is a task that ends when the answer is 200."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.recent: deque[Delivery] = deque(maxlen=KEPT_DELIVERIES)
        self._client = HttpClient()
        self._slots = asyncio.Semaphore(target.at_once)
        self._tasks: set[asyncio.Task[None]] = set()
        self._orders: dict[str, asyncio.Lock] = {}
        self._count = 0

    @property
    def pending(self) -> int:
        """Deliveries that have not been answered with 200 yet."""
        return len(self._tasks)

    def post(
        self,
        payload: object,
        *,
        kind: str,
        ids: list[str],
        app_secret: str | None = None,
        order: str | None = None,
    ) -> asyncio.Task[None] | None:
        """Start delivering; None when no URL is set. Payloads of one `order` go one after the other."""
        if self.target.url is None:
            return None
        self._count += 1
        delivery = Delivery(self._count, kind, ids)
        self.recent.append(delivery)
        body = to_wire(payload)
        secret = app_secret or self.target.app_secret
        task = asyncio.get_running_loop().create_task(self._deliver(delivery, body, secret, order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def get(self, url: str) -> tuple[int, bytes]:
        """A plain GET, for the verification handshake; raises DeliveryError."""
        return await self._client.request("GET", url, timeout_seconds=self.target.timeout_seconds)

    async def _deliver(self, delivery: Delivery, body: bytes, secret: str, order: str | None) -> None:
        if order is None:
            await self._repeat(delivery, body, secret)
            return
        async with self._orders.setdefault(order, asyncio.Lock()):
            await self._repeat(delivery, body, secret)

    async def _repeat(self, delivery: Delivery, body: bytes, secret: str) -> None:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "facebookexternalua",
            "X-Hub-Signature-256": sign(secret, body),
        }
        pause = self.target.retry_base_seconds
        while True:
            async with self._slots:
                answer = await self._attempt(body, headers)
            delivery.answers.append(answer)
            if answer == OK:
                delivery.is_done = True
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, self.target.retry_max_seconds)

    async def _attempt(self, body: bytes, headers: dict[str, str]) -> int | str:
        try:
            status, _ = await self._client.request(
                "POST",
                self.target.url or "",
                headers=headers,
                body=body,
                timeout_seconds=self.target.timeout_seconds,
            )
        except DeliveryError as error:
            return str(error)
        return status

    def clear(self) -> None:
        """Give up everything under way and forget what was."""
        for task in list(self._tasks):
            task.cancel()
        self.recent.clear()
        self._orders.clear()

    def close(self) -> None:
        """Give up and drop the connections."""
        self.clear()
        self._client.close()
