"""Phone numbers as WhatsApp writes them, and the three countries where one number has two spellings."""

from __future__ import annotations

import re

MAX_DIGITS = 15  # E.164
_SEPARATORS = re.compile(r"[\s().\-‐-―/]+")
_DIGITS = re.compile(r"[1-9][0-9]{0,14}")

# pattern, replacement; each pair leads from one spelling to the other
_ALTERNATIVES = (
    (re.compile(r"549([0-8][0-9]{9})"), r"54\1"),  # Argentina: mobile 9 after the country code
    (re.compile(r"54([0-8][0-9]{9})"), r"549\1"),
    (re.compile(r"521([02-9][0-9]{9})"), r"52\1"),  # Mexico: the mobile 1 abolished in 2019
    (re.compile(r"52([02-9][0-9]{9})"), r"521\1"),
    (re.compile(r"55([1-9][0-9])9([6-9][0-9]{7})"), r"55\1\2"),  # Brazil: the ninth digit of mobiles
    (re.compile(r"55([1-9][0-9])([6-9][0-9]{7})"), r"55\g<1>9\2"),
)


def normalise(text: str) -> str | None:
    """The number as digits only, country code first; None if the text is no international number."""
    digits = _SEPARATORS.sub("", text).removeprefix("+")
    return digits if _DIGITS.fullmatch(digits) else None


def alternative(wa_id: str) -> str | None:
    """The other spelling of an Argentine, Mexican or Brazilian mobile number; None for all others."""
    for pattern, replacement in _ALTERNATIVES:
        if pattern.fullmatch(wa_id):
            return pattern.sub(replacement, wa_id)
    return None
