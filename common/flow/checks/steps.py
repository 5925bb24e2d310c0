"""What runs after one message is short enough: a turn that takes too many steps fails."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from common.flow.executor import STEP_BUDGET
from common.flow.validation.check import Check, error, warning
from common.flow.validation.circles import longest

if TYPE_CHECKING:
    from common.flow.validation.graph import Edge
    from common.flow.validation.view import FlowView
    from common.model.issues import Issue


class Steps(Check):
    name = "steps"
    title = "No stretch without waiting is too long"
    rank = 95
    codes = (
        error(
            "flow.too_many_steps",
            f"Before this step comes, more than {STEP_BUDGET} others run without waiting. The conversation fails.",
            "Put a question, buttons or a short delay in between.",
        ),
        warning(
            "flow.many_steps",
            f"More than {STEP_BUDGET} steps can run without waiting, as rounds of a LOOP or in a row. The "
            "conversation then fails.",
            "Let the LOOP go round less often, or put a question, buttons or a short delay in between.",
        ),
    )

    def find(self, view: FlowView) -> Iterator[Issue]:
        hurried: list[Edge] = []
        begins = {view.graph.start_id: 1.0}
        for node in view.nodes:
            for edge in view.graph.out[node.node_id]:
                if node.type.waits_for is None:
                    hurried.append(edge)
                else:
                    begins[edge.target] = 2.0  # the node that waited is the turn's first step
        least = _least(hurried, begins)
        most = longest(hurried, lambda _: 1, begins)
        told: set[str] = set()
        for node in view.nodes:
            entry = most.get(node.node_id)
            if entry is None or entry.cost <= STEP_BUDGET:
                continue
            told.add(node.node_id)
            if any(
                edge.source in told and edge.source != node.node_id for edge in view.graph.into[node.node_id]
            ):
                continue
            if least.get(node.node_id, 0) > STEP_BUDGET:
                message = (
                    f'"{node.label}" comes after more than {STEP_BUDGET} steps in a row without waiting, where '
                    "conversations fail. Put a question, buttons or a short delay in between."
                )
                yield self.issue("flow.too_many_steps", message, node.node_id)
            elif not math.isinf(entry.cost):
                message = (
                    f'Up to {entry.cost:,.0f} steps can run without waiting before "{node.label}" is done; after '
                    f"{STEP_BUDGET} a conversation fails. Repeat less often, or wait in between."
                )
                yield self.issue("flow.many_steps", message, node.node_id)


def _least(edges: list[Edge], begins: dict[str, float]) -> dict[str, float]:
    """For each node, the least number of steps that a turn has taken when it is entered."""
    out: dict[str, list[Edge]] = {}
    for edge in edges:
        out.setdefault(edge.source, []).append(edge)
    least: dict[str, float] = {}
    ahead = deque(sorted(begins.items(), key=lambda one: one[1]))
    while ahead:
        node_id, steps = ahead.popleft()
        if steps < least.get(node_id, math.inf):
            least[node_id] = steps
            ahead.extend((edge.target, steps + 1) for edge in out.get(node_id, ()))
    return least
