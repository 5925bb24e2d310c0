"""The flow JSON itself: can it be read?"""

from __future__ import annotations

from typing import Final

from common.flow.validation.check import Check, error, warning

_OWN: Final = "Export or save the flow again from the builder; if it was written by hand, correct it there."


class Document(Check):
    name = "document"
    title = "The flow can be read"
    rank = 10
    codes = (
        error("flow.not_an_object", "The flow is no JSON object.", _OWN),
        error("flow.no_nodes", "The flow has no nodes at all.", "Add a START node and what follows it."),
        error(
            "flow.too_large",
            "The flow has more nodes or connections than one flow may have.",
            "Move a part of it into a flow of its own.",
        ),
        error("flow.edges", "The connections are not a list.", _OWN),
        error("flow.settings", "The settings of the flow are not an object.", _OWN),
        error("node.not_an_object", "Something in the list of nodes is no node.", _OWN),
        error("node.id", "A node has no usable id.", _OWN),
        error("node.duplicate_id", "Two nodes have the same id.", "Delete one of them and add it anew."),
        error("node.config", "The settings of a node are not an object.", _OWN),
        error(
            "node.unknown_type", "There is no such type of node.", "Replace it by a node from the library."
        ),
        error("node.type_conflict", "A node and its settings name two different types.", _OWN),
        warning(
            "node.position",
            "A node has no usable place on the canvas.",
            "Move it on the canvas, then save the flow.",
        ),
        warning(
            "field.unknown",
            "A node has a setting that its type does not know.",
            "Check how the setting is spelled; it has no effect as it stands.",
        ),
    )
