"""By which way a conversation can arrive without a variable, so that a person can find it on the canvas."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from common.flow.validation.graph import Edge
    from common.flow.validation.view import FlowView

_MOST_NAMES: Final = 100  # variables whose ways are looked for: a flow with more has been told enough

Tree = dict[str, "Edge | None"]


class Witnesses:
    """Finds ways on which a variable stays unset. Keeps one tree of ways for each variable."""

    def __init__(self, view: FlowView) -> None:
        self._view = view
        self._trees: dict[str, Tree] = {}
        self._deleting = [
            edge for node_id in view.graph.reached for edge in view.graph.out[node_id] if edge.leaving.deletes
        ]

    def way_without(self, name: str, node_id: str) -> Edge | None:
        """The last turning on a way to the node on which the variable is not set: where it was left out, or where
        the way joins another one on which it is set. None where there is none to show.
        """
        if name not in self._trees and len(self._trees) >= _MOST_NAMES:
            return None
        tree = self._trees.get(name)
        if tree is None:
            tree = self._trees[name] = self._grow(name)
        edge, seen = tree.get(node_id), set[str]()
        while edge is not None and edge.source not in seen:
            if self._is_turning(edge, name):
                return edge
            seen.add(edge.source)
            edge = None if name in edge.leaving.deletes else tree.get(edge.source)
        return None

    def _grow(self, name: str) -> Tree:
        """From everywhere that the variable is unset, the ways that leave it so."""
        graph = self._view.graph
        tree: Tree = {graph.start_id: None}
        ahead = deque([graph.start_id])
        for edge in self._deleting:
            if name in edge.leaving.deletes and tree.setdefault(edge.target, edge) is edge:
                ahead.append(edge.target)
        while ahead:
            for edge in graph.out[ahead.popleft()]:
                if name not in edge.leaving.sets and edge.target not in tree:
                    tree[edge.target] = edge
                    ahead.append(edge.target)
        return tree

    def _is_turning(self, edge: Edge, name: str) -> bool:
        graph, reaching = self._view.graph, self._view.variables.reaching
        if name in edge.leaving.deletes or any(
            name in other.leaving.sets for other in graph.out[edge.source]
        ):
            return True
        return any(
            definition.given is not None
            for other in graph.into[edge.target]
            if other is not edge
            for definition in reaching.definitions(reaching.bits_after(other, name))
        )
