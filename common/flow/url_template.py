"""Addresses with placeholders: a value stays inside the part of the address where its placeholder stands.

Scheme, host, port and user information come from constants or from trusted variables only (a bot's own), so
that no customer can choose where a request goes. Elsewhere every value is percent-encoded as a whole: it can
add no path segment, no parameter and no fragment, nor make a segment vanish or climb (`..`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from common.flow import url_parts
from common.flow.references import Chain
from common.flow.text_template import FillError, Piece, TemplateError, chains_in, names_in, parse_pieces
from common.flow.url_parts import Part
from common.flow.variables import MappingScope, Scope

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_URL_LENGTH: Final = 8 * 1024  # what common servers take

_SCHEME: Final = re.compile(r"(https?)://", re.IGNORECASE)
_UNTYPED: Final = re.compile("[\\\\\x00-\x20\x7f-\x9f\u2028\u2029]")  # never in an address as it is typed
_NOBODY: Final = MappingScope({})


class UrlTemplate:
    """A compiled address. `host_names` are the variables that decide where the request goes."""

    __slots__ = ("_origin", "_parts", "chains", "host_names", "is_constant", "names", "source")

    def __init__(self, source: str, pieces: list[Piece]) -> None:
        self.source = source
        self.chains = chains_in(pieces)
        self.names = names_in(pieces)
        self.is_constant = not any(isinstance(piece, Chain) for piece in pieces)
        self._origin, self.host_names, rest = _read_origin(pieces)
        self._parts = _read_rest(rest)

    def fill(self, scope: Scope, trusted: Scope = _NOBODY) -> str:
        """The address. Placeholders in scheme and host are looked up in `trusted` and nowhere else.

        Raises FillError.
        """
        url = self._origin(trusted) + "".join([part(scope) for part in self._parts])
        if len(url) > MAX_URL_LENGTH:
            raise FillError("fill.url_too_long", f"The address is longer than {MAX_URL_LENGTH:,} characters.")
        return url


def compile_url_template(text: str) -> UrlTemplate:
    """Compile an address with placeholders. Raises TemplateError."""
    text = text.strip()
    pieces = parse_pieces(text)
    if any(isinstance(piece, str) and _UNTYPED.search(piece) for piece in pieces):
        message = "An address holds no spaces, line breaks or backslashes; write %20 for a space."
        raise TemplateError(message, 0)
    template = UrlTemplate(text, pieces)
    if template.is_constant:
        try:
            template.fill(_NOBODY)
        except FillError as wrong:
            raise TemplateError(wrong.message, 0) from None
    return template


def _read_origin(pieces: list[Piece]) -> tuple[Callable[[Scope], str], frozenset[str], list[Piece]]:
    """What fills everything up to the path, the names that it reads, and the rest."""
    first, *rest = pieces or [""]
    if isinstance(first, Chain):
        if rest and not (isinstance(rest[0], str) and rest[0][0] in "/?#"):
            raise TemplateError(f"After {first.label} the address must go on with /, ? or #.", 0)
        return url_parts.base(first, rest), first.names, rest
    scheme = _SCHEME.match(first)
    if not scheme:
        raise TemplateError(
            "An address begins with https:// or http://, or with a bot variable that holds such an address.",
            0,
        )
    authority, separator, after = url_parts.split_first([first[scheme.end() :], *rest], "/?#")
    host = url_parts.authority(authority)
    start = f"{scheme[1].lower()}://"
    return (lambda trusted: start + host(trusted)), names_in(authority), [separator, *after]


def _read_rest(pieces: list[Piece]) -> list[Part]:
    """Path, query and fragment as parts to fill."""
    before, hash_sign, fragment = url_parts.split_first(pieces, "#")
    path, question_mark, query = url_parts.split_first(before, "?")
    parts: list[Part] = []
    for number, segment in enumerate(url_parts.split_all(path, "/")):
        parts.append(url_parts.segment(segment, "/" if number else ""))
    for number, parameter in enumerate(url_parts.split_all(query, "&") if question_mark else []):
        parts.append(url_parts.parameter(parameter, "&" if number else "?"))
    if hash_sign:
        parts.append(url_parts.fragment(fragment))
    return parts
