"""What came of checking a flow: its issues, and for each check whether it passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from common.model.issues import Issue, Severity

MOST_TOLD: Final = 500  # issues in one answer; whoever has more than that begins with these


class CheckState(StrEnum):
    """How a check went; one that needs a flow that can run is SKIPPED where there is none."""

    PASSED = "PASSED"
    WARNINGS = "WARNINGS"
    ERRORS = "ERRORS"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check: its stable name, its title for people, and what it found."""

    name: str
    title: str
    state: CheckState
    issues: tuple[Issue, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "state": self.state.value,
            "issueCount": len(self.issues),
        }


@dataclass(frozen=True, slots=True)
class Validation:
    """`issues`: errors first, then by place in the flow. `checks`: every check there is, in the panel's order."""

    issues: tuple[Issue, ...]
    checks: tuple[CheckResult, ...]
    node_labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_deployable(self) -> bool:
        """Whether nothing but warnings was found."""
        return not self.errors

    @property
    def errors(self) -> tuple[Issue, ...]:
        return tuple(issue for issue in self.issues if issue.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Issue, ...]:
        return tuple(issue for issue in self.issues if issue.severity is Severity.WARNING)

    @property
    def passed(self) -> tuple[CheckResult, ...]:
        """The checks that found nothing."""
        return tuple(check for check in self.checks if check.state is CheckState.PASSED)

    def to_json(self) -> dict[str, Any]:
        """{isDeployable, errorCount, warningCount, issues: [{code, severity, check, nodeId, nodeLabel, field,
        message}], moreIssues, checks: [{name, title, state, issueCount}]}.

        Of the issues, the first `MOST_TOLD`; `moreIssues` is how many there are besides.
        """
        told = self.issues[:MOST_TOLD]
        check_of = {issue: check.name for check in self.checks for issue in check.issues}
        return {
            "isDeployable": self.is_deployable,
            "errorCount": len(self.errors),
            "warningCount": len(self.warnings),
            "issues": [
                {
                    "code": issue.code,
                    "severity": issue.severity.value,
                    "check": check_of.get(issue),
                    "nodeId": issue.node_id,
                    "nodeLabel": None if issue.node_id is None else self.node_labels.get(issue.node_id),
                    "field": issue.field,
                    "message": issue.message,
                }
                for issue in told
            ],
            "moreIssues": len(self.issues) - len(told),
            "checks": [check.to_json() for check in self.checks],
        }
