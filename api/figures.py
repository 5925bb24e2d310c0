"""Figures as answers show them: from amounts under their paths to totals, rates, durations and nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from common.model.counters import DURATION_BOUNDS, Amounts, NodeFigure, Total, decode
from common.store.analytics import Standing

_NANO: Final = 1_000_000_000
_PLAIN: Final = (
    Total.SESSIONS, Total.STARTS, Total.RESUMED, Total.COMPLETED, Total.ENDED_IN_ERROR, Total.FAILED, Total.CLOSED,
    Total.RESTARTED, Total.TURNS, Total.VISITS, Total.ERRORS,
)  # fmt: skip
_NODE: Final = {
    "visits": NodeFigure.VISITS,
    "ended": NodeFigure.ENDED,
    "failed": NodeFigure.FAILED,
    "closed": NodeFigure.CLOSED,
    "restarted": NodeFigure.RESTARTED,
    "jumpedAway": NodeFigure.JUMPED,
}


def totals_of(amounts: Amounts) -> dict[str, Any]:
    """The totals of a period."""
    begun = _of(amounts, Total.STARTS) + _of(amounts, Total.RESUMED)
    return {
        **{total.value: _of(amounts, total) for total in _PLAIN},
        "completionRate": _rate(_of(amounts, Total.COMPLETED), begun),
        "failureRate": _rate(_of(amounts, Total.FAILED), begun),
        "messages": messages_of(amounts),
        "api": {
            "calls": _of(amounts, Total.API_CALLS),
            "failures": _of(amounts, Total.API_FAILURES),
            "failureRate": _rate(_of(amounts, Total.API_FAILURES), _of(amounts, Total.API_CALLS)),
        },
        "ai": {
            "calls": _of(amounts, Total.AI_CALLS),
            "failures": _of(amounts, Total.AI_FAILURES),
            "failureRate": _rate(_of(amounts, Total.AI_FAILURES), _of(amounts, Total.AI_CALLS)),
            "promptTokens": _of(amounts, Total.PROMPT_TOKENS),
            "completionTokens": _of(amounts, Total.COMPLETION_TOKENS),
            "costUsd": _of(amounts, Total.COST_NANO_USD) / _NANO,
            "callsWithoutPrice": _of(amounts, Total.UNPRICED),
        },
        "duration": duration_of(amounts),
    }


def messages_of(amounts: Amounts) -> dict[str, int]:
    """What became of messages, in both directions."""
    return {
        "received": _of(amounts, Total.MESSAGES_IN),
        "queued": _of(amounts, Total.QUEUED),
        "accepted": _of(amounts, Total.ACCEPTED),
        "sent": _of(amounts, Total.SENT),
        "delivered": _of(amounts, Total.DELIVERED),
        "read": _of(amounts, Total.READ),
        "failed": _of(amounts, Total.SEND_FAILED),
        "failedButArrived": _of(amounts, Total.FAILED_CORRECTED),
        "unknown": _of(amounts, Total.SEND_UNKNOWN),
        "unknownButArrived": _of(amounts, Total.UNKNOWN_CORRECTED),
    }


def duration_of(amounts: Amounts) -> dict[str, Any]:
    """How long runs took that came to an END. Median and p90 are read off the classes, by straight lines."""
    classes = [amounts.get(f"h.{place}", 0) for place in range(len(DURATION_BOUNDS) + 1)]
    count = _of(amounts, Total.DURATIONS)
    return {
        "count": count,
        "averageSeconds": _of(amounts, Total.DURATION_MS) / 1000 / count if count else None,
        "medianSeconds": quantile(classes, 0.5),
        "p90Seconds": quantile(classes, 0.9),
        "classes": [
            {"upToSeconds": bound, "count": number}
            for bound, number in zip((*DURATION_BOUNDS, None), classes, strict=True)
        ],
    }


def quantile(classes: list[int], part: float) -> float | None:
    """An estimate; None where nothing was counted. What lies in the last class is at least its lower bound."""
    wanted, seen = sum(classes) * part, 0
    if not wanted:
        return None
    for place, number in enumerate(classes[:-1]):
        if number and seen + number >= wanted:
            low = DURATION_BOUNDS[place - 1] if place else 0
            return low + (DURATION_BOUNDS[place] - low) * (wanted - seen) / number
        seen += number
    return float(DURATION_BOUNDS[-1])


def errors_of(amounts: Amounts, prefix: str = "e.") -> list[dict[str, Any]]:
    """Errors by code, the most frequent first."""
    found = [
        {"code": decode(path.removeprefix(prefix)), "count": number}
        for path, number in amounts.items()
        if path.startswith(prefix)
    ]
    return sorted(found, key=lambda error: (-int(str(error["count"])), str(error["code"])))


def series_of(series: Mapping[datetime, Amounts]) -> list[dict[str, Any]]:
    """A point for each hour or day."""
    return [
        {
            "at": at,
            **{total.value: _of(amounts, total) for total in _PLAIN},
            "messages": messages_of(amounts),
            "apiFailures": _of(amounts, Total.API_FAILURES),
            "aiFailures": _of(amounts, Total.AI_FAILURES),
            "aiCostUsd": _of(amounts, Total.COST_NANO_USD) / _NANO,
        }
        for at, amounts in series.items()
    ]


def nodes_of(
    amounts: Amounts, standing: Mapping[str, Standing], nodes: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Every node of a version, and every other one that something was counted for, in the flow's order."""
    counted = _by_node(amounts)
    extra = [name for name in (*counted, *standing) if name not in nodes]
    return [
        _node(name, nodes.get(name, {}), counted.get(name, {}), standing.get(name, Standing()))
        for name in dict.fromkeys((*nodes, *extra))
    ]


def _by_node(amounts: Amounts) -> dict[str, Amounts]:
    found: dict[str, Amounts] = {}
    for path, amount in amounts.items():
        if path.startswith("nodes."):
            _, name, figure = path.split(".", 2)
            found.setdefault(decode(name), {})[figure] = amount
    return found


def _node(node_id: str, node: Mapping[str, Any], counted: Amounts, standing: Standing) -> dict[str, Any]:
    figures = {name: counted.get(figure.value, 0) for name, figure in _NODE.items()}
    dropped = figures["failed"] + figures["closed"] + standing.silent_in_period
    return {
        "nodeId": node_id,
        "nodeType": node.get("nodeType"),
        "label": node.get("label"),
        **figures,
        "waiting": standing.waiting,
        "silent": standing.silent,
        "dropOff": dropped,
        "dropOffRate": _rate(dropped, figures["visits"]),
        "exits": [{"handle": handle, "count": number} for handle, number in _exits(counted)],
        "errors": errors_of(counted),
    }


def _exits(counted: Amounts) -> Iterator[tuple[str, int]]:
    for figure, amount in sorted(counted.items()):
        if figure.startswith("x."):
            yield decode(figure.removeprefix("x.")), amount


def flows_of(amounts: Amounts) -> list[tuple[str, int, int]]:
    """The flows of an owner's figures as (id, starts, completions), the most started first."""
    found: dict[str, dict[str, int]] = {}
    for path, amount in amounts.items():
        if path.startswith("flows."):
            _, flow_id, figure = path.split(".")
            found.setdefault(decode(flow_id), {})[figure] = amount
    rows = [(flow_id, counts.get("s", 0), counts.get("c", 0)) for flow_id, counts in found.items()]
    return sorted(rows, key=lambda row: (-row[1], row[0]))


def _of(amounts: Amounts, total: Total) -> int:
    return amounts.get(total.path, 0)


def _rate(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
