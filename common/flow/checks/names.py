"""Variables are named and declared as they may be, and the bot's own are only read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from common.flow.settings_groups import written_fields
from common.flow.validation.check import Check, error, warning

if TYPE_CHECKING:
    from common.flow.validation.view import FlowView
    from common.model.issues import Issue

_DECLARE: Final = "Correct the flow's list of variables."


class Names(Check):
    name = "names"
    title = "Variables are named and set as they may be"
    rank = 110
    codes = (
        error(
            "variable.name",
            "A variable cannot have this name.",
            "Begin with a letter; use letters, digits and underscores only, and no reserved name.",
        ),
        error(
            "variable.declaration", "The flow declares a variable in a way that is not understood.", _DECLARE
        ),
        error("variables.not_an_object", "The flow's variables are not an object.", _DECLARE),
        error("variables.not_a_list", "A list of the flow's variables is no list.", _DECLARE),
        error(
            "variable.read_only",
            "A step sets a variable of the bot. Conversations can only read those.",
            "Keep the value in a variable with another name.",
        ),
        warning(
            "variable.hides_system",
            "A step sets a variable that the system fills; the flow then no longer sees the system's value.",
            "Use another name, unless that is what you want.",
        ),
    )

    def find(self, view: FlowView) -> Iterator[Issue]:
        declared = view.flow.variables_declared.bot
        for node in view.flow.nodes.values() if view.context.bot_variables else ():
            for path, name in () if node.settings is None else written_fields(node.settings):
                if name in (view.context.bot_variables or ()) and name not in declared:
                    message = f'"{name}" is a variable of the bot: conversations can read it, but not set it.'
                    yield self.issue("variable.read_only", message, node.node_id, path)
