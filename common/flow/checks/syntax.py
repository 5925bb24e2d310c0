"""Placeholders, conditions, patterns and paths are written so that they are understood."""

from __future__ import annotations

from common.flow.validation.check import Check, error


class Syntax(Check):
    name = "syntax"
    title = "Placeholders, conditions and patterns are understood"
    rank = 80
    codes = (
        error(
            "template.syntax",
            "A text with placeholders is not understood.",
            'Write {{name}}, {{user.email}} or {{name || "Guest"}}; close every {{ with }}.',
        ),
        error(
            "expression.syntax",
            "A condition is not understood.",
            'Write something like {{age}} >= 18 AND {{country}} == "US".',
        ),
        error(
            "pattern.syntax",
            "A regular expression is not understood.",
            "Correct it; looking ahead or back is not possible.",
        ),
        error(
            "json_path.syntax",
            "A place in an API's answer is not understood.",
            "Write a path such as data.orders[0].id.",
        ),
    )
