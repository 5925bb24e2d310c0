"""WhatsApp's 24 hours: after the customer's last message, texts can only be sent for so long."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from common.flow.forecast import Heard
from common.flow.validation.check import Check, error, warning
from common.flow.validation.circles import Longest, longest
from common.model.reply_window import MARGIN, WINDOW

if TYPE_CHECKING:
    from common.flow.definition import Node
    from common.flow.validation.graph import Edge
    from common.flow.validation.view import FlowView
    from common.model.issues import Issue

_CLOSED_SECONDS: Final = (WINDOW - MARGIN).total_seconds()
_RISKY_SECONDS: Final = 23 * 3600  # calls, queues and retries take time too
_WAITS_SHOWN: Final = 3


class Window(Check):
    name = "window"
    title = "Messages are sent within WhatsApp's 24 hours"
    rank = 150
    codes = (
        error(
            "window.closed",
            "On every path, more than 24 hours have passed since the customer last wrote when this step sends "
            "something. WhatsApp refuses it.",
            "Shorten the delays before it, or ask the customer something in between.",
        ),
        warning(
            "window.at_risk",
            "On some path, close to 24 hours or more can have passed since the customer last wrote when this step "
            "sends something. WhatsApp then refuses it, and the flow goes on without.",
            "Shorten the delays and time-outs on that path, or send nothing after them.",
        ),
    )

    def find(self, view: FlowView) -> Iterator[Issue]:
        silent = [
            edge
            for node_id in view.graph.reached
            for edge in view.graph.out[node_id]
            if edge.leaving.heard is not Heard.ALWAYS
        ]
        if not any(edge.leaving.waited_seconds for edge in silent):
            return
        fresh = {view.graph.start_id: 0.0} | {
            edge.target: 0.0
            for node_id in view.graph.reached
            for edge in view.graph.out[node_id]
            if edge.leaving.heard is not Heard.NEVER
        }
        least = _least(view, silent, fresh)
        most = longest(silent, _waited, fresh)
        told: set[str] = set()
        for node in view.nodes:
            entry = most.get(node.node_id)
            if entry is None or entry.cost < _RISKY_SECONDS:
                continue
            follows = any(edge.source in told and not _waited(edge) for edge in view.graph.into[node.node_id])
            if follows:
                told.add(node.node_id)  # what comes right after has the same reason
            elif any(not said.is_answer for said in view.says(node)):
                told.add(node.node_id)
                yield self._late(view, node, least.get(node.node_id, 0.0), most)

    def _late(self, view: FlowView, node: Node, least: float, most: Mapping[str, Longest]) -> Issue:
        entry = most[node.node_id]
        waits = _waits(view, node.node_id, most)
        if least >= _CLOSED_SECONDS:
            message = (
                f'"{node.label}" comes at least {_span(least)} after the customer\'s last message{waits}. WhatsApp '
                "delivers nothing after 24 hours. Shorten the delays, or ask the customer something before."
            )
            return self.issue("window.closed", message, node.node_id)
        if math.isinf(entry.cost):
            message = (
                f'"{node.label}" stands behind or in a circle that waits again and again without hearing from the '
                "customer. After 24 hours WhatsApp delivers nothing. Ask the customer something in the circle."
            )
        else:
            message = (
                f'"{node.label}" can come {_span(entry.cost)} after the customer\'s last message{waits}. WhatsApp '
                "delivers nothing after 24 hours. Shorten the waits on that path, or send nothing after them."
            )
        return self.issue("window.at_risk", message, node.node_id)


def _waited(edge: Edge) -> float:
    return edge.leaving.waited_seconds


def _least(view: FlowView, silent: list[Edge], fresh: Mapping[str, float]) -> dict[str, float]:
    """For each node, the least time since the customer's last message when it is entered (Dijkstra)."""
    out: dict[str, list[Edge]] = {}
    for edge in silent:
        out.setdefault(edge.source, []).append(edge)
    place = {node_id: number for number, node_id in enumerate(view.graph.order)}
    ahead = [(seconds, place[node_id], node_id) for node_id, seconds in fresh.items()]
    heapq.heapify(ahead)
    least: dict[str, float] = {}
    while ahead:
        seconds, _, node_id = heapq.heappop(ahead)
        if node_id in least:
            continue
        least[node_id] = seconds
        for edge in out.get(node_id, ()):
            heapq.heappush(ahead, (seconds + _waited(edge), place[edge.target], edge.target))
    return least


def _waits(view: FlowView, node_id: str, most: Mapping[str, Longest]) -> str:
    """The waits on the longest path to the node, in words."""
    edge, seen, waits = most[node_id].by, {node_id}, list[str]()
    while edge is not None and edge.source not in seen:
        seen.add(edge.source)
        if _waited(edge):
            waits.append(f"{view.label(edge.source)} ({_span(_waited(edge))})")
        entry = most.get(edge.source)
        edge = None if entry is None else entry.by
    waits.reverse()
    if not waits:
        return ""
    more = f" and {len(waits) - _WAITS_SHOWN} more" if len(waits) > _WAITS_SHOWN else ""
    return f", after {', '.join(waits[:_WAITS_SHOWN])}{more}"


def _span(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    days, rest = divmod(hours, 24)
    parts = (
        [(days, "day"), (rest, "hour"), (minutes, "minute")]
        if days > 1
        else [(hours, "hour"), (minutes, "minute")]
    )
    said = [f"{number:,} {word}{'' if number == 1 else 's'}" for number, word in parts if number]
    return " ".join(said) or "a moment"
