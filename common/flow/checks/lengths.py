"""Texts fit what WhatsApp takes, also when variables are filled in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from common.flow.forecast import Says
from common.flow.message_limits import BUTTON_TEXT_MAX, TEXT_MAX, TITLE_MAX, units
from common.flow.validation.check import Check, warning

if TYPE_CHECKING:
    from common.flow.definition import Node
    from common.flow.forecast import Said
    from common.flow.templates import Template
    from common.flow.validation.view import FlowView
    from common.model.issues import Issue

_LIMITS: Final = {
    Says.MESSAGE: ("text.too_long", TEXT_MAX, "it is then split into several messages"),
    Says.ABOVE_BUTTONS: ("text.too_long_for_buttons", BUTTON_TEXT_MAX, "its beginning is then sent as a message of its own"),
    Says.TITLE: ("text.too_long_for_title", TITLE_MAX, "it is then cut"),
}  # fmt: skip


class Lengths(Check):
    name = "lengths"
    title = "Texts fit WhatsApp's limits"
    rank = 140
    codes = (
        warning(
            "text.too_long",
            f"With its variables filled in, a message can have more than {TEXT_MAX} characters. It is then split.",
            "Shorten the text, or limit the length of the answer that is put in.",
        ),
        warning(
            "text.too_long_for_buttons",
            f"With its variables filled in, the text above buttons can have more than {BUTTON_TEXT_MAX} characters. "
            "Its beginning is then sent as a message of its own.",
            "Shorten the text, or send the long part in a MESSAGE before.",
        ),
        warning(
            "text.too_long_for_title",
            f"With its variables filled in, a button's label can have more than {TITLE_MAX} characters. It is then cut.",
            "Shorten the label, or limit the length of the answer that is put in.",
        ),
    )

    def find(self, view: FlowView) -> Iterator[Issue]:
        for node in view.nodes:
            for said in view.says(node):
                if said.template is not None and not said.template.is_constant:
                    yield from self._measure(view, node, said, said.template)

    def _measure(self, view: FlowView, node: Node, said: Said, template: Template) -> Iterator[Issue]:
        code, limit, consequence = _LIMITS[said.says]
        shortest = sum(units(piece) for piece in template.pieces if isinstance(piece, str))
        longest = view.variables.longest(node.node_id, template)
        if shortest > limit:
            verb, length = "always has at least", shortest
        elif longest is not None and longest > limit:
            verb, length = "can have", longest
        else:
            return
        message = (
            f'"{said.label}" of "{node.label}" {verb} {length:,} characters with its variables filled in; '
            f"WhatsApp takes {limit:,}, so {consequence}. Shorten it."
        )
        yield self.issue(code, message, node.node_id, said.field)
