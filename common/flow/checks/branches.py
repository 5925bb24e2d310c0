"""Every branch of a condition can be taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

from common.flow.conditions import Comparison, Keywords, Truth, leaves, operands
from common.flow.references import Chain
from common.flow.validation.check import Check, warning
from common.flow.validation.coverage import canonical, conjuncts, covered_words, first_holding, subject
from common.flow.validation.judging import judge

if TYPE_CHECKING:
    from common.flow.definition import Node
    from common.flow.forecast import Test
    from common.flow.validation.view import FlowView
    from common.model.issues import Issue


class Branches(Check):
    name = "branches"
    title = "Every branch can be taken"
    rank = 160
    codes = (
        warning(
            "branch.never",
            "The condition can never hold, so its branch is never taken.",
            "Compare the condition with the values that can arrive, and correct it.",
        ),
        warning(
            "branch.always",
            "The condition always holds, so what comes after it is never looked at.",
            "Correct the condition, or remove the branches behind it.",
        ),
        warning(
            "branch.repeated",
            "The same condition stands in an earlier branch, which always comes first.",
            "Change one of the two, or delete the later one.",
        ),
        warning(
            "branch.covered",
            "Whenever the condition holds, an earlier branch holds too and comes first.",
            "Put the narrower branch in front, or change one of the two.",
        ),
        warning(
            "branch.keyword_taken",
            "A keyword is taken by an earlier branch, whose own keyword is part of it.",
            "Put the longer keyword in front, match the whole message, or choose another keyword.",
        ),
    )

    def find(self, view: FlowView) -> Iterator[Issue]:
        for node in view.nodes:
            tests = view.tests(node)
            known = [test for test in tests if not _is_broken(view, node, test)]
            told: set[str] = set()
            for issue in (
                *self._alone(view, node, known),
                *self._pairs(node, known),
                *self._values(view, node, known),
            ):
                if issue.field is None or issue.field not in told:
                    told.add(issue.field or "")
                    yield issue

    def _alone(self, view: FlowView, node: Node, tests: Sequence[Test]) -> Iterator[Issue]:
        for place, test in enumerate(tests):
            verdict = judge(test.condition, view.variables, node.node_id)
            if not verdict.can_hold:
                message = f'The condition "{test.label}" of "{node.label}" can never hold. Correct it.'
                yield self.issue("branch.never", message, node.node_id, test.field)
            elif not verdict.can_fail:
                rest = "the branches behind it are" if place < len(tests) - 1 else "the other exit is"
                message = (
                    f'The condition "{test.label}" of "{node.label}" always holds, so {rest} never taken.'
                )
                yield self.issue("branch.always", message, node.node_id, test.field)

    def _pairs(self, node: Node, tests: Sequence[Test]) -> Iterator[Issue]:
        keys = {test.field: (canonical(test.condition), conjuncts(test.condition)) for test in tests}
        for earlier, later in combinations(tests, 2):
            if earlier.handle is None or later.handle is None:
                continue
            if keys[earlier.field][0] == keys[later.field][0]:
                message = (
                    f'"{later.label}" of "{node.label}" has the same condition as "{earlier.label}" before it, '
                    "so it is never taken."
                )
                yield self.issue("branch.repeated", message, node.node_id, later.field)
            elif isinstance(earlier.condition, Keywords) and isinstance(later.condition, Keywords):
                yield from self._words(node, earlier, later, earlier.condition, later.condition)
            elif keys[earlier.field][1] <= keys[later.field][1]:
                yield self._covered(node, later, earlier)

    def _words(
        self, node: Node, earlier: Test, later: Test, first: Keywords, second: Keywords
    ) -> Iterator[Issue]:
        taken = covered_words(first, second)
        if taken and len(taken) == len(second.words):
            yield self._covered(node, later, earlier)
        elif taken:
            shown = ", ".join(f'"{word}" (by "{by}")' for word, by in taken[:3])
            message = (
                f'In "{node.label}", the branch "{earlier.label}" comes before "{later.label}" and takes {shown}. '
                "Put the longer keywords in front."
            )
            yield self.issue("branch.keyword_taken", message, node.node_id, later.field)

    def _values(self, view: FlowView, node: Node, tests: Sequence[Test]) -> Iterator[Issue]:
        """Branches about one value: whether the ones before leave anything to them."""
        groups: dict[object, list[Test]] = {}
        for test in tests:
            about = subject(test.condition)
            if about is not None and test.handle is not None:
                groups.setdefault(about, []).append(test)
        for group in groups.values():
            chain = _chain_of(group[0])
            known = view.variables.of_chain(node.node_id, chain)
            if known.fact is None:
                continue
            conditions = [test.condition for test in group]
            hold, first = first_holding(conditions, known.fact, is_maybe_unset=known.is_maybe_unset)
            for index, test in enumerate(group):
                if index not in hold:
                    message = f'The condition "{test.label}" of "{node.label}" can never hold. Correct it.'
                    yield self.issue("branch.never", message, node.node_id, test.field)
                elif index not in first:
                    yield self._covered(node, test, group[0] if index == 1 else None)

    def _covered(self, node: Node, later: Test, earlier: Test | None) -> Issue:
        by = "the branches before it take" if earlier is None else f'"{earlier.label}" before it takes'
        message = (
            f'"{later.label}" of "{node.label}" is never taken: {by} everything that it could. '
            "Put the narrower condition in front."
        )
        return self.issue("branch.covered", message, node.node_id, later.field)


def _chain_of(test: Test) -> Chain:
    return next(side for leaf in leaves(test.condition) for side in operands(leaf) if isinstance(side, Chain))


def _is_broken(view: FlowView, node: Node, test: Test) -> bool:
    """Whether a comparison in it cannot work because of the types alone, which another check says."""
    return any(
        isinstance(leaf, Comparison | Truth)
        and not judge(leaf, view.variables, node.node_id, by_types=True).can_hold
        and not _is_constant(leaf)
        for leaf in leaves(test.condition)
    )


def _is_constant(leaf: Comparison | Truth) -> bool:
    return not any(isinstance(side, Chain) for side in operands(leaf))
