"""The engine alone: turns of three nodes a second on one core, and checking a large flow; no database, no network."""

from __future__ import annotations

import time
from typing import Final

from common.clock import utc_now
from common.flow.definition import load_flow
from common.flow.executor import run
from common.flow.turn import Surroundings
from common.flow.validation.validate import validate
from common.model.events import InboundMessage, MessageKind, MessageReceived
from common.model.session import Session
from scripts.bench.bench_flow import three_nodes
from scripts.bench.figures import Findings
from scripts.bench.ground import Ground
from scripts.bench.large_flow import realistic as large_flow

_NODES: Final = 3
_ROUND: Final = 500
_LARGE: Final = 500


def measure(ground: Ground) -> Findings:
    """The section `engine`: the best of several rounds is what the code can do; the others show the noise."""
    rates = [_turns_per_second(ground.quick_or(1, 2)) for _ in range(3)]
    checks = [_check_milliseconds(number) for number in range(ground.quick_or(2, 5))]
    return Findings(
        {"engine.per_second": max(rates), "engine.check_ms": min(checks)},
        {"engine": [round(rate) for rate in rates], "checks": [round(took) for took in checks]},
    )


def _check_milliseconds(number: int) -> float:
    """Reading and checking a flow of 500 nodes whose texts were never seen before."""
    flow = large_flow(_LARGE, salt=f"{number}-")
    started = time.perf_counter()
    verdict = validate(flow)
    took = (time.perf_counter() - started) * 1000
    if verdict.errors:
        raise RuntimeError(f"the large flow of the benchmark has errors: {verdict.errors}")
    return took


def _turns_per_second(seconds: float) -> float:
    loaded = load_flow(three_nodes(), "bench")
    if loaded.flow is None:
        raise RuntimeError(f"the flow of the benchmark has issues: {loaded.issues}")
    session = Session("session", "bot", "contact", "bench")
    surroundings = Surroundings(utc_now(), user_name="Zoë", stopwatch=time.perf_counter)
    texts = [f"message {number}" for number in range(_ROUND)]
    done = 0
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        for text in texts:
            message = InboundMessage(text, MessageKind.TEXT, text, surroundings.now)
            turn = run(loaded.flow, session, MessageReceived(message), surroundings)
            session = turn.session
        if len(turn.steps) != _NODES or len(turn.messages) != 1:
            raise RuntimeError("the flow of the benchmark does not run three nodes a message")
        done += _ROUND
    return done / (time.perf_counter() - started)
