"""JSON bodies with placeholders, filled in the parsed tree: a value never adds a field.

`{"name": "{{name}}"}` puts text into the string; `{"age": {{age}}}`, without quotes, puts the value itself
(number, object, …; unset becomes null). Names of fields are constant, and no field comes twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from lark import Token, v_args

from common.flow.language import parse
from common.flow.references import Chain, ChainBuilder, Constant, Resolve
from common.flow.text_template import (
    MAX_PLACEHOLDERS,
    MAX_TEMPLATE_LENGTH,
    FillError,
    TemplateError,
    build,
    compile_template,
    names_in,
)
from common.flow.variables import (
    MAX_NESTING,
    MISSING,
    Scope,
    VariableTypeError,
    admit,
    clean_text,
    json_size,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.flow.text_template import Template
    from common.model.values import Value

MAX_BODY_BYTES: Final = 1024 * 1024

Fill: TypeAlias = "Callable[[Scope], Value]"


@dataclass(frozen=True, slots=True)
class _Node:
    """A piece of the body: how it is filled, what it reads, how often, how deep it is."""

    fill: Fill
    chains: tuple[Chain, ...] = ()
    placeholders: int = 0
    depth: int = 0


class JsonTemplate:
    """A compiled body."""

    __slots__ = ("_fill", "chains", "is_constant", "names", "source")

    def __init__(self, source: str, root: _Node) -> None:
        self.source = source
        self.chains = root.chains
        self.names = names_in(root.chains)
        self.is_constant = root.placeholders == 0
        self._fill = root.fill

    def fill(self, scope: Scope) -> Value:
        """The body, new in every part. Raises FillError if it is too large or a value is no JSON."""
        body = self._fill(scope)
        if json_size(body) > MAX_BODY_BYTES:
            raise FillError("fill.body_too_large", f"The body is larger than {MAX_BODY_BYTES // 1024} KiB.")
        return body


@v_args(inline=True)
class _BodyBuilder(ChainBuilder):
    def json(self, root: _Node | Constant) -> _Node:
        return _as_node(root)

    def json_object(self, *members: tuple[str, _Node]) -> _Node:
        nodes = [node for _, node in members]
        fills = [(key, node.fill) for key, node in members]
        if len({key for key, _ in members}) < len(members):
            raise TemplateError("A JSON object names one of its fields twice.", 0)
        return _container(nodes, lambda scope: {key: fill(scope) for key, fill in fills})

    def json_member(self, name: Token, value: _Node | Constant) -> tuple[str, _Node]:
        key = _json_text(name)
        if "{{" in key:
            message = "A variable cannot be the name of a JSON field, only its value."
            raise TemplateError(message, name.start_pos or 0)
        return key, _as_node(value)

    def json_array(self, *items: _Node | Constant) -> _Node:
        nodes = [_as_node(item) for item in items]
        fills = [node.fill for node in nodes]
        return _container(nodes, lambda scope: [fill(scope) for fill in fills])

    def json_string(self, token: Token) -> _Node:
        text = _json_text(token)
        try:
            template = compile_template(text)
        except TemplateError as wrong:
            raise TemplateError(wrong.message, (token.start_pos or 0) + 1 + wrong.position) from None
        if template.is_constant:
            return _Node(lambda _scope: text)
        return _Node(_text_fill(template), template.chains, text.count("{{"))

    def json_number(self, token: Token) -> _Node:
        try:
            number = admit(json.loads(token))
        except (ValueError, VariableTypeError):
            raise TemplateError("This number is too large.", token.start_pos or 0) from None
        return _Node(lambda _scope: number)

    def placeholder_in_json(self, chain: Chain) -> _Node:
        return _Node(_value_fill(chain.resolver(), chain.label), (chain,), 1)


_BUILDER: Final = _BodyBuilder()


def compile_json_template(text: str) -> JsonTemplate:
    """Compile a JSON body with placeholders. Raises TemplateError."""
    if len(text) > MAX_TEMPLATE_LENGTH:
        raise TemplateError(
            f"This JSON is longer than {MAX_TEMPLATE_LENGTH:,} characters.", MAX_TEMPLATE_LENGTH
        )
    root: _Node = build(_BUILDER, parse("json", clean_text(text), TemplateError))
    if root.placeholders > MAX_PLACEHOLDERS:
        raise TemplateError(f"A body can have at most {MAX_PLACEHOLDERS} placeholders.", 0)
    return JsonTemplate(text, root)


def _as_node(piece: _Node | Constant) -> _Node:
    if isinstance(piece, _Node):
        return piece
    value = piece.value
    return _Node(lambda _scope: value)


def _container(nodes: list[_Node], fill: Fill) -> _Node:
    depth = 1 + max((node.depth for node in nodes), default=0)
    if depth > MAX_NESTING:
        raise TemplateError(f"The JSON has more than {MAX_NESTING} lists or objects inside each other.", 0)
    chains = tuple(chain for node in nodes for chain in node.chains)
    return _Node(fill, chains, sum(node.placeholders for node in nodes), depth)


def _json_text(token: Token) -> str:
    try:
        text: str = json.loads(token, strict=False)  # a line break inside the quotes means a line break
    except ValueError:
        raise TemplateError("A backslash in this text is no JSON escape.", token.start_pos or 0) from None
    return clean_text(text)


def _text_fill(template: Template) -> Fill:
    return lambda scope: clean_text(template.fill(scope))


def _value_fill(resolve: Resolve, label: str) -> Fill:
    def fill(scope: Scope) -> Value:
        value = resolve(scope)
        try:
            return None if value is MISSING else admit(value)
        except VariableTypeError as refused:
            raise FillError("fill.value", f"{label} cannot go into the body. {refused}") from None

    return fill
