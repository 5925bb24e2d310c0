"""Settings that a node needs are filled in, and each fits."""

from __future__ import annotations

from common.flow.validation.check import Check, error


class Fields(Check):
    name = "fields"
    title = "Required settings are filled in"
    rank = 70
    codes = (
        error("field.required", "A required setting is empty.", "Fill it in."),
        error("field.type", "A setting holds something of another kind.", "Enter it again."),
        error(
            "field.choice",
            "A setting holds none of the values that it can have.",
            "Choose one from the list.",
        ),
        error(
            "field.range", "A number or a span is too large or too small.", "Choose one within the limits."
        ),
        error(
            "field.too_long", "A text is longer than it may be.", "Shorten it, or send it in two messages."
        ),
        error("field.too_few", "A list has too few entries.", "Add what is missing."),
        error("field.too_many", "A list has more entries than it may have.", "Remove some."),
        error("field.id", "The id of a button or branch cannot be used.", "Delete it and add it anew."),
        error(
            "field.header_name",
            "The name of an HTTP header is not allowed.",
            "Use letters, digits and hyphens.",
        ),
        error("field.invalid", "A setting cannot be read.", "Enter it again."),
        error(
            "api.keeps_nothing",
            "An API node keeps nothing of the answer.",
            "Name at least one value to keep, or keep the whole answer.",
        ),
    )
