"""Circles of a graph: which of them can be run through for ever, and how long the rest can keep a conversation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from common.flow.validation.graph import Edge, components

_MOST_NESTED = 12  # loops inside each other whose length is worked out; deeper counts as endless
_MOST_PEELED = 100  # loops inside each other that are looked into for a circle without an end


def endless(edges: Iterable[Edge]) -> list[list[str]]:
    """The groups of nodes in which a conversation can go round for ever by these ways.

    A counted exit is taken only so often in a row. So a circle through its node ends by itself, unless the circle
    also leaves the node by another exit, or comes in from outside the loop: then the count begins anew. An exit that
    is taken after a round only is part of a circle only if the round is.
    """
    found, ahead = [], [(list(edges), 0)]
    while ahead:
        within, depth = ahead.pop()
        for circle in _circles(within):
            counted, early = _bounded(circle), _too_early(circle)
            if (counted or early) and depth < _MOST_PEELED:
                rest = [edge for edge in circle if edge.source not in counted or edge.leaving.rounds is None]
                ahead.append(([edge for edge in rest if edge not in early], depth + 1))
            elif not counted:
                found.append(list(dict.fromkeys(edge.source for edge in circle)))
    return found


def _circles(edges: Sequence[Edge]) -> list[list[Edge]]:
    """The edges inside each strongly connected component that has any."""
    targets: dict[str, list[str]] = {}
    for edge in edges:
        targets.setdefault(edge.source, []).append(edge.target)
    group = {
        node_id: number
        for number, nodes in enumerate(components(list(targets), targets))
        for node_id in nodes
    }
    inside: dict[int, list[Edge]] = {}
    for edge in edges:
        if group[edge.source] == group[edge.target]:
            inside.setdefault(group[edge.source], []).append(edge)
    return list(inside.values())


def _too_early(circle: Sequence[Edge]) -> set[Edge]:
    """The exits that are only taken after a round, where the circle has no such round."""
    repeated = {edge.source for edge in circle if edge.leaving.rounds is not None}
    return {edge for edge in circle if edge.leaving.after_round and edge.source not in repeated}


def _bounded(circle: Sequence[Edge]) -> set[str]:
    """The nodes whose counted exits cannot be taken for ever within the circle."""
    counted = {edge.source for edge in circle if edge.leaving.rounds is not None}
    for edge in circle:
        if edge.leaving.rounds is None:
            counted.discard(edge.source)
        if not edge.comes_back:
            counted.discard(edge.target)
    return counted


@dataclass(frozen=True, slots=True)
class Longest:
    """The most that a conversation can have gathered when it enters a node, and by which edge it came."""

    cost: float
    by: Edge | None = None


def longest(
    edges: Sequence[Edge], cost: Callable[[Edge], float], at_first: Mapping[str, float], depth: int = 0
) -> dict[str, Longest]:
    """For each node that can be entered, an upper bound of what the ways to it cost together; infinite for circles
    that have no end. `at_first` are the nodes where a conversation can begin, with what it has gathered there.
    """
    out: dict[str, list[Edge]] = {}
    for edge in edges:
        out.setdefault(edge.source, []).append(edge)
    targets = {source: [edge.target for edge in leaving] for source, leaving in out.items()}
    best = {node_id: Longest(value) for node_id, value in at_first.items()}
    for group in reversed(components([*at_first, *targets], targets)):
        members = set(group)
        leaving = [edge for node_id in group if node_id in best for edge in out.get(node_id, ())]
        inside = [edge for edge in leaving if edge.target in members]
        if inside:
            inside = [edge for node_id in group for edge in out.get(node_id, ()) if edge.target in members]
            _settle(group, _gathered(inside, cost, depth), best)
            leaving = [edge for node_id in group for edge in out.get(node_id, ())]
        for edge in leaving:
            total = best[edge.source].cost + cost(edge)
            if edge.target not in members and (edge.target not in best or total > best[edge.target].cost):
                best[edge.target] = Longest(total, edge)
    return best


def _settle(group: Sequence[str], gathered: float, best: dict[str, Longest]) -> None:
    """Give the nodes of a circle what the dearest way into it cost, plus what can be gathered within."""
    dearest = max((best[node_id] for node_id in group if node_id in best), key=lambda entry: entry.cost)
    for node_id in group:
        best[node_id] = Longest(dearest.cost + gathered, best[node_id].by if node_id in best else dearest.by)


def _gathered(circle: Sequence[Edge], cost: Callable[[Edge], float], depth: int) -> float:
    """The most that can be gathered within a circle: rounds times the dearest way through one round."""
    if not any(cost(edge) for edge in circle):
        return 0
    counted = _bounded(circle)
    if not counted or depth >= _MOST_NESTED:
        return math.inf
    header = min(counted)
    rounds = [edge for edge in circle if edge.source == header and edge.leaving.rounds is not None]
    others = [edge for edge in circle if edge not in rounds]
    nodes = dict.fromkeys((edge.source for edge in circle), 0.0)
    once = max(entry.cost for entry in longest(others, cost, nodes, depth + 1).values())
    return (once + max(map(cost, rounds))) * (1 + max(edge.leaving.rounds or 0 for edge in rounds))
