"""What OpenAI's models cost, and which of them take which options."""

from __future__ import annotations

import re
from typing import Any

_MILLION = 1_000_000

# US dollars for a million tokens in and out, standard tier, as OpenAI's price page listed them in 2026.
# An estimate for the log: discounts (cached input, batches) are not considered. Unknown models cost None.
PRICES: dict[str, tuple[float, float]] = {
    "gpt-3.5-turbo": (0.50, 1.50),
    "gpt-4": (30.00, 60.00),
    "gpt-4-turbo": (10.00, 30.00),
    "gpt-4o": (2.50, 10.00),
    "gpt-4o-mini": (0.15, 0.60),
    "gpt-4.1": (2.00, 8.00),
    "gpt-4.1-mini": (0.40, 1.60),
    "gpt-4.1-nano": (0.10, 0.40),
    "gpt-5": (1.25, 10.00),
    "gpt-5-mini": (0.25, 2.00),
    "gpt-5-nano": (0.05, 0.40),
    "gpt-5.4": (2.50, 15.00),
    "gpt-5.4-mini": (0.75, 4.50),
    "gpt-5.4-nano": (0.20, 1.25),
    "gpt-5.5": (5.00, 30.00),
}

_SNAPSHOT = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{4})$")  # gpt-4o-2024-08-06, gpt-4-0613
# Models that think before they answer: they refuse a temperature, and count their thoughts as tokens.
_REASONING = re.compile(r"(?:o\d|gpt-[5-9])(?!.*chat)")


def cost_usd(model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    """The estimated price of one completion; None for a model without a known price."""
    price = PRICES.get(model) or PRICES.get(_SNAPSHOT.sub("", model))
    if price is None:
        return None
    return (prompt_tokens * price[0] + completion_tokens * price[1]) / _MILLION


def options_for(model: str, *, temperature: float, max_tokens: int) -> dict[str, Any]:
    """The limits as this model takes them."""
    if _REASONING.match(model):
        return {"max_completion_tokens": max_tokens}
    return {"temperature": temperature, "max_tokens": max_tokens}
