"""Carries out faults around a peer's own handling: before it, after it, or instead of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from scripts.peers.faults import Effects, Fault, graph_error_of
from scripts.peers.wire import Answer, Drip, Hang, Outcome, Request, Reset

DEFAULT_HUGE_BYTES = 16 * 1024 * 1024
DEFAULT_DRIP_SECONDS = 5.0
INJECTED = "Injected by the local peer."
GARBAGE = b'{"messages": [{"id": "wamid.broken", \x00\xff not json'

Handling = Callable[[], Outcome | Coroutine[Any, Any, Outcome]]


class Api(Protocol):
    """What the dispatcher needs of a peer."""

    def endpoint(self, request: Request) -> str: ...

    def error(self, status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer: ...

    def handle(self, request: Request, effects: Effects | None) -> Outcome | Coroutine[Any, Any, Outcome]: ...


async def misbehave(effects: Effects, handling: Handling, api: Api) -> Outcome:
    """Handle the request unless the fault strikes first, wait, and answer as the fault wants."""
    fault = effects.action
    instead = None if fault is None else _before(fault, api)
    outcome = instead
    if outcome is None:
        handled = handling()
        outcome = await handled if isinstance(handled, Coroutine) else handled
    if effects.latency_seconds:
        await asyncio.sleep(effects.latency_seconds)
    if fault is None or instead is not None or not isinstance(outcome, Answer):
        return outcome
    return _after(fault, outcome, api)


def _before(fault: Fault, api: Api) -> Outcome | None:
    """The outcome when the peer never gets to see the request."""
    if fault.do == "reset_before":
        return Reset()
    if fault.do == "hang_before":
        return Hang(fault.params.get("seconds"))
    if fault.do == "graph_error":
        return graph_error_of(fault).answer()
    if fault.do == "status" and not fault.params.get("accepted", False):
        return _bare_status(fault, api)
    return None


def _after(fault: Fault, answer: Answer, api: Api) -> Outcome:
    """What the client gets to see of an answer that the peer has given."""
    if fault.do == "reset_after":
        return Reset()
    if fault.do == "hang_after":
        return Hang(fault.params.get("seconds"))
    if fault.do == "status":
        return _bare_status(fault, api)
    if fault.do == "slow_drip":
        return Drip(answer, fault.params.get("seconds", DEFAULT_DRIP_SECONDS))
    if fault.do == "garbage":
        return Answer(answer.status, GARBAGE, headers=answer.headers)
    size = fault.params.get("bytes", DEFAULT_HUGE_BYTES)
    return Answer(answer.status, b'{"filler":"%s"}' % (b"x" * size), headers=answer.headers)


def _bare_status(fault: Fault, api: Api) -> Answer:
    wait = fault.params.get("retry_after")
    headers = () if wait is None else (("Retry-After", f"{wait:g}"),)
    if fault.params.get("shaped", False):
        return api.error(fault.params["status"], INJECTED, headers)
    return Answer(fault.params["status"], b"", "text/plain", headers)
