"""Somebody else's words without our secrets in them: other servers repeat tokens and keys in their messages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import quote, quote_plus

from common.gateways.answer_body import clean_text

REDACTED: Final = "[secret]"
MOST_CHARACTERS: Final = 500
_PIECE: Final = 8  # a run of so many characters of a secret is a piece of it, wherever it was cut
# Keys and tokens by their looks, also ones that are not ours.
_LOOKS_SECRET = re.compile(r"\bsk-[\w*.\-]{6,}|\bEAA[A-Za-z0-9]{12,}|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*")


def scrub(text: object, secrets: Iterable[str]) -> str:
    """The text, cut to a few sentences, without these secrets, pieces of them, or their spellings in URLs and JSON."""
    if not isinstance(text, str):
        return ""
    said = clean_text(text[: MOST_CHARACTERS * 4])
    said = _LOOKS_SECRET.sub(REDACTED, _without(said, _spellings(secrets)))
    return said if len(said) <= MOST_CHARACTERS else said[: MOST_CHARACTERS - 1] + "…"


def _spellings(secrets: Iterable[str]) -> set[str]:
    return {
        spelling
        for secret in secrets
        if secret
        for spelling in (secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1])
    }


def _without(text: str, spellings: set[str]) -> str:
    """The text with one mark for each run of characters that any of these, or a piece of them, covers."""
    is_secret = bytearray(len(text))
    for spelling in spellings:
        length = min(_PIECE, len(spelling))
        for start in range(len(spelling) - length + 1):
            piece = spelling[start : start + length]
            at = text.find(piece)
            while at >= 0:
                is_secret[at : at + length] = b"\1" * length
                at = text.find(piece, at + 1)
    kept: list[str] = []
    for place, character in enumerate(text):
        if not is_secret[place]:
            kept.append(character)
        elif place == 0 or not is_secret[place - 1]:
            kept.append(REDACTED)
    return "".join(kept)
