"""Faults on request: which answers go wrong, how, how often; seeded, so that a run can be repeated."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from typing import Any

from scripts.peers.graph_errors import GraphError
from scripts.peers.statuses import NAMES, Twist
from scripts.peers.wire import Request

COMMON = {"endpoint", "do", "times", "skip", "probability", "seed", "to"}
ACTIONS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "latency": {"seconds": (int, float), "jitter_seconds": (int, float)},
    "status": {"status": int, "shaped": bool, "retry_after": (int, float), "accepted": bool},
    "graph_error": {"code": int, "http_status": int, "details": str, "subcode": int, "transient": bool},
    "reset_before": {},
    "reset_after": {},
    "hang_before": {"seconds": (int, float)},
    "hang_after": {"seconds": (int, float)},
    "slow_drip": {"seconds": (int, float)},
    "garbage": {},
    "huge_body": {"bytes": int},
    "duplicate_statuses": {"copies": int},
    "reorder_statuses": {},
    "drop_statuses": {"statuses": list},
    "status_first": {},
    "fail_status": {"code": int},
}
REQUIRED = {"latency": "seconds", "status": "status", "graph_error": "code", "fail_status": "code"}
MAX_HUGE_BYTES = 256 * 1024 * 1024


class FaultError(Exception):
    """The description of a fault makes no sense; the message is a sentence."""


@dataclass(slots=True)
class Fault:
    """One rule: the next `times` requests to `endpoint` after `skip`, each with `probability`."""

    fault_id: str
    endpoint: str
    do: str
    params: dict[str, Any]
    times: int | None
    skip: int
    probability: float
    to: str | None
    chance: random.Random
    hits: int = 0

    @property
    def decides_the_answer(self) -> bool:
        """Whether it settles what is answered; the others only delay, or change statuses."""
        return self.do not in {"latency", "status_first"} and not self.do.endswith(("_statuses", "_status"))

    def applies(self, endpoint: str, request: Request) -> bool:
        """Whether this request is hit; counts it if so."""
        if self.times is not None and self.hits >= self.times:
            return False
        if not (endpoint == self.endpoint or endpoint.startswith(self.endpoint + ".")):
            return False
        if self.to is not None and self.to.encode() not in request.body:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.probability < 1 and self.chance.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def as_dict(self) -> dict[str, Any]:
        """The rule as JSON, with its hits."""
        where = {"id": self.fault_id, "endpoint": self.endpoint, "do": self.do, "hits": self.hits}
        when = {"times": self.times, "skip": self.skip, "probability": self.probability, "to": self.to}
        return where | when | self.params


@dataclass(slots=True)
class Effects:
    """All that the faults which hit one request do to it together."""

    latency_seconds: float = 0.0
    action: Fault | None = None
    twist: Twist | None = None
    status_first: bool = False

    def take(self, fault: Fault) -> None:
        """Add one fault."""
        if fault.do == "latency":
            spread = fault.params.get("jitter_seconds", 0.0)
            self.latency_seconds += fault.params["seconds"] + fault.chance.random() * spread
        elif fault.do == "status_first":
            self.status_first = True
        elif fault.decides_the_answer:
            self.action = fault
        else:
            self.twist = _twisted(self.twist or Twist(), fault)


@dataclass
class Faults:
    """The rules that are in force."""

    rules: list[Fault] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def add(self, wish: dict[str, Any]) -> Fault:
        """A new rule from its JSON; raises FaultError."""
        do = wish.get("do")
        if not isinstance(do, str) or do not in ACTIONS:
            raise FaultError(f"'do' must be one of: {', '.join(ACTIONS)}.")
        unknown = wish.keys() - COMMON - ACTIONS[do].keys()
        if unknown:
            raise FaultError(f"A fault {do!r} has no {', '.join(sorted(unknown))}.")
        params = {name: wish[name] for name in ACTIONS[do] if name in wish}
        _check_params(do, params)
        fault = Fault(
            fault_id=f"fault-{next(self._numbers)}",
            endpoint=_text(wish, "endpoint", "graph.messages"),
            do=do,
            params=params,
            times=_whole(wish, "times", None),
            skip=_whole(wish, "skip", 0) or 0,
            probability=_share(wish),
            to=_text(wish, "to", None),
            chance=random.Random(_whole(wish, "seed", 0)),  # noqa: S311 - repeatable on purpose
        )
        self.rules.append(fault)
        return fault

    def draw(self, endpoint: str, request: Request) -> Effects | None:
        """What befalls this request; None, at no cost, when there are no rules."""
        if not self.rules:
            return None
        effects = None
        for fault in self.rules:
            if effects is not None and effects.action is not None and fault.decides_the_answer:
                continue  # one answer, one such fault; the next request gets the next one
            if fault.applies(endpoint, request):
                effects = effects or Effects()
                effects.take(fault)
        return effects

    def remove(self, fault_id: str) -> bool:
        """Take one rule away; False when there is none of that id."""
        kept = [fault for fault in self.rules if fault.fault_id != fault_id]
        is_found = len(kept) < len(self.rules)
        self.rules = kept
        return is_found


def graph_error_of(fault: Fault) -> GraphError:
    """The Graph error that a `graph_error` fault asks for."""
    params = fault.params
    return GraphError(
        params["code"],
        params.get("details", "Injected by the local peer."),
        status=params.get("http_status"),
        subcode=params.get("subcode"),
        is_transient=params.get("transient"),
    )


def _twisted(twist: Twist, fault: Fault) -> Twist:
    if fault.do == "duplicate_statuses":
        twist.copies = fault.params.get("copies", 2)
    elif fault.do == "reorder_statuses":
        twist.is_reversed = True
    elif fault.do == "drop_statuses":
        twist.dropped = frozenset(fault.params.get("statuses", NAMES))
    else:
        twist.fail_code = fault.params["code"]
    return twist


def _check_params(do: str, params: dict[str, Any]) -> None:
    needed = REQUIRED.get(do)
    if needed is not None and needed not in params:
        raise FaultError(f"A fault {do!r} needs {needed!r}.")
    for name, value in params.items():
        kind = ACTIONS[do][name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise FaultError(f"{name!r} has the wrong type.")
        _check_value(name, value)


def _check_value(name: str, value: Any) -> None:
    if name == "statuses":
        if not all(item in NAMES for item in value):
            raise FaultError(f"'statuses' may hold: {', '.join(NAMES)}.")
    elif name.endswith("status"):
        if not 100 <= value <= 599:  # noqa: PLR2004 - HTTP's range
            raise FaultError(f"{name!r} must be an HTTP status.")
    elif isinstance(value, int | float) and not 0 <= value <= MAX_HUGE_BYTES:
        raise FaultError(f"{name!r} is out of range.")


def _text(wish: dict[str, Any], name: str, default: Any) -> Any:
    value = wish.get(name, default)
    if value is not None and not isinstance(value, str):
        raise FaultError(f"{name!r} must be a text.")
    return value


def _whole(wish: dict[str, Any], name: str, default: int | None) -> int | None:
    value = wish.get(name, default)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise FaultError(f"{name!r} must be a whole number, 0 or more.")
    return value


def _share(wish: dict[str, Any]) -> float:
    value = wish.get("probability", 1.0)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise FaultError("'probability' must be between 0 and 1.")
    return float(value)
