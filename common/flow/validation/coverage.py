"""Which of several conditions, tried in order, can never be the first to hold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from common.flow.comparisons import OPERATORS, is_true
from common.flow.conditions import (
    Comparison,
    Condition,
    Every,
    Keywords,
    Match,
    Negation,
    Operand,
    Some,
    Truth,
    leaves,
)
from common.flow.facts import Fact
from common.flow.references import Chain, Constant
from common.flow.text_matching import folded
from common.flow.variables import MISSING, Missing, parse_number
from common.model.values import Value, VariableType, type_of

Key: TypeAlias = "tuple[object, ...]"

_ORDERS: Final = frozenset({"<", "<=", ">", ">="})
_FRESH: Final = "\x01 another text"


def canonical(condition: Condition) -> Key:
    """The same for conditions that differ in spelling only: spaces, quotes, the order around AND and OR."""
    match condition:
        case Comparison(left, operator, right):
            return "compare", _operand(left), operator, _operand(right)
        case Truth(value):
            return "truth", _operand(value)
        case Negation(inner):
            return "not", canonical(inner)
        case Every(parts):
            return "every", frozenset(map(canonical, parts))
        case Some(parts):
            return "some", frozenset(map(canonical, parts))
        case Keywords(words, match_, case_sensitive):
            wanted = frozenset(folded(word, case_sensitive=case_sensitive) for word in words)
            return "keywords", wanted, match_, case_sensitive


def _operand(operand: Operand) -> Key:
    match operand:
        case Constant(value):
            return "constant", type(value).__name__, str(value)
        case Chain():
            return "chain", *(
                _operand(one) if isinstance(one, Constant) else one.text for one in operand.operands
            )
        case _:
            return "text", operand.source


def conjuncts(condition: Condition) -> frozenset[Key]:
    """What must all hold for the condition to hold."""
    if isinstance(condition, Every):
        return frozenset[Key]().union(*map(conjuncts, condition.parts))
    return frozenset({canonical(condition)})


# --- conditions about one value


def subject(condition: Condition) -> Key | None:
    """The one placeholder that the condition is about, if all it does is to compare that with constants by their
    order or equality; None for any other condition, which `first_holding` does not understand.
    """
    found: set[Key] = set()
    for leaf in leaves(condition):
        match leaf:
            case Truth(Chain() as chain):
                found.add(_operand(chain))
            case Comparison(Chain() as chain, operator, Constant(value)) | Comparison(
                Constant(value), operator, Chain() as chain
            ) if _is_simple(operator, value):
                found.add(_operand(chain))
            case _:
                return None
    return found.pop() if len(found) == 1 else None


def _is_simple(operator: str, value: Value) -> bool:
    if operator in _ORDERS:
        return isinstance(value, int | float | str) and parse_number(str(value)) is not None
    return operator in ("==", "!=")


def first_holding(
    conditions: Sequence[Condition], fact: Fact, *, is_maybe_unset: bool
) -> tuple[set[int], set[int]]:
    """Of conditions about one value: the indexes of those that can hold, and of those that can hold first."""
    can_hold, can_be_first = set[int](), set[int]()
    for sample in _samples(conditions, fact, is_maybe_unset=is_maybe_unset):
        holding = [index for index, condition in enumerate(conditions) if _holds(condition, sample)]
        can_hold.update(holding)
        can_be_first.update(holding[:1])
    return can_hold, can_be_first


def _samples(
    conditions: Sequence[Condition], fact: Fact, *, is_maybe_unset: bool
) -> Iterator[Value | Missing]:
    """Values that stand for all: each constant, what lies between two numbers, and one of everything else."""
    constants = [value for condition in conditions for value in _constants(condition)]
    if fact.is_known_text and fact.texts is not None:
        yield from sorted(fact.texts)
    else:
        others: list[Value] = [_FRESH, True, False, {}, {"a": 1}, [], [1], ""]
        found = {parse_number(str(value)) for value in constants if not isinstance(value, bool)}
        numbers = sorted(number for number in found if number is not None)
        if numbers:
            others += [numbers[0] - 1, *numbers, numbers[-1] + 1]
            others += [(one + other) / 2 for one, other in pairwise(numbers)]
        else:
            others += [0, 1]
        others += [str(value) for value in others if isinstance(value, int | float)]
        for value in [*constants, *others]:
            if _allows(fact, value):
                yield value
        if len(fact.types) == len(VariableType):
            yield None
    if is_maybe_unset:
        yield MISSING


def _allows(fact: Fact, value: Value) -> bool:
    if isinstance(value, str):
        return fact.allows(VariableType.STRING) and (fact.reads_as_number or parse_number(value) is None)
    return value is not None and type_of(value) in fact.types


def _constants(condition: Condition) -> Iterator[Value]:
    for leaf in leaves(condition):
        if isinstance(leaf, Comparison):
            for side in (leaf.left, leaf.right):
                if isinstance(side, Constant):
                    yield side.value


def _holds(condition: Condition, value: Value | Missing) -> bool:
    match condition:
        case Comparison(left, operator, right):
            one = left.value if isinstance(left, Constant) else value
            other = right.value if isinstance(right, Constant) else value
            return OPERATORS[operator](one, other)
        case Truth():
            return is_true(value)
        case Negation(inner):
            return not _holds(inner, value)
        case Every(parts):
            return all(_holds(part, value) for part in parts)
        case Some(parts):
            return any(_holds(part, value) for part in parts)
        case Keywords():
            return True


# --- keywords


def covered_words(earlier: Keywords, later: Keywords) -> list[tuple[str, str]]:
    """The words of the later condition that the earlier one takes first, each with the word that does.

    A later ALL is covered as a whole or not at all.
    """
    if earlier.case_sensitive and not later.case_sensitive:
        return []  # a message in other letters comes to the later one
    taken = [folded(word, case_sensitive=earlier.case_sensitive) for word in earlier.words]
    wanted = [(word, folded(word, case_sensitive=earlier.case_sensitive)) for word in later.words]
    match earlier.match:
        case Match.ANY:
            pairs = [(word, next((one for one in taken if one in said), None)) for word, said in wanted]
        case Match.EXACT:
            if later.match is not Match.EXACT:
                return []
            pairs = [(word, said if said in taken else None) for word, said in wanted]
        case Match.ALL:
            if later.match is Match.ALL:
                said_all = [said for _, said in wanted]
                is_covered = all(any(one in said for said in said_all) for one in taken)
                return [(word, earlier.words[0]) for word, _ in wanted] if is_covered else []
            pairs = [(word, taken[0] if all(one in said for one in taken) else None) for word, said in wanted]
    covered = [(word, by) for word, by in pairs if by is not None]
    if later.match is Match.ALL:
        return [(word, covered[0][1]) for word, _ in wanted] if covered else []
    return covered
