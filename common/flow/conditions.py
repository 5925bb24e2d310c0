"""The shape of a condition, for whoever must reason about it without values; `expressions` makes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from common.flow.references import Chain, Constant, Reference
from common.flow.templates import JsonTemplate, Template

Operand: TypeAlias = "Chain | Constant | Template"


@dataclass(frozen=True, slots=True)
class Comparison:
    """One value against another. A Template is text with several pieces."""

    left: Operand
    operator: str
    right: Operand


@dataclass(frozen=True, slots=True)
class Truth:
    """A value alone."""

    value: Chain | Constant


@dataclass(frozen=True, slots=True)
class Negation:
    """NOT."""

    inner: Condition


@dataclass(frozen=True, slots=True)
class Every:
    """Joined by AND."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Some:
    """Joined by OR."""

    parts: tuple[Condition, ...]


class Match(StrEnum):
    """How keywords are looked for in the last message."""

    ANY = "ANY"
    ALL = "ALL"
    EXACT = "EXACT"


@dataclass(frozen=True, slots=True)
class Keywords:
    """The customer's last message holds words."""

    words: tuple[str, ...]
    match: Match
    case_sensitive: bool


Condition: TypeAlias = "Comparison | Truth | Negation | Every | Some | Keywords"


def leaves(condition: Condition) -> Iterator[Comparison | Truth | Keywords]:
    """The comparisons, truths and keywords that the condition is made of."""
    ahead: list[Condition] = [condition]
    while ahead:
        part = ahead.pop()
        match part:
            case Negation(inner):
                ahead.append(inner)
            case Every(parts) | Some(parts):
                ahead.extend(reversed(parts))
            case Comparison() | Truth() | Keywords():
                yield part


def operands(leaf: Comparison | Truth | Keywords) -> tuple[Operand, ...]:
    """The values that a part of a condition looks at."""
    match leaf:
        case Comparison(left, _, right):
            return left, right
        case Truth(value):
            return (value,)
        case Keywords():
            return (Chain((Reference("lastMessage"),)),)


def operand_of(template: Template | JsonTemplate) -> Operand:
    """A side of a comparison as settings hold it: a placeholder alone is its value, a constant text a constant."""
    if isinstance(template, Template):
        return Constant(template.source) if template.is_constant else template
    return template.chains[0] if template.chains else Constant(template.source)
