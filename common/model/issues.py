"""What is wrong with a flow: values to show, never exceptions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """An error refuses a deploy, a warning does not."""

    ERROR = "ERROR"
    WARNING = "WARNING"


@dataclass(frozen=True, slots=True)
class Issue:
    """One finding: a stable dotted code, where it is, and a sentence a shop owner understands."""

    code: str
    severity: Severity
    message: str
    node_id: str | None = None
    field: str | None = None

    @classmethod
    def error(cls, code: str, message: str, node_id: str | None = None, field: str | None = None) -> Issue:
        return cls(code, Severity.ERROR, message, node_id, field)

    @classmethod
    def warning(cls, code: str, message: str, node_id: str | None = None, field: str | None = None) -> Issue:
        return cls(code, Severity.WARNING, message, node_id, field)
