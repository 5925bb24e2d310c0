"""Every node can be reached from START."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from common.flow.validation.check import Check, error

if TYPE_CHECKING:
    from common.flow.validation.view import FlowView
    from common.model.issues import Issue


class Reachable(Check):
    name = "reachable"
    title = "Every node can be reached"
    rank = 30
    codes = (
        error(
            "node.unreachable",
            "No path from START leads to the node.",
            "Connect an exit of another node to it, or delete it.",
        ),
    )

    def find(self, view: FlowView) -> Iterator[Issue]:
        for node_id, node in view.flow.nodes.items():
            if node_id not in view.graph.reached and node.type.inputs:
                message = f'No path leads to "{node.label}". Connect it, or delete it.'
                yield self.issue("node.unreachable", message, node_id)
