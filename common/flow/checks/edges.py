"""Connections begin at an exit and lead to an input that exist."""

from __future__ import annotations

from typing import Final

from common.flow.validation.check import Check, error, warning

_DRAW: Final = "Delete the connection and draw it again."


class Edges(Check):
    name = "edges"
    title = "Connections are whole at both ends"
    rank = 60
    codes = (
        error("edge.malformed", "A connection does not say where it begins or where it leads.", _DRAW),
        error("edge.unknown_source", "A connection begins at a node that does not exist.", _DRAW),
        error("edge.unknown_target", "A connection leads to a node that does not exist.", _DRAW),
        error(
            "edge.unknown_exit",
            "A connection begins at an exit that the node does not have. An END has none.",
            _DRAW,
        ),
        error("edge.unknown_input", "A connection leads to an input that the node does not have.", _DRAW),
        error(
            "edge.two_from_exit",
            "Two connections leave the same exit. Only one can be followed.",
            "Delete one of them; to choose between two paths, use a CONDITION.",
        ),
        error("edge.duplicate_id", "Two connections have the same id.", _DRAW),
        warning(
            "edge.conflict",
            "The settings of a node name another next node than the connection on the canvas. The canvas counts.",
            "Choose the next node again in the settings, or draw the connection to the node that is meant.",
        ),
    )
