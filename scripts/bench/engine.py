"""The engine alone: turns of three nodes a second on one core, no database, no network."""

from __future__ import annotations

import time
from typing import Final

from common.clock import utc_now
from common.flow.definition import load_flow
from common.flow.executor import run
from common.flow.turn import Surroundings
from common.model.events import InboundMessage, MessageKind, MessageReceived
from common.model.session import Session
from scripts.bench.bench_flow import three_nodes
from scripts.bench.figures import Findings
from scripts.bench.ground import Ground

_NODES: Final = 3
_ROUND: Final = 500


def measure(ground: Ground) -> Findings:
    """The section `engine`: the best of several rounds is what the code can do; the others show the noise."""
    rates = [_turns_per_second(ground.quick_or(1, 2)) for _ in range(3)]
    return Findings({"engine.per_second": max(rates)}, {"engine": [round(rate) for rate in rates]})


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
