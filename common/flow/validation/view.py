"""What checks look at: the flow, what surrounds it, its graph, and what is known of its variables."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from common.flow.validation.graph import Edge, Graph
from common.flow.validation.uses import Use, uses_of
from common.flow.validation.variables import Variables

if TYPE_CHECKING:
    from common.flow.definition import Flow, Node
    from common.flow.forecast import Said, Test
    from common.flow.validation.context import CheckContext


class FlowView:
    """One flow under check. What several checks need is worked out once, when the first of them asks."""

    def __init__(self, flow: Flow, data: object, context: CheckContext) -> None:
        self.flow = flow
        self.context = context
        self._data = data
        self._said: dict[str, tuple[Said, ...]] = {}
        self._tests: dict[str, tuple[Test, ...]] = {}

    @cached_property
    def graph(self) -> Graph:
        return Graph(self.flow)

    @cached_property
    def variables(self) -> Variables:
        return Variables(self.flow, self.graph, self.context, self._data)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that can run: they can be reached, and their settings have no errors. In the flow's order."""
        reached = (self.flow.nodes[node_id] for node_id in self.graph.order if node_id in self.graph.reached)
        return tuple(node for node in reached if node.settings is not None)

    @cached_property
    def uses(self) -> tuple[Use, ...]:
        """Every placeholder of the nodes that can run."""
        return tuple(use for node in self.nodes for use in uses_of(node))

    def says(self, node: Node) -> tuple[Said, ...]:
        """The texts that a run of the node may send."""
        if node.node_id not in self._said:
            self._said[node.node_id] = tuple(node.type.says(node.settings))
        return self._said[node.node_id]

    def tests(self, node: Node) -> tuple[Test, ...]:
        """The conditions of the node."""
        if node.node_id not in self._tests:
            self._tests[node.node_id] = tuple(node.type.tests(node.settings))
        return self._tests[node.node_id]

    def label(self, node_id: str) -> str:
        """What a person calls the node, in quotes."""
        return f'"{self.flow.nodes[node_id].label}"'

    def exit_label(self, edge: Edge) -> str:
        """What a person calls an exit, in quotes."""
        node = self.flow.nodes[edge.source]
        labels = {} if node.settings is None else dict(node.type.labelled_exits(node.settings))
        return f'"{labels.get(edge.handle) or edge.handle}"'

    def way_label(self, edge: Edge) -> str:
        """An edge in words: the node, and which exit where it has several."""
        if len(self.graph.out[edge.source]) <= 1:
            return self.label(edge.source)
        return f"{self.label(edge.source)} by its exit {self.exit_label(edge)}"
