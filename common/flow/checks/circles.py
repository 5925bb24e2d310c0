"""No circle runs without waiting for anybody."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from common.flow.validation.check import Check, error
from common.flow.validation.circles import endless

if TYPE_CHECKING:
    from common.flow.validation.graph import Edge
    from common.flow.validation.view import FlowView
    from common.model.issues import Issue

_SHOWN = 4  # nodes of a circle that a message names


class Circles(Check):
    name = "circles"
    title = "No circle runs without waiting"
    rank = 90
    codes = (
        error(
            "flow.endless_circle",
            "A circle can be run through for ever: nothing in it waits for the customer or for a time, and no LOOP "
            "counts its rounds. The conversation fails after 200 steps.",
            "Put an INPUT, BUTTON or DELAY into the circle, or let a LOOP repeat it.",
        ),
    )

    def find(self, view: FlowView) -> Iterator[Issue]:
        edges = [
            edge for node in view.nodes for edge in view.graph.out[node.node_id] if _can_hurry(view, edge)
        ]
        place = {node_id: number for number, node_id in enumerate(view.graph.order)}
        for circle in endless(edges):
            circle.sort(key=place.__getitem__)
            named = ", ".join(view.label(node_id) for node_id in circle[:_SHOWN])
            more = f" and {len(circle) - _SHOWN} more" if len(circle) > _SHOWN else ""
            message = (
                f"The conversation can go round in a circle without ever waiting: {named}{more}. "
                "Put a question, buttons or a delay into it, or let a LOOP repeat it."
            )
            yield self.issue("flow.endless_circle", message, circle[0])


def _can_hurry(view: FlowView, edge: Edge) -> bool:
    """Whether a conversation can take this way without waiting at the node; a loop's counted exits are judged
    with the circles that they are part of.
    """
    node = view.flow.nodes[edge.source]
    counts = any(other.leaving.rounds is not None for other in view.graph.out[edge.source])
    return counts or not node.type.bounds_cycles
