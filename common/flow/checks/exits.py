"""Every exit of every node leads somewhere."""

from __future__ import annotations

from common.flow.validation.check import Check, error


class Exits(Check):
    name = "exits"
    title = "Every exit leads somewhere"
    rank = 50
    codes = (
        error(
            "node.open_exit",
            "An exit of the node is not connected: a conversation that takes it fails.",
            "Connect the exit to the next node, or to an END.",
        ),
        error(
            "node.duplicate_exit",
            "Two exits of the node have the same id, so nobody can say which connection belongs to which.",
            "Delete one of the buttons or branches and add it anew.",
        ),
    )
