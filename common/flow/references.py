"""What stands between {{ and }}: a variable, a place inside it, and what to take where there is none."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from lark import Token, Transformer_NonRecursive, v_args

from common.flow.variables import MISSING, Missing, Path, Scope, parse_number, to_text, walk

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.model.values import Value

Resolve: TypeAlias = "Callable[[Scope], Value | Missing]"

_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"n": "\n", "t": "\t", "\\": "\\", '"': '"', "'": "'"}
_PLAIN_KEY: Final = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True)
class Reference:
    """A variable, or a place inside it."""

    name: str
    path: Path = ()

    @property
    def text(self) -> str:
        """The reference as it is usually written: orders[0].id."""
        return self.name + "".join(map(_step_text, self.path))

    def resolver(self) -> Resolve:
        name, path = self.name, self.path
        if not path:
            return lambda scope: scope.lookup(name)

        def resolve(scope: Scope) -> Value | Missing:
            value = scope.lookup(name)
            return MISSING if value is MISSING else walk(value, path)

        return resolve


@dataclass(frozen=True, slots=True)
class Constant:
    """A value written in the flow itself; `position` is where."""

    value: Value
    position: int = 0

    def resolver(self) -> Resolve:
        value = self.value
        return lambda _scope: value


@dataclass(frozen=True, slots=True)
class Chain:
    """Operands joined by ||: the first that is neither unset, null nor empty text; else the last, as it is."""

    operands: tuple[Reference | Constant, ...]

    @property
    def references(self) -> tuple[Reference, ...]:
        return tuple(operand for operand in self.operands if isinstance(operand, Reference))

    @property
    def names(self) -> frozenset[str]:
        return frozenset(reference.name for reference in self.references)

    @property
    def label(self) -> str:
        """The placeholder as a message shows it."""
        return f"{{{{{self.references[0].text if self.references else '…'}}}}}"

    def resolver(self) -> Resolve:
        *earlier, last = [operand.resolver() for operand in self.operands]
        if not earlier:
            return last

        def resolve(scope: Scope) -> Value | Missing:
            for operand in earlier:
                value = operand(scope)
                if value is not MISSING and value is not None and value != "":
                    return value
            return last(scope)

        return resolve

    def text_resolver(self) -> Callable[[Scope], str]:
        """The same, as text."""
        if len(self.operands) == 1 and isinstance(only := self.operands[0], Reference) and not only.path:
            name = only.name

            def text(scope: Scope) -> str:  # the most common placeholder by far, without a call in between
                value = scope.lookup(name)
                return value if isinstance(value, str) else to_text(value)

            return text
        resolve = self.resolver()
        return lambda scope: to_text(resolve(scope))


def _step_text(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _PLAIN_KEY.fullmatch(step) else f"[{json.dumps(step, ensure_ascii=False)}]"


def unquote(text: str) -> str:
    r"""The text between its quotes, with \n \t \\ \" \' meant as usual; any other backslash stands for itself."""
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[0]), text[1:-1])


@v_args(inline=True)
class ChainBuilder(Transformer_NonRecursive[Token, Any]):
    """Turns the syntax that all kinds of texts share into chains and constants."""

    def __init__(self) -> None:
        super().__init__()
        for name in dir(self):  # lark binds a rule's method anew for each piece of text; once is enough
            if hasattr(method := getattr(self, name), "visit_wrapper"):
                setattr(self, name, method)

    def key(self, key: Token) -> str:
        return str(key)

    def quoted_key(self, key: Token) -> str:
        return unquote(key)

    def index(self, index: Token) -> int:
        return int(index)

    def reference(self, name: Token, *path: str | int) -> Reference:
        return Reference(str(name), path)

    def string(self, token: Token) -> Constant:
        return Constant(unquote(token), token.start_pos or 0)

    def number(self, token: Token) -> Constant:
        number = parse_number(token)
        # A number of more digits than any real one stays the text that it is.
        return Constant(str(token) if number is None else number, token.start_pos or 0)

    def true(self, token: Token) -> Constant:
        return Constant(True, token.start_pos or 0)  # noqa: FBT003 - the value itself

    def false(self, token: Token) -> Constant:
        return Constant(False, token.start_pos or 0)  # noqa: FBT003 - the value itself

    def null(self, token: Token) -> Constant:
        return Constant(None, token.start_pos or 0)

    def chain(self, *operands: Reference | Constant) -> Chain:
        return Chain(operands)
