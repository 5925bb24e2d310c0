"""Where a value stands in a JSON answer: data.orders[0].id, $.data["odd name"], [-1].name.

A path names one place; there are no wildcards, filters or `..`, since a variable takes one value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lark import Token, v_args

from common.flow.language import LanguageError, parse
from common.flow.references import ChainBuilder, unquote
from common.flow.text_template import build
from common.flow.variables import Missing, Path, clean_text, walk

if TYPE_CHECKING:
    from common.model.values import Value

MAX_PATH_LENGTH: Final = 500


class JsonPathError(LanguageError):
    """A path that cannot be compiled."""


class JsonPath:
    """A compiled path."""

    __slots__ = ("path", "source")

    def __init__(self, source: str, path: Path) -> None:
        self.source = source
        self.path = path

    def find(self, value: Value) -> Value | Missing:
        """What stands at the path, or MISSING. Never raises."""
        return walk(value, self.path)


@v_args(inline=True)
class _PathBuilder(ChainBuilder):
    def json_path(self, *path: str | int) -> Path:
        return path

    def json_path_from_key(self, key: Token, *path: str | int) -> Path:
        return (str(key), *path)

    def json_path_from_index(self, index: Token, *path: str | int) -> Path:
        return (int(index), *path)

    def json_path_from_quoted_key(self, key: Token, *path: str | int) -> Path:
        return (unquote(key), *path)


_BUILDER: Final = _PathBuilder()


def compile_json_path(text: str) -> JsonPath:
    """Compile a path. Raises JsonPathError."""
    if len(text) > MAX_PATH_LENGTH:
        raise JsonPathError(f"This path is longer than {MAX_PATH_LENGTH} characters.", MAX_PATH_LENGTH)
    path: Path = build(_BUILDER, parse("json_path", clean_text(text), JsonPathError))
    return JsonPath(text, path)
