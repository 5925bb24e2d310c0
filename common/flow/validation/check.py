"""What a deploy check is: its name and title, the codes it can give, and how it finds them."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from common.model.issues import Issue, Severity

if TYPE_CHECKING:
    from common.flow.validation.view import FlowView


@dataclass(frozen=True, slots=True)
class Code:
    """A code that a check can give, what it means, and what to do about it."""

    name: str
    severity: Severity
    means: str
    do: str


def error(name: str, means: str, do: str) -> Code:
    return Code(name, Severity.ERROR, means, do)


def warning(name: str, means: str, do: str) -> Code:
    return Code(name, Severity.WARNING, means, do)


class Check(ABC):
    """One check. Instances hold nothing. Codes that reading a flow gives belong to the check that explains them."""

    name: ClassVar[str]
    title: ClassVar[str]
    rank: ClassVar[int]  # the place in the panel, lowest first
    codes: ClassVar[tuple[Code, ...]]

    def find(self, view: FlowView) -> Iterator[Issue]:
        """The issues of a flow that can be walked, beyond those of reading it."""
        del view
        return iter(())

    def issue(self, code: str, message: str, node_id: str | None = None, field: str | None = None) -> Issue:
        """An issue with one of this check's codes."""
        severity = next(one.severity for one in self.codes if one.name == code)
        return Issue(code, severity, message, node_id, field)
