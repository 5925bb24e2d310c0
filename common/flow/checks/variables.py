"""Every variable that is used has been set before, on every way to the place of its use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from common.flow.comparisons import is_nothing
from common.flow.conditions import Comparison, Truth, leaves
from common.flow.references import Chain, Constant
from common.flow.validation.check import Check, error, warning
from common.flow.validation.witness import Witnesses
from common.flow.variables import SYSTEM_NAMES

if TYPE_CHECKING:
    from common.flow.forecast import Test
    from common.flow.validation.uses import Use
    from common.flow.validation.view import FlowView
    from common.model.issues import Issue

_MOST_GUESSES: Final = 100  # unknown names for which a similar one is looked for


class UsedVariables(Check):
    name = "variables"
    title = "Variables are known and set before they are used"
    rank = 120
    codes = (
        error(
            "variable.unknown",
            "Nothing sets the variable: no step, and it is none of the bot's or the system's.",
            "Correct its name, set it by an INPUT or SET VARIABLE, or add it to the bot's variables.",
        ),
        error(
            "variable.not_in_bot",
            "The flow expects a variable that the bot does not have.",
            "Add it to the bot's variables.",
        ),
        error(
            "variable.unset",
            "The variable is set somewhere in the flow, but on no path that leads here.",
            'Set it before this step, or write {{name || "something"}}.',
        ),
        warning(
            "variable.sometimes_unset",
            "The variable is set on some paths to this step, but not on all. On the others there is nothing in its "
            "place.",
            'Set it on those paths too, or write {{name || "something"}}.',
        ),
        warning(
            "variable.never_set",
            "The flow lists the variable, but no step sets it. It is empty unless it comes from elsewhere.",
            "Set it before it is used, or delete it.",
        ),
        warning(
            "variable.only_default",
            "Nothing sets the variable, so what stands behind || is always used.",
            "Correct its name, or write only what stands behind ||.",
        ),
    )

    def find(self, view: FlowView) -> Iterator[Issue]:
        search = _Search(self, view)
        presence: dict[str, set[int]] = {}
        told: set[tuple[str, str]] = set()
        for use in view.uses:
            node_id = use.node.node_id
            if node_id not in presence:
                presence[node_id] = _presence_tests(view.tests(use.node))
            found = list(search.unknown_names(use))
            if not found:
                found = list(search.unset(use, is_asked=id(use.chain) in presence[node_id]))
            for issue in found:
                one = node_id, issue.message
                if one not in told:  # once a step, however often it is used there
                    told.add(one)
                    yield issue


class _Search:
    def __init__(self, check: UsedVariables, view: FlowView) -> None:
        self._check, self._view = check, view
        self._variables = view.variables
        self._witnesses = Witnesses(view)
        self._guesses: dict[str, str] = {}

    def unknown_names(self, use: Use) -> Iterator[Issue]:
        known = self._variables
        for name in sorted(use.chain.names):
            if known.is_provided(name) or name in known.written:
                continue
            node_id, field, label = use.node.node_id, use.field or None, use.node.label
            has_other = use.has_default or len(use.chain.operands) > 1
            if name in known.declared:
                if not has_other:
                    message = f'Nothing in this flow sets "{name}", which "{label}" uses. Set it before.'
                    yield self._check.issue("variable.never_set", message, node_id, field)
            elif name in self._view.flow.variables_declared.bot:
                if not has_other:
                    message = f'"{label}" uses the bot\'s variable "{name}", which the bot does not have. Add it there.'
                    yield self._check.issue("variable.not_in_bot", message, node_id, field)
            elif has_other:
                message = f'Nothing sets "{name}", so "{label}" never uses it.{self._guess(name)}'
                yield self._check.issue("variable.only_default", message, node_id, field)
            else:
                message = f'Nothing sets "{name}", which "{label}" uses.{self._guess(name)}'
                yield self._check.issue("variable.unknown", message, node_id, field)

    def _guess(self, name: str) -> str:
        if name not in self._guesses and len(self._guesses) < _MOST_GUESSES:
            known = sorted({*self._variables.written, *self._variables.bot, *SYSTEM_NAMES})
            close = get_close_matches(name, known, n=1)
            self._guesses[name] = f' Did you mean "{close[0]}"?' if close else ""
        return self._guesses.get(name, "")

    def unset(self, use: Use, *, is_asked: bool) -> Iterator[Issue]:
        node_id, chain = use.node.node_id, use.chain
        names = [
            name
            for name in dict.fromkeys(ref.name for ref in chain.references)
            if name in self._variables.written
        ]
        if not names or len(names) < len(chain.names):
            return
        state = self._variables.of_chain(node_id, chain)
        name = names[-1]
        if state.is_never_set:
            message = (
                f'"{use.node.label}" uses "{name}", but no path to it sets that before. '
                f'Set it earlier, or write {{{{{name} || "…"}}}}.'
            )
            yield self._check.issue("variable.unset", message, node_id, use.field or None)
        elif state.is_maybe_unset and not (is_asked or (use.is_condition and self._repeats(node_id))):
            yield self._sometimes(use, name)

    def _repeats(self, node_id: str) -> bool:
        """Whether the node counts rounds: the first one begins before its steps have set anything."""
        return any(edge.leaving.rounds is not None for edge in self._view.graph.out[node_id])

    def _sometimes(self, use: Use, name: str) -> Issue:
        way = self._witnesses.way_without(name, use.node.node_id)
        if way is None:
            reason = "not every path to it sets that before"
        elif name in way.leaving.deletes:
            reason = f"{self._view.way_label(way)} has deleted it on one of the paths"
        else:
            reason = f"a conversation that comes from {self._view.way_label(way)} has nothing there"
        message = (
            f'"{use.node.label}" uses "{name}", but {reason}. '
            f'Set it on that path too, or write {{{{{name} || "…"}}}}.'
        )
        return self._check.issue("variable.sometimes_unset", message, use.node.node_id, use.field or None)


def _presence_tests(tests: Iterable[Test]) -> set[int]:
    """The placeholders (by identity) of conditions that ask whether there is anything at all."""
    asked: set[int] = set()
    for test in tests:
        for leaf in leaves(test.condition):
            match leaf:
                case Truth(Chain() as chain):
                    asked.add(id(chain))
                case Comparison(Chain() as chain, _, Constant(value)) if is_nothing(value):
                    asked.add(id(chain))
                case Comparison(Constant(value), _, Chain() as chain) if is_nothing(value):
                    asked.add(id(chain))
                case _:
                    pass
    return asked
