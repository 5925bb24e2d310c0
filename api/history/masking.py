"""What a logged call may not show: secrets, by their names and by their looks; and what is left of a customer's call."""

from __future__ import annotations

import re
from typing import Any, Final
from urllib.parse import unquote_plus, urlsplit, urlunsplit

MASK: Final = "••••"
MOST_DEPTH: Final = 40
_SECRET_NAME = re.compile(
    r"authori[sz]ation|cookie|passw|secret|credential|signature|api[-_]?key|access[-_]?key|private[-_]?key"
    r"|token$|^auth$|^key$|session[-_]?id$"
)
_SECRET_LOOK = re.compile(
    r"(?P<scheme>\b(?:[Bb]earer|[Bb]asic)\s+)[\w.~+/=-]{6,}"
    r"|\bEAA[A-Za-z0-9]{16,}|\bsk-[\w-]{12,}|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"
)


def is_secret_name(name: str) -> bool:
    """Whether what is called this is nobody's business."""
    return _SECRET_NAME.search(name.lower()) is not None


def mask_text(text: str) -> str:
    """The text without keys and tokens that look like some."""
    return _SECRET_LOOK.sub(lambda found: f"{found['scheme'] or ''}{MASK}", text)


def mask_value(value: Any, depth: int = 0) -> Any:
    """JSON without secrets, by the names of its fields and by the looks of its texts."""
    if isinstance(value, str):
        return mask_text(value)
    if depth >= MOST_DEPTH:
        return "…"
    if isinstance(value, dict):
        return {
            name: MASK if is_secret_name(name) and inner not in (None, "") else mask_value(inner, depth + 1)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [mask_value(inner, depth + 1) for inner in value]
    return value


def mask_pairs(pairs: Any) -> list[dict[str, str]]:
    """Headers or parameters as [{name, value}], the secret ones masked."""
    return [
        {"name": str(name), "value": MASK if is_secret_name(str(name)) else mask_text(str(value))}
        for name, value in pairs
    ]


def mask_url(url: str) -> str:
    """An address without a password in it and without secret parameters; the rest as it is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return MASK
    host = parts.netloc.rpartition("@")[2]
    query = "&".join(_mask_parameter(pair) for pair in parts.query.split("&"))
    return urlunsplit((parts.scheme, host, mask_text(parts.path), query, ""))


def _mask_parameter(pair: str) -> str:
    name, is_given, value = pair.partition("=")
    return f"{name}{is_given}{MASK if is_secret_name(unquote_plus(name)) and value else mask_text(value)}"
