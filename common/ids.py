"""Identifiers that sort by time and carry no personal data."""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_ulid() -> str:
    """A fresh ULID: 26 characters of Crockford's base 32, 48 bits of time and 80 of randomness."""
    number = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(80)
    characters = []
    for _ in range(26):
        number, digit = divmod(number, 32)
        characters.append(_ALPHABET[digit])
    return "".join(reversed(characters))
