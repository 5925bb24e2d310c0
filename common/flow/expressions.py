"""Conditions: {{age}} >= 18 AND NOT ({{country}} == "US" OR {{country}} == "CA").

Variables are always written in double braces, texts in quotes; a bare word is refused, since it could be
either. NOT binds closer than AND, AND closer than OR. A placeholder alone is true or false by its value
(`comparisons.is_true`); a text or number alone is refused, since `{{a}} == "x" OR "y"` is always a mistake. The
source is parsed once; what a variable holds is compared and never read as part of the condition.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from lark import Token, v_args

from common.flow.comparisons import OPERATORS, is_true
from common.flow.conditions import Comparison, Condition, Every, Negation, Some, Truth
from common.flow.language import LanguageError, parse
from common.flow.references import Chain, ChainBuilder, Constant
from common.flow.text_template import build
from common.flow.variables import MISSING, Scope, clean_text

if TYPE_CHECKING:
    from common.model.values import Value

MAX_EXPRESSION_LENGTH: Final = 4000
MAX_DEPTH: Final = 50  # parentheses and NOTs inside each other, each a Python call when evaluated

Test: TypeAlias = Callable[[Scope], bool]


class ExpressionError(LanguageError):
    """A condition that cannot be compiled."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A part of the condition: how it is tested, its shape, what it reads, how deep it is."""

    test: Test
    shape: Condition
    chains: tuple[Chain, ...]
    depth: int = 0


class Expression:
    """A compiled condition. `names` are the variables that it reads, `shape` is how it is built."""

    __slots__ = ("_looks", "chains", "evaluate", "names", "shape", "source")

    evaluate: Test
    """Whether the condition holds in a scope. Never raises."""

    def __init__(self, source: str, root: _Node) -> None:
        self.source = source
        self.evaluate = root.test
        self.shape = root.shape
        self.chains = root.chains
        references = [reference for chain in root.chains for reference in chain.references]
        self.names = frozenset(reference.name for reference in references)
        self._looks = {reference.text: reference.resolver() for reference in references}

    def seen(self, scope: Scope) -> dict[str, Value]:
        """What the condition looks at, by the places it names ("user.age"); null where there is nothing."""
        found = {text: look(scope) for text, look in self._looks.items()}
        return {text: None if value is MISSING else value for text, value in found.items()}


def compile_expression(text: str) -> Expression:
    """Compile a condition. Raises ExpressionError."""
    if len(text) > MAX_EXPRESSION_LENGTH:
        message = f"This condition is longer than {MAX_EXPRESSION_LENGTH:,} characters."
        raise ExpressionError(message, MAX_EXPRESSION_LENGTH)
    root: _Node = build(_BUILDER, parse("expression", clean_text(text), ExpressionError))
    return Expression(text, root)


@v_args(inline=True)
class _ConditionBuilder(ChainBuilder):
    def placeholder_in_expression(self, chain: Chain) -> Chain:
        return chain

    def operator(self, token: Token) -> str:
        return " ".join(token.lower().split())

    def comparison(self, left: Chain | Constant, operator: str, right: Chain | Constant) -> _Node:
        compare = OPERATORS[operator]
        get_left, get_right = _operand(left).resolver(), _operand(right).resolver()
        return _Node(
            lambda scope: compare(get_left(scope), get_right(scope)),
            Comparison(left, operator, right),
            tuple(side for side in (left, right) if isinstance(side, Chain)),
        )

    def truth(self, value: Chain | Constant) -> _Node:
        if isinstance(value, Constant) and not isinstance(value.value, bool):
            message = 'This value stands alone. Compare it with something: {{answer}} == "yes" OR {{answer}} == "no".'
            raise ExpressionError(message, value.position)
        get = value.resolver()
        chains = (value,) if isinstance(value, Chain) else ()
        return _Node(lambda scope: is_true(get(scope)), Truth(value), chains)

    def group(self, inner: _Node) -> _Node:
        return _deeper(inner, inner.test, inner.shape)

    def negation(self, inner: _Node) -> _Node:
        test = inner.test
        return _deeper(inner, lambda scope: not test(scope), Negation(inner.shape))

    def all(self, *nodes: _Node) -> _Node:
        return _joined(nodes, _all_of, Every)

    def any(self, *nodes: _Node) -> _Node:
        return _joined(nodes, _any_of, Some)

    def expression(self, root: _Node) -> _Node:
        return root


_BUILDER: Final = _ConditionBuilder()


def _operand(value: Chain | Constant) -> Chain | Constant:
    if isinstance(value, Constant) and isinstance(text := value.value, str) and "{{" in text and "}}" in text:
        raise ExpressionError("Write the variable without quotes around its braces.", value.position)
    return value


def _deeper(inner: _Node, test: Test, shape: Condition) -> _Node:
    if inner.depth >= MAX_DEPTH:
        raise ExpressionError(f"More than {MAX_DEPTH} parentheses or NOTs stand inside each other.", 0)
    return _Node(test, shape, inner.chains, inner.depth + 1)


def _joined(nodes: tuple[_Node, ...], join: Callable[[list[Test]], Test], shape: type[Every | Some]) -> _Node:
    if len(nodes) == 1:
        return nodes[0]
    return _Node(
        join([node.test for node in nodes]),
        shape(tuple(node.shape for node in nodes)),
        tuple(chain for node in nodes for chain in node.chains),
        max(node.depth for node in nodes),
    )


def _all_of(tests: list[Test]) -> Test:
    def test(scope: Scope) -> bool:
        for one in tests:  # noqa: SIM110 - all() with a generator takes twice as long
            if not one(scope):
                return False
        return True

    return test


def _any_of(tests: list[Test]) -> Test:
    def test(scope: Scope) -> bool:
        for one in tests:  # noqa: SIM110 - as above
            if one(scope):
                return True
        return False

    return test
