"""Loops come round, and what ends them can change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from common.flow.conditions import leaves, operands
from common.flow.forecast import Heard
from common.flow.references import Chain
from common.flow.validation.check import Check, warning

if TYPE_CHECKING:
    from common.flow.forecast import Test
    from common.flow.validation.graph import Edge
    from common.flow.validation.view import FlowView
    from common.model.issues import Issue

_NEW_WITH_EACH_MESSAGE: Final = {"lastMessage", "messageId"}
_ALWAYS_NEW: Final = {"timestamp"}


class Loops(Check):
    name = "loops"
    title = "Loops come to an end by themselves"
    rank = 100
    codes = (
        warning(
            "loop.limited",
            "The safety limit of a LOOP is below the number of rounds asked for.",
            "Raise the limit.",
        ),
        warning(
            "loop.once",
            "The body of a LOOP never comes back to it, so it runs once.",
            "Connect the end of the body to the LOOP, or leave the LOOP out.",
        ),
        warning(
            "loop.never_changes",
            "Nothing in the body of a LOOP changes what its condition looks at, so the condition stays as it is.",
            "Set the variable inside the body, for instance by an INPUT, or correct its name.",
        ),
    )

    def find(self, view: FlowView) -> Iterator[Issue]:
        for node in view.nodes:
            edges = view.graph.out[node.node_id]
            bodies = [edge for edge in edges if edge.leaving.rounds is not None]
            if not bodies:
                continue
            body = view.graph.reachable((edge.target for edge in bodies), without=node.node_id)
            if node.node_id not in body:
                message = (
                    f'The steps of "{node.label}" never lead back to it, so they run only once. '
                    "Connect the last of them to the loop."
                )
                yield self.issue("loop.once", message, node.node_id)
                continue
            inside = body & view.graph.reaching([node.node_id])
            leaving = [
                edge for node_id in inside for edge in view.graph.out[node_id] if edge.target in inside
            ]
            for test in view.tests(node):
                names = _looks_at(test)
                if names and not _changes(view, leaving, names) and not names & set(view.variables.bot):
                    shown = ", ".join(f'"{name}"' for name in sorted(names))
                    message = (
                        f'No step in the loop "{node.label}" changes {shown}, so its condition stays as it is: '
                        "the loop is left at once or only at its safety limit. Set the variable inside the loop."
                    )
                    yield self.issue("loop.never_changes", message, node.node_id, test.field)


def _looks_at(test: Test) -> frozenset[str]:
    sides = [side for leaf in leaves(test.condition) for side in operands(leaf)]
    chains = [
        chain
        for side in sides
        for chain in ((side,) if isinstance(side, Chain) else getattr(side, "chains", ()))
    ]
    return frozenset[str]().union(*(chain.names for chain in chains))


def _changes(view: FlowView, leaving: list[Edge], names: frozenset[str]) -> bool:
    if names & _ALWAYS_NEW:
        return True
    if names & _NEW_WITH_EACH_MESSAGE and any(edge.leaving.heard is not Heard.NEVER for edge in leaving):
        return True
    return any(
        view.flow.nodes[edge.source].settings is None
        or names & edge.leaving.sets.keys()
        or names & edge.leaving.deletes
        for edge in leaving
    )
