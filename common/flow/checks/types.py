"""Values are of types with which a step can work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from common.flow.conditions import Comparison, leaves
from common.flow.facts import Fact, as_text, can_become
from common.flow.forecast import Filled
from common.flow.references import Chain
from common.flow.validation.check import Check, warning
from common.flow.validation.judging import judge
from common.model.values import VariableType

if TYPE_CHECKING:
    from common.flow.definition import Node
    from common.flow.forecast import Test
    from common.flow.validation.view import FlowView
    from common.model.issues import Issue

_WORDS: Final = {
    VariableType.STRING: "a text",
    VariableType.NUMBER: "a number",
    VariableType.BOOLEAN: "true or false",
    VariableType.OBJECT: "an object",
    VariableType.ARRAY: "a list",
}


class Types(Check):
    name = "types"
    title = "Values have types that fit"
    rank = 130
    codes = (
        warning(
            "type.not_a_number",
            "A step needs a value of a type that the variable can never have here. A conversation fails at it.",
            "Use another variable, or ask for the value as a number.",
        ),
        warning(
            "type.refused",
            "A step sets a variable to something that its type can never take. A conversation fails at it.",
            "Change the variable's type, or the value.",
        ),
        warning(
            "type.never_compares",
            "The two sides of a comparison are never of types that can be compared like this.",
            "Compare with a value of the same kind, or with a field of the object: {{order.total}}.",
        ),
        warning(
            "type.no_parts",
            "A place inside a variable is asked for, but its value is no object and no list.",
            "Correct the path, or use the variable that holds the object.",
        ),
    )

    def find(self, view: FlowView) -> Iterator[Issue]:
        for node in view.nodes:
            for name, wanted in node.type.expects(node.settings).items():
                known = view.variables.at(node.node_id, name)
                if known.fact is not None and not can_become(known.fact, wanted):
                    those = (
                        "conversations in which it is set fail"
                        if known.is_maybe_unset
                        else "conversations fail"
                    )
                    message = (
                        f'"{node.label}" needs {_WORDS[wanted]} in "{name}", but there is {_said(known.fact)}: '
                        f"{those} here."
                    )
                    yield self.issue("type.not_a_number", message, node.node_id)
            for test in view.tests(node):
                yield from self._compares(view, node, test)
            yield from self._sets(view, node)
        yield from self._parts(view)

    def _compares(self, view: FlowView, node: Node, test: Test) -> Iterator[Issue]:
        told: set[str] = set()
        for leaf in leaves(test.condition):
            if not isinstance(leaf, Comparison) or not any(
                isinstance(side, Chain) for side in (leaf.left, leaf.right)
            ):
                continue
            if not judge(leaf, view.variables, node.node_id, by_types=True).can_hold:
                message = (
                    f'In "{node.label}", {_shown(leaf.left, view, node)} is never {leaf.operator} '
                    f"{_shown(leaf.right, view, node)}. Compare values of the same kind."
                )
                if message not in told:
                    told.add(message)
                    yield self.issue("type.never_compares", message, node.node_id, test.field)

    def _sets(self, view: FlowView, node: Node) -> Iterator[Issue]:
        variables, told = view.variables, set[str]()
        for edge in view.graph.out[node.node_id]:
            for name, given in edge.leaving.sets.items():
                wanted = given.type if isinstance(given, Filled) else None
                fact = variables.of_filled(node.node_id, given) if isinstance(given, Filled) else given
                declared = variables.declared.get(name)
                fits = (wanted is None or can_become(fact, wanted)) and (
                    declared is None or can_become(_taken(fact, wanted), declared)
                )
                if not fits and name not in told:
                    told.add(name)
                    kind = _WORDS[declared or wanted or VariableType.STRING]
                    message = (
                        f'"{node.label}" sets "{name}", which must be {kind}, to {_said(fact)}: '
                        "conversations fail here."
                    )
                    yield self.issue("type.refused", message, node.node_id)

    def _parts(self, view: FlowView) -> Iterator[Issue]:
        told: set[tuple[str, str]] = set()
        for use in view.uses:
            for reference in use.chain.references:
                one = use.node.node_id, reference.text if reference.path else ""
                fact = view.variables.at(use.node.node_id, reference.name).fact
                if (
                    reference.path
                    and one not in told
                    and fact is not None
                    and not fact.allows(VariableType.OBJECT, VariableType.ARRAY)
                ):
                    message = (
                        f'"{use.node.label}" looks for "{reference.text}", but "{reference.name}" is {_said(fact)} '
                        "and has no parts."
                    )
                    told.add(one)
                    yield self.issue("type.no_parts", message, use.node.node_id, use.field or None)


def _taken(fact: Fact, wanted: VariableType | None) -> Fact:
    """The value after the step has made it into its own type."""
    if wanted is None or wanted in fact.types:
        return fact
    return as_text(fact) if wanted is VariableType.STRING else Fact(frozenset({wanted}))


def _said(fact: Fact) -> str:
    if fact.types == {VariableType.STRING} and not fact.reads_as_number:
        return "a text that is no number"
    return " or ".join(_WORDS[kind] for kind in VariableType if kind in fact.types)


def _shown(side: object, view: FlowView, node: Node) -> str:
    if isinstance(side, Chain):
        fact = view.variables.of_chain(node.node_id, side).fact
        return f"{side.label} ({'unset' if fact is None else _said(fact)})"
    value = getattr(side, "value", getattr(side, "source", ""))
    return f'"{value}"' if isinstance(value, str) else str(value)
