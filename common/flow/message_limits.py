"""What WhatsApp takes: lengths of texts, titles and ids, and how a longer one is made to fit.

Meta does not say what a "character" is, so UTF-16 code units are counted: no other usual count is higher.
Sources: Meta's pages on text and interactive reply button messages.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

from common.flow.variables import clean_text

TEXT_MAX = 4096
BUTTON_TEXT_MAX = 1024
BUTTONS_MAX = 3
TITLE_MAX = 20
BUTTON_ID_MAX = 256
VERSION_ID_MAX = BUTTON_ID_MAX - 2 * (64 + 1)  # beside a node's and a button's id of 64 characters each

_LAST_ASTRAL_FREE = "\uffff"
_BLANK = re.compile(r"[\s\u00ad\u034f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2800\u3164\ufeff]*")
_JOINERS = "\u200d\ufe0e\ufe0f"
_BREAKS = ("\n\n", "\n", " ")


def units(text: str) -> int:
    """The length in UTF-16 code units."""
    if text.isascii():
        return len(text)
    return len(text) + sum(character > _LAST_ASTRAL_FREE for character in text)


def is_blank(text: str) -> bool:
    """Whether there is nothing to see: white space and invisible characters only."""
    return _BLANK.fullmatch(text) is not None


def cut(text: str, limit: int) -> str:
    """The beginning of the text that fits, never ending in half an emoji sequence."""
    if units(text) <= limit:
        return text
    return text[: _fitting(text, limit)].rstrip(_JOINERS).rstrip()


def split(text: str, limit: int) -> list[str]:
    """The text in pieces that fit, broken at a paragraph, a line or a space where there is one."""
    pieces = []
    while units(text) > limit:
        end = _break_before(text, _fitting(text, limit))
        pieces.append(text[:end].rstrip())
        text = text[end:].lstrip()
    pieces.append(text)
    return [piece for piece in pieces if not is_blank(piece)]


def split_off_end(text: str, limit: int) -> tuple[str, str]:
    """The text as (beginning, end) where the end fits and is as long as a good break allows."""
    if units(text) <= limit:
        return "", text
    start = len(text) - _fitting(text[::-1], limit)
    for mark in _BREAKS:
        found = text.find(mark, start)
        if found != -1 and not is_blank(text[found:]):
            return text[:found].rstrip(), text[found:].lstrip()
    return text[:start], text[start:]


def _fitting(text: str, limit: int) -> int:
    """How many characters of the text's beginning make at most `limit` code units."""
    room = limit
    for count, character in enumerate(text[: limit + 1]):
        room -= 2 if character > _LAST_ASTRAL_FREE else 1
        if room < 0:
            return count
    return min(len(text), limit)


def _break_before(text: str, end: int) -> int:
    """The best place to break at or before `end`; a break in the first half would waste a message."""
    for mark in _BREAKS:
        found = text.rfind(mark, end // 2, end + 1)
        if found > 0:
            return found
    return end


def fit_titles(labels: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Each label as a legal title (1-20 characters, no two alike) and what was changed about it, if anything."""
    taken: set[str] = set()
    for number, label in enumerate(labels, start=1):
        title, note = clean_text(" ".join(label.split())), None
        if is_blank(title):
            title, note = str(number), f"Button {number} had an empty title."
        elif units(title) > TITLE_MAX:
            title, note = cut(title, TITLE_MAX), f'Button title "{title}" was cut to {TITLE_MAX} characters.'
        suffix, wanted = 2, title
        while title.casefold() in taken:
            title = f"{cut(wanted, TITLE_MAX - len(str(suffix)) - 1)} {suffix}"
            note = f'Button title "{wanted}" was taken already.'
            suffix += 1
        taken.add(title.casefold())
        yield title, note


def wire_prefix(version_id: str) -> str:
    """How a flow version is named in button ids; a digest where the name is too long for them."""
    if len(version_id) <= VERSION_ID_MAX:
        return version_id
    return hashlib.sha256(version_id.encode("utf-8", "surrogatepass")).hexdigest()
