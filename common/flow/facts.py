"""What can be said of a variable's value before anybody has written: its types, its length, the texts it can be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from common.flow.message_limits import units
from common.flow.variables import VariableTypeError, coerce, parse_number, to_text
from common.model.values import Value, VariableType, type_of

MOST_TEXTS: Final = 16  # more are not told apart
_NUMBER_LONGEST: Final = 24  # -1.23456789012345e-300
_BOOLEAN_LONGEST: Final = len("false")
_STRUCTURES: Final = frozenset({VariableType.OBJECT, VariableType.ARRAY})


@dataclass(frozen=True, slots=True)
class Fact:
    """`types` that the value can have; its `longest` text in UTF-16 units (None: unknown); all the `texts` that
    it can be, if it is a text (None: any); whether a text may read as a number.
    """

    types: frozenset[VariableType]
    longest: int | None = None
    texts: frozenset[str] | None = None
    reads_as_number: bool = True

    @property
    def is_known_text(self) -> bool:
        """Whether every value that it can have is in `texts`."""
        return self.texts is not None and self.types == {VariableType.STRING}

    def allows(self, *types: VariableType) -> bool:
        return not self.types.isdisjoint(types)


ANYTHING: Final = Fact(frozenset(VariableType))
NUMBER: Final = Fact(frozenset({VariableType.NUMBER}), _NUMBER_LONGEST)


def text_fact(longest: int | None = None, *, reads_as_number: bool = True) -> Fact:
    """Some text."""
    return Fact(frozenset({VariableType.STRING}), longest, None, reads_as_number)


def one_of(texts: Iterable[str]) -> Fact:
    """One of these texts."""
    known = frozenset(texts)
    return Fact(
        frozenset({VariableType.STRING}),
        max(map(units, known), default=0),
        known if len(known) <= MOST_TEXTS else None,
        any(parse_number(text) is not None for text in known),
    )


def of_type(declared: VariableType) -> Fact:
    """Any value of a type."""
    if declared is VariableType.NUMBER:
        return NUMBER
    return Fact(frozenset({declared}), _BOOLEAN_LONGEST if declared is VariableType.BOOLEAN else None)


def joined(facts: Iterable[Fact]) -> Fact | None:
    """What is true of a value of which one of the facts is true; None of no facts."""
    result: Fact | None = None
    for fact in facts:
        result = fact if result is None or result == fact else _join(result, fact)
    return result


def _join(one: Fact, other: Fact) -> Fact:
    longest = None if one.longest is None or other.longest is None else max(one.longest, other.longest)
    texts = _join_texts(one, other)
    return Fact(one.types | other.types, longest, texts, one.reads_as_number or other.reads_as_number)


def _join_texts(one: Fact, other: Fact) -> frozenset[str] | None:
    sides = [fact.texts for fact in (one, other) if fact.allows(VariableType.STRING)]
    if any(side is None for side in sides):
        return None
    texts = frozenset[str]().union(*(side or () for side in sides))
    return texts if len(texts) <= MOST_TEXTS else None


def as_text(fact: Fact) -> Fact:
    """The value, written into a text."""
    if fact.types == {VariableType.STRING}:
        return fact
    longest = None if fact.allows(*_STRUCTURES) else fact.longest
    is_number = fact.reads_as_number if fact.allows(VariableType.STRING) else fact.allows(VariableType.NUMBER)
    return Fact(frozenset({VariableType.STRING}), longest, None, is_number)


def as_type(fact: Fact, declared: VariableType) -> Fact:
    """The value, made into a type as `variables.coerce` does."""
    if fact.types == {declared}:
        return fact
    if declared is VariableType.STRING:
        return as_text(fact)
    return of_type(declared)


def can_become(fact: Fact, declared: VariableType) -> bool:
    """Whether some value that it can have can be made into the type."""
    if declared is VariableType.STRING or declared in fact.types:
        return True
    if not fact.allows(VariableType.STRING):
        return False
    if fact.texts is not None:
        return any(_fits(text, declared) for text in fact.texts)
    return declared is not VariableType.NUMBER or fact.reads_as_number


def _fits(text: str, declared: VariableType) -> bool:
    if text == "":
        return True  # nothing fits every type
    try:
        coerce(text, declared)
    except VariableTypeError:
        return False
    return True


def of_value(value: Value) -> Fact:
    """What is true of this value."""
    if isinstance(value, str):
        return one_of((value,))
    return Fact(frozenset({type_of(value)}), units(to_text(value)))
