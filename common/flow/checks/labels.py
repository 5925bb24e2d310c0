"""Buttons and branches of one node can be told apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from common.flow.forecast import Says
from common.flow.text_matching import folded
from common.flow.validation.check import Check, warning

if TYPE_CHECKING:
    from common.flow.definition import Node
    from common.flow.validation.view import FlowView
    from common.model.issues import Issue


class Labels(Check):
    name = "labels"
    title = "Buttons and branches can be told apart"
    rank = 170
    codes = (
        warning(
            "button.same_label",
            "Two buttons of a node have the same label. WhatsApp does not allow that, so the second is sent with a "
            "number behind it, and who types the label always gets the first.",
            "Give each button a label of its own.",
        ),
        warning(
            "branch.same_label",
            "Two branches of a node have the same label, so nobody can tell them apart on the canvas and in logs.",
            "Give each branch a label of its own.",
        ),
    )

    def find(self, view: FlowView) -> Iterator[Issue]:
        for node in view.nodes:
            titles = [said for said in view.says(node) if said.says is Says.TITLE]
            if titles:
                labelled = [
                    (said.field, said.template.source) for said in titles if said.template is not None
                ]
                yield from self._same(node, "button.same_label", "button", labelled)
            else:
                exits = [("", label) for _, label in node.type.labelled_exits(node.settings)]
                yield from self._same(node, "branch.same_label", "branch", exits)

    def _same(self, node: Node, code: str, word: str, labelled: list[tuple[str, str]]) -> Iterator[Issue]:
        seen: set[str] = set()
        for field, label in labelled:
            if folded(label) in seen:
                message = f'"{node.label}" has two {"buttons" if word == "button" else "branches"} called "{label}".'
                hint = " Give each a label of its own."
                yield self.issue(code, message + hint, node.node_id, field or None)
            seen.add(folded(label))
