"""The flow as a graph: ways between nodes with what is so after each, who can be reached, who stands in circles."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from common.flow.forecast import Leaving

if TYPE_CHECKING:
    from common.flow.definition import Flow, Node

_UNKNOWN = Leaving()


@dataclass(frozen=True, slots=True, eq=False)
class Edge:
    """One way: from an exit of a node to another node."""

    source: str
    handle: str
    target: str
    comes_back: bool
    leaving: Leaving


class Graph:
    """`order` lists all nodes as a conversation meets them, breadth first; what cannot be reached comes last."""

    def __init__(self, flow: Flow) -> None:
        self.nodes = flow.nodes
        self.start_id = flow.start_id
        self.out: dict[str, list[Edge]] = {node_id: [] for node_id in flow.nodes}
        self.into: dict[str, list[Edge]] = {node_id: [] for node_id in flow.nodes}
        for node in flow.nodes.values():
            for handle, way in node.ways.items():
                edge = Edge(node.node_id, handle, way.target_id, way.comes_back, _leaving(node, handle))
                self.out[edge.source].append(edge)
                self.into[edge.target].append(edge)
        self.depth = _depths(self.start_id, self.out)
        self.reached: AbstractSet[str] = self.depth.keys()
        self.order = [*self.depth, *(node_id for node_id in flow.nodes if node_id not in self.depth)]

    def reaching(self, goals: Iterable[str]) -> set[str]:
        """The nodes from which one of the goals can be reached; the goals among them."""
        return _closure(goals, lambda node_id: (edge.source for edge in self.into[node_id]))

    def reachable(
        self, starts: Iterable[str], *, without: str = "", follow: Callable[[Edge], bool] | None = None
    ) -> set[str]:
        """The nodes that can be reached from these; they are among them. Nothing is followed out of `without`."""
        return _closure(
            starts,
            lambda node_id: (
                edge.target
                for edge in (() if node_id == without else self.out[node_id])
                if follow is None or follow(edge)
            ),
        )


def _leaving(node: Node, handle: str) -> Leaving:
    return _UNKNOWN if node.settings is None else node.type.leaving(node.settings, handle)


def _depths(start_id: str, out: Mapping[str, list[Edge]]) -> dict[str, int]:
    depths, ahead = {start_id: 0}, deque([start_id])
    while ahead:
        node_id = ahead.popleft()
        for edge in out[node_id]:
            if edge.target not in depths:
                depths[edge.target] = depths[node_id] + 1
                ahead.append(edge.target)
    return depths


def _closure(starts: Iterable[str], step: Callable[[str], Iterable[str]]) -> set[str]:
    found, ahead = set[str](), list(starts)
    while ahead:
        node_id = ahead.pop()
        if node_id not in found:
            found.add(node_id)
            ahead.extend(step(node_id))
    return found


def components(nodes: Iterable[str], targets: Mapping[str, list[str]]) -> list[list[str]]:
    """The strongly connected components, each before those that lead to it (Tarjan's order). No recursion."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: dict[str, None] = {}
    found: list[list[str]] = []
    for root in nodes:
        if root in index:
            continue
        ahead = [(root, iter(targets.get(root, ())))]
        index[root] = low[root] = len(index)
        open_[root] = None
        while ahead:
            node_id, rest = ahead[-1]
            for target in rest:
                if target not in index:
                    index[target] = low[target] = len(index)
                    open_[target] = None
                    ahead.append((target, iter(targets.get(target, ()))))
                    break
                if target in open_:
                    low[node_id] = min(low[node_id], index[target])
            else:
                ahead.pop()
                if ahead:
                    low[ahead[-1][0]] = min(low[ahead[-1][0]], low[node_id])
                if low[node_id] == index[node_id]:
                    found.append(_take_down_to(node_id, open_))
    return found


def _take_down_to(node_id: str, open_: dict[str, None]) -> list[str]:
    taken = []
    while True:
        last, _ = open_.popitem()
        taken.append(last)
        if last == node_id:
            return taken
