"""Values of HTTP headers with placeholders: no value can end its line and begin a header of its own."""

from __future__ import annotations

import re
from typing import Final

from common.flow.references import Chain
from common.flow.text_template import FillError, Template, TemplateError, parse_pieces
from common.flow.variables import Scope, clean_text

MAX_HEADER_LENGTH: Final = 8 * 1024  # what common servers take for one line

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # RFC 9110, 5.6.2
# C0 and C1 controls, DEL and Unicode's own line ends: some stacks end a line at them
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def check_header_name(name: str) -> str | None:
    """Why this cannot be a header's name; None where it can. Names take no placeholders."""
    if _TOKEN.fullmatch(name):
        return None
    return "A header's name is letters, digits and hyphens, as in X-Api-Key; variables go into its value."


class HeaderTemplate:
    """A compiled header value."""

    __slots__ = ("_text", "is_constant", "names", "source")

    def __init__(self, text: Template) -> None:
        self._text = text
        self.source = text.source
        self.names = text.names
        self.is_constant = text.is_constant

    @property
    def chains(self) -> tuple[Chain, ...]:
        return self._text.chains

    def fill(self, scope: Scope) -> str:
        """The header's value, without spaces around it. It may hold any script: it goes out as UTF-8.

        Raises FillError for control characters and for more than MAX_HEADER_LENGTH characters.
        """
        value = self._text.fill(scope).strip(" ")
        if _CONTROL.search(value):
            raise FillError(
                "fill.header_control",
                "A variable in a header holds a line break or another control character.",
            )
        if len(value) > MAX_HEADER_LENGTH:
            raise FillError(
                "fill.header_too_long", f"A header is longer than {MAX_HEADER_LENGTH:,} characters."
            )
        return clean_text(value)


def compile_header_template(text: str) -> HeaderTemplate:
    """Compile a header's value. Raises TemplateError."""
    pieces = parse_pieces(text)
    found = _CONTROL.search(text)
    constants = [piece for piece in pieces if isinstance(piece, str)]
    if found and ("\x00" in text or any(map(_CONTROL.search, constants))):
        raise TemplateError("A header cannot hold a line break or another control character.", found.start())
    return HeaderTemplate(Template(text, pieces))
