"""Exactly one START node."""

from __future__ import annotations

from common.flow.validation.check import Check, error


class Start(Check):
    name = "start"
    title = "There is exactly one START"
    rank = 20
    codes = (
        error(
            "flow.no_start",
            "The flow has no START node, so no conversation can begin.",
            "Add a START node and connect it to the first step.",
        ),
        error(
            "flow.two_starts",
            "The flow has more than one START node.",
            "Delete all but one, and connect what followed them to the rest of the flow.",
        ),
    )
