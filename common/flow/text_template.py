"""Texts with placeholders: Hello {{user.name || "Guest"}}.

`{{` opens a placeholder and must be closed; of a row of braces the innermost two open it. A single `{` and a
`}}` without its `{{` are text. `{{ "{{" }}` is the way to write two braces. What a variable holds is put in as
it is and never read as a placeholder again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from lark import Token, v_args
from lark.exceptions import VisitError

from common.flow.language import LanguageError, parse
from common.flow.references import Chain, ChainBuilder
from common.flow.variables import Scope, clean_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_TEMPLATE_LENGTH: Final = 64 * 1024
MAX_PLACEHOLDERS: Final = 200  # in one template: a value may be 256 KiB
MAX_FILLED_LENGTH: Final = 1024 * 1024  # a longer text could be neither sent nor stored

Piece: TypeAlias = "str | Chain"


class TemplateError(LanguageError):
    """A template that cannot be compiled."""


class FillError(Exception):
    """Values that do not fit where they are put; a stable dotted code and a sentence for the flow's author."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Template:
    """A compiled text: constant texts and placeholders, its `pieces`.

    `names` are the variables that it reads (the part before the first dot or bracket).
    """

    __slots__ = ("_constant", "_parts", "is_constant", "names", "pieces", "source")

    def __init__(self, source: str, pieces: list[Piece]) -> None:
        self.source = source
        self.pieces = tuple(pieces)
        self.names = names_in(pieces)
        self.is_constant = not any(isinstance(piece, Chain) for piece in pieces)
        self._constant = "".join(map(str, pieces)) if self.is_constant else None
        self._parts: list[str | Callable[[Scope], str]] = [
            piece if isinstance(piece, str) else piece.text_resolver() for piece in pieces
        ]

    @property
    def chains(self) -> tuple[Chain, ...]:
        return chains_in(self.pieces)

    def fill(self, scope: Scope) -> str:
        """The text with its values; cut at MAX_FILLED_LENGTH. Never raises."""
        if self._constant is not None:
            return self._constant
        text = "".join([part if isinstance(part, str) else part(scope) for part in self._parts])
        return text if len(text) <= MAX_FILLED_LENGTH else text[:MAX_FILLED_LENGTH]


@v_args(inline=True)
class _PieceBuilder(ChainBuilder):
    def text(self, token: Token) -> str:
        return str(token)

    def placeholder_in_text(self, chain: Chain) -> Chain:
        return chain

    def template(self, *pieces: Piece) -> list[Piece]:
        return list(pieces)


_BUILDER: Final = _PieceBuilder()


def compile_template(text: str) -> Template:
    """Compile a text with placeholders. Raises TemplateError."""
    pieces = parse_pieces(text)
    return Template(text, pieces)


def parse_pieces(text: str) -> list[Piece]:
    """The template's constant texts and placeholders, in order. Raises TemplateError."""
    if len(text) > MAX_TEMPLATE_LENGTH:
        raise TemplateError(
            f"This text is longer than {MAX_TEMPLATE_LENGTH:,} characters.", MAX_TEMPLATE_LENGTH
        )
    text = clean_text(text)
    if "{{" not in text:
        return [text] if text else []
    pieces: list[Piece] = build(_BUILDER, parse("template", text, TemplateError))
    if sum(isinstance(piece, Chain) for piece in pieces) > MAX_PLACEHOLDERS:
        raise TemplateError(f"A text can have at most {MAX_PLACEHOLDERS} placeholders.", 0)
    return pieces


def build(builder: ChainBuilder, tree: Any) -> Any:
    """What the builder makes of a tree; its errors come out as they were raised."""
    try:
        return builder.transform(tree)
    except VisitError as wrapped:
        raise wrapped.orig_exc from None


def chains_in(pieces: Iterable[Piece]) -> tuple[Chain, ...]:
    """The placeholders among the pieces."""
    return tuple(piece for piece in pieces if isinstance(piece, Chain))


def names_in(pieces: Iterable[Piece]) -> frozenset[str]:
    """The variables that the pieces read."""
    return frozenset[str]().union(*(piece.names for piece in pieces if isinstance(piece, Chain)))
