"""What a name may be: one line of text, kept to the byte."""

from __future__ import annotations

import re
from typing import Final

_CONTROL: Final = re.compile("[\\x00-\\x1f\\x7f]")


def is_one_line(text: str) -> bool:
    """No control characters. Everything else belongs to a name: joined emoji, wide blanks, marks of direction."""
    return _CONTROL.search(text) is None


def one_line(text: str) -> str:
    """The text as a name: control characters are blanks, and blanks around it do not count."""
    return _CONTROL.sub(" ", text).strip()
