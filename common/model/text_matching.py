"""Whether two texts that people typed mean the same: case, spaces and ways of writing an accent do not count."""

from __future__ import annotations

import unicodedata


def folded(text: str, *, case_sensitive: bool = False) -> str:
    """The text as it is compared: trimmed, inner white space as single spaces, composed, without case."""
    composed = unicodedata.normalize("NFC", " ".join(text.split()))
    return composed if case_sensitive else unicodedata.normalize("NFC", composed.casefold())
