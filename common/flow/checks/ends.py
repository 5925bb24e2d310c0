"""From every node an END can be reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from common.flow.validation.check import Check, error

if TYPE_CHECKING:
    from common.flow.definition import Node
    from common.flow.validation.view import FlowView
    from common.model.issues import Issue


class Ends(Check):
    name = "ends"
    title = "Every path can reach an END"
    rank = 40
    codes = (
        error(
            "flow.no_end",
            "No path from START comes to an END.",
            "Add an END node and connect the last step to it.",
        ),
        error(
            "node.no_way_to_end",
            "From this node a conversation can only go round; it can never come to an END.",
            "Connect an exit of a node in the circle to a path that ends.",
        ),
    )

    def find(self, view: FlowView) -> Iterator[Issue]:
        graph = view.graph
        ends = [node.node_id for node in view.flow.nodes.values() if not node.type.exits]
        is_broken = any(view.flow.nodes[node_id].settings is None for node_id in graph.reached)
        if not is_broken and not graph.reached & set(ends):
            yield self.issue(
                "flow.no_end", "No path comes to an END. Add an END node where the flow is done."
            )
            return
        unfinished = [node.node_id for node in view.flow.nodes.values() if _is_unfinished(node)]
        ending = graph.reaching([*ends, *unfinished])
        for node in view.nodes:
            if node.node_id not in ending:
                message = (
                    f'From "{node.label}" no path comes to an END: the conversation goes round for ever. '
                    "Lead one of the exits out of the circle."
                )
                yield self.issue("node.no_way_to_end", message, node.node_id)


def _is_unfinished(node: Node) -> bool:
    """Whether another check says already that something is missing here; an END may follow."""
    return node.settings is None or any(
        handle not in node.ways for handle in node.type.handles(node.settings)
    )
