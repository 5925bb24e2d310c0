"""The one parser of the flow language (`language.lark`), and its errors in words for the flow's author."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, NoReturn, TypeAlias

from lark import Lark
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

if TYPE_CHECKING:
    from lark import Token, Tree

Kind: TypeAlias = Literal["template", "expression", "json", "json_path"]

_PARSER: Final = Lark.open(
    "language.lark",
    rel_to=__file__,
    parser="lalr",
    start=["template", "expression", "json", "json_path"],
    maybe_placeholders=False,
)

_PLACEHOLDER_HELP: Final = (
    'Write {{name}}, {{user.email}}, {{orders[0].id}} or, with a default, {{name || "Guest"}}.'
)
_MISTAKEN_OPERATORS: Final = {
    "=": "Write == to compare.",
    "&&": "Write AND.",
    "||": "Write OR.",
    "!": "Write NOT.",
    "<>": "Write != for different.",
}
_STRAIGHT_QUOTES: Final = 'Use straight quotes, as in "text".'
_CURLY_QUOTES: Final = "“”„‟«»‘’‚‛"
_INSIDE_BRACES: Final = {"_CLOSE", "NAME", "KEY", "INDEX"}  # what may come next only between {{ and }}
_SNIPPET: Final = re.compile(r"[\w.\-]+|\S")
_WORD: Final = re.compile(r"[^\W\d]\w*")


class LanguageError(Exception):
    """A text that is not written in the flow language: a sentence, and where it goes wrong (0 is the start)."""

    def __init__(self, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


def parse(kind: Kind, source: str, error: type[LanguageError]) -> Tree[Token]:
    """The source's syntax tree. Raises `error`."""
    try:
        return _PARSER.parse(source, start=kind)
    except UnexpectedInput as failure:
        _refuse(kind, source, failure, error)


def _refuse(kind: Kind, source: str, failure: UnexpectedInput, error: type[LanguageError]) -> NoReturn:
    expected, position = _expectation(source, failure)
    opened = source.rfind("{{", 0, position + 1)
    if opened >= 0 and "}}" not in source[opened:position] and expected & _INSIDE_BRACES:
        raise error(*_explain_placeholder(source, position, opened)) from None
    explain = {"expression": _explain_expression, "json": _explain_json, "json_path": _explain_json_path}.get(
        kind
    )
    message = explain(source, position, expected) if explain else f"This is not clear. {_PLACEHOLDER_HELP}"
    raise error(message, position) from None


def _expectation(source: str, failure: UnexpectedInput) -> tuple[set[str], int]:
    position: int | None = failure.pos_in_stream
    if isinstance(failure, UnexpectedToken):
        expected = set(failure.expected)
        position = None if failure.token.type == "$END" else position
    else:
        expected = set(failure.allowed or ()) if isinstance(failure, UnexpectedCharacters) else set()
    return expected, len(source) if position is None else position


def _explain_placeholder(source: str, position: int, opened: int) -> tuple[str, int]:
    if "}}" not in source[opened:]:
        return (
            "This {{ is never closed with }}. If you mean the two braces themselves, write {{ '{{' }}.",
            opened,
        )
    if source.startswith("}}", position):
        missing = (
            "A variable's name is"
            if position == opened + 2 or source[opened + 2 : position].isspace()
            else "Something is"
        )
        return f"{missing} missing before }}}}. {_PLACEHOLDER_HELP}", position
    if source[position : position + 1] in _CURLY_QUOTES:
        return _STRAIGHT_QUOTES, position
    return f"{_snippet(source, position)} does not belong inside {{{{ }}}}. {_PLACEHOLDER_HELP}", position


def _explain_expression(source: str, position: int, expected: set[str]) -> str:
    rest = source[position:]
    if not source.strip():
        return 'The condition is empty. Write something like {{age}} >= 18 or {{country}} == "US".'
    if not rest:
        return (
            "A closing ) is missing."
            if "RPAR" in expected
            else "Something is missing at the end of the condition."
        )
    if rest[0] in _CURLY_QUOTES:
        return _STRAIGHT_QUOTES
    if rest.startswith("==") and not rest.startswith("==="):
        return _explain_joint(rest)
    if mistaken := next(
        (right for wrong, right in _MISTAKEN_OPERATORS.items() if rest.startswith(wrong)), None
    ):
        return mistaken
    return _explain_value(rest) if "_OPEN" in expected else _explain_joint(rest)


def _explain_value(rest: str) -> str:
    if word := _WORD.match(rest):
        return f'Write {{{{{word[0]}}}}} if you mean the variable, or "{word[0]}" if you mean the text.'
    if rest[0] in "\"'":
        return "This text has no closing quote."
    return f"{_snippet(rest, 0)} stands where a variable or a value is expected."


def _explain_joint(rest: str) -> str:
    return f"{_snippet(rest, 0)} does not fit here. Between two comparisons write AND or OR."


def _explain_json(source: str, position: int, expected: set[str]) -> str:
    rest = source[position:]
    if not rest:
        return "The JSON is incomplete: something is missing at the end."
    if rest.startswith("{{") and "JSON_STRING" in expected:
        return "A variable cannot be the name of a JSON field, only its value."
    if rest[0] in _CURLY_QUOTES or rest[0] == "'":
        return 'JSON needs straight double quotes, as in "text".'
    hint = ' Inside a "text", use single quotes in {{ }}.' if "{{" in source[:position] else ""
    return f"This is not valid JSON: {_snippet(source, position)} is unexpected.{hint}"


def _explain_json_path(source: str, position: int, _expected: set[str]) -> str:
    found = _snippet(source, position) if position < len(source) else "The end"
    return f'{found} is unexpected. Write a path such as data.orders[0].id or data["odd name"].'


def _snippet(source: str, position: int) -> str:
    found = _SNIPPET.match(source, position) or _SNIPPET.search(source, position)
    return f"“{found[0][:40]}”" if found else "The end"
