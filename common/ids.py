"""Identifiers that sort by time and carry no personal data."""

from __future__ import annotations

import hashlib
import secrets
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def new_ulid() -> str:
    """A fresh ULID: 26 characters of Crockford's base 32, 48 bits of time and 80 of randomness."""
    return _written((time.time_ns() // 1_000_000 << 80) | secrets.randbits(80))


def derived_ulid(ulid: str, name: str) -> str:
    """A ULID of the same time that follows from another one: for what is made together with it, and may be made again."""
    digest = hashlib.sha256(f"{ulid}|{name}".encode()).digest()
    return ulid[:10] + _written(int.from_bytes(digest[:10], "big"))[10:]


def _written(number: int) -> str:
    characters = []
    for _ in range(26):
        number, digit = divmod(number, 32)
        characters.append(_ALPHABET[digit])
    return "".join(reversed(characters))
