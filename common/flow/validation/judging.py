"""Whether a condition can hold, and whether it can fail, by what is known of the values that it looks at.

Each side of a comparison is tried with values that stand for all that it can be: the constants of the other side
and what lies just beside them, and one or two of each type. A condition that cannot hold with any of them never
holds. Joined conditions are judged part by part, so "it can" may be too generous, "it cannot" never is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from common.flow.comparisons import OPERATORS, is_true
from common.flow.conditions import Comparison, Condition, Every, Keywords, Negation, Operand, Some, Truth
from common.flow.facts import Fact, of_value, text_fact
from common.flow.references import Chain, Constant
from common.flow.variables import MISSING, Missing, parse_boolean, parse_number, to_text
from common.model.values import Value, VariableType, type_of

if TYPE_CHECKING:
    from common.flow.validation.variables import Variables

_TEXT_OPERATORS: Final = frozenset({"contains", "starts with", "ends with"})
_NUMBER_CHARACTERS: Final = frozenset("0123456789.+-e")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the condition can be true, and whether it can be false."""

    can_hold: bool = True
    can_fail: bool = True


DEPENDS: Final = Verdict()


def judge(condition: Condition, variables: Variables, node_id: str, *, by_types: bool = False) -> Verdict:
    """What can come of a condition at a node. With `by_types`, known texts and constants count as any of their type."""
    match condition:
        case Negation(inner):
            verdict = judge(inner, variables, node_id, by_types=by_types)
            return Verdict(verdict.can_fail, verdict.can_hold)
        case Every(parts):
            each = [judge(part, variables, node_id, by_types=by_types) for part in parts]
            return Verdict(all(one.can_hold for one in each), any(one.can_fail for one in each))
        case Some(parts):
            each = [judge(part, variables, node_id, by_types=by_types) for part in parts]
            return Verdict(any(one.can_hold for one in each), all(one.can_fail for one in each))
        case Comparison():
            return _judge_comparison(condition, variables, node_id, by_types=by_types)
        case Truth(value):
            side = _side(value, variables, node_id)
            if side is not None:
                return _found(is_true(sample) for sample in side.samples(()))
        case Keywords():
            pass
    return DEPENDS


def _judge_comparison(one: Comparison, variables: Variables, node_id: str, *, by_types: bool) -> Verdict:
    """Worked out once: several checks ask."""
    key = (id(one), node_id, by_types)
    if key in variables.verdicts:
        return variables.verdicts[key][1]
    verdict = DEPENDS
    left, right = one.left, one.right
    # Constants last: nothing has to be known of them where the other side is never set.
    first, second = (right, left) if isinstance(left, Constant) else (left, right)
    if (known := _side(first, variables, node_id)) and (other := _side(second, variables, node_id)):
        sides = (other, known) if isinstance(left, Constant) else (known, other)
        verdict = _compare(sides[0], one.operator, sides[1], by_types=by_types)
    variables.verdicts[key] = one, verdict  # the comparison too, or another could get its id
    return verdict


@dataclass(frozen=True, slots=True)
class _Side:
    fact: Fact
    is_maybe_unset: bool
    constant: Constant | None = None

    def samples(self, around: tuple[Value, ...]) -> Iterator[Value | Missing]:
        """Values that stand for all that this side can be, where the other side has the constants `around`."""
        if self.constant is not None:
            yield self.constant.value
            return
        if self.fact.is_known_text and self.fact.texts is not None:
            yield from sorted(self.fact.texts)
        else:
            yield from (value for near in around for value in _beside(near) if self._fits(value))
            yield from (value for value in _POOL if self._fits(value))
        if self.is_maybe_unset:
            yield MISSING

    def _fits(self, value: Value) -> bool:
        if value is None:
            return len(self.fact.types) == len(VariableType)
        if isinstance(value, str):
            is_text = self.fact.allows(VariableType.STRING)
            return is_text and (self.fact.reads_as_number or parse_number(value) is None)
        return type_of(value) in self.fact.types


_POOL: Final[tuple[Value, ...]] = (1, "a", 0, "b", "", "1", "0", True, False, "true", "false", 1.5, -1, {}, {"a": 1}, [], ["a"], None)  # fmt: skip


def _beside(value: Value) -> Iterator[Value]:
    """The constant itself in every type that can equal it, and values just above and below."""
    if isinstance(value, list | dict) or value is None:
        return
    text: str = to_text(value)
    found: tuple[Value, ...] = (value, text, f"{text}~", "\x01", [value], {text: 1})
    number = parse_number(text)
    if number is not None:
        yield from (number, number - 1, number + 1, str(number - 1), str(number + 1))
    yield from found
    boolean = parse_boolean(text)
    if boolean is not None:
        yield boolean


def _side(operand: Operand, variables: Variables, node_id: str) -> _Side | None:
    """What is known of one side; None if nothing sets it, which is another check's finding."""
    match operand:
        case Constant():
            return _Side(of_value(operand.value), is_maybe_unset=False, constant=operand)
        case Chain():
            known = variables.of_chain(node_id, operand)
            return None if known.fact is None else _Side(known.fact, known.is_maybe_unset)
        case _:
            return _Side(text_fact(), is_maybe_unset=False)


def _compare(left: _Side, operator: str, right: _Side, *, by_types: bool) -> Verdict:
    if by_types:
        left, right = _loosened(left), _loosened(right)
    if operator in _TEXT_OPERATORS and left.fact.allows(VariableType.NUMBER) and _is_part_of_number(right):
        return DEPENDS
    test = OPERATORS[operator]
    around_left = () if right.constant is None else (right.constant.value,)
    around_right = () if left.constant is None else (left.constant.value,)
    for known in (left, right):
        if known.fact.is_known_text and known.fact.texts is not None:
            around_left = around_right = (*around_left, *around_right, *sorted(known.fact.texts))
    others = list(right.samples(around_right))
    return _found(test(value, other) for value in left.samples(around_left) for other in others)


def _loosened(side: _Side) -> _Side:
    return replace(side, fact=replace(side.fact, texts=None)) if side.constant is None else side


def _is_part_of_number(needle: _Side) -> bool:
    """Whether it could stand inside a number's digits, of which there are too many to try."""
    if needle.constant is None:
        return True
    return set(to_text(needle.constant.value)) <= _NUMBER_CHARACTERS


def _found(results: Iterator[bool]) -> Verdict:
    can_hold = can_fail = False
    for result in results:
        can_hold, can_fail = can_hold or result, can_fail or not result
        if can_hold and can_fail:
            return DEPENDS
    return Verdict(can_hold, can_fail)
