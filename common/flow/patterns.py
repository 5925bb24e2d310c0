"""Regular expressions that authors write and customers feed: google-re2, whose time grows linearly with the text.

A pattern is searched anywhere in the text; `^` and `$` tie it to the text's start and end, and `$` is the very
end (never before a last line break). `.` does not match a line break; `(?i)` in front ignores case.
"""

from __future__ import annotations

import re
from typing import Final

import re2

from common.flow.language import LanguageError
from common.flow.variables import clean_text

MAX_PATTERN_LENGTH: Final = 500
MAX_TEXT_LENGTH: Final = 10_000  # characters; a message has at most 4,096, and a longer text matches nothing
_MAX_PROGRAM_BYTES: Final = (
    2 * 1024 * 1024
)  # room for \p{L}{1,60}; the worst pattern then takes some 0.2 s a text

_LOOKAROUND: Final = re.compile(r"\(\?<?[=!]")
_BACKREFERENCE: Final = re.compile(r"\\(?:[1-9]|k[<{'])|\(\?P=")
_COMPLAINTS: Final = {
    "missing ]": "A [ is never closed with ].",
    "missing )": "A ( is never closed with ).",
    "unexpected )": "A ) has no ( before it.",
    "no argument for repetition operator": "A *, +, ? or {…} has nothing before it to repeat.",
    "invalid repetition size": "A repetition is too large: at most 1,000 times, also when they multiply.",
    "bad repetition operator": "Two repetitions follow each other, such as ** or ++.",
    "invalid character class range": "A range in [ ] runs backwards or names an unknown class.",
    "trailing \\": "The last \\ has nothing after it.",
    "pattern too large": "The pattern is too large. Use fewer or smaller repetitions.",
}


class PatternError(LanguageError):
    """A pattern that cannot be compiled."""


class Pattern:
    """A compiled pattern."""

    __slots__ = ("_compiled", "source")

    def __init__(self, source: str, compiled: re2._Regexp) -> None:
        self.source = source
        self._compiled = compiled

    def matches(self, text: str) -> bool:
        """Whether the pattern is found anywhere in the text. Never raises."""
        return len(text) <= MAX_TEXT_LENGTH and self._compiled.search(clean_text(text)) is not None


def compile_pattern(text: str) -> Pattern:
    """Compile a pattern. Raises PatternError."""
    if len(text) > MAX_PATTERN_LENGTH:
        raise PatternError(
            f"This pattern is longer than {MAX_PATTERN_LENGTH} characters.", MAX_PATTERN_LENGTH
        )
    try:
        return Pattern(text, re2.compile(clean_text(text), _options()))
    except re2.error as refused:
        raise PatternError(*_explain(text, _complaint(refused))) from None


def _options() -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_PROGRAM_BYTES
    return options


def _complaint(refused: re2.error) -> str:
    said = refused.args[0] if refused.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def _explain(text: str, complaint: str) -> tuple[str, int]:
    if complaint.startswith("invalid perl operator") and (found := _LOOKAROUND.search(text)):
        message = f"{found[0]} looks ahead or behind, which patterns cannot do here. Check twice instead."
        return message, found.start()
    if complaint.startswith("invalid") and (found := _BACKREFERENCE.search(text)):
        return f"{found[0]} repeats an earlier group, which patterns cannot do here.", found.start()
    kind, _, culprit = complaint.partition(": ")
    position = max(text.find(culprit), 0) if culprit else 0
    if sentence := next((said for start, said in _COMPLAINTS.items() if kind.startswith(start)), None):
        return sentence, position
    return (
        f"“{culprit}” is not understood in a pattern." if culprit else "The pattern is not understood."
    ), position
