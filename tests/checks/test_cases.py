"""Every case of every deploy check; every check has cases in which it finds something, and some in which not."""

from __future__ import annotations

from typing import Any

import pytest

from common.flow.validation.registry import checks, owners
from common.flow.validation.verdict import CheckState
from common.model.issues import Issue, Severity
from tests.checks.cases import all_cases, case_file, check_case

CASES = all_cases()


def shown(issue: Issue) -> str:
    return " ".join(part for part in (issue.code, issue.node_id, issue.field) if part)


@pytest.mark.parametrize(("check", "data"), CASES, ids=[f"{check}: {data['name']}" for check, data in CASES])
def test_case(check: str, data: dict[str, Any]) -> None:
    verdict = check_case(data)
    own = [issue for issue in verdict.issues if owners()[issue.code] == check]
    assert sorted(shown(issue) for issue in own) == sorted(data["issues"]), own
    errors = [shown(issue) for issue in verdict.errors if owners()[issue.code] != check]
    assert sorted(errors) == sorted(data.get("others", [])), "errors of other checks"
    for part in data.get("says", ()):
        assert any(part in issue.message for issue in own), [issue.message for issue in own]
    for issue in verdict.issues:
        assert issue.message[0].isupper() or issue.message[0] == '"'
        assert issue.message.endswith((".", "?", '"'))
    result = next(result for result in verdict.checks if result.name == check)
    if not own:
        assert result.state in (CheckState.PASSED, CheckState.SKIPPED)
    elif any(issue.severity is Severity.ERROR for issue in own):
        assert result.state is CheckState.ERRORS
    else:
        assert result.state is CheckState.WARNINGS


@pytest.mark.parametrize("name", list(checks()))
def test_a_check_has_cases_of_both_kinds(name: str) -> None:
    assert case_file(name).exists(), f"write tests/checks/{name}.yaml"
    cases = [data for check, data in CASES if check == name]
    assert any(data["issues"] for data in cases)
    assert any(not data["issues"] for data in cases)


@pytest.mark.parametrize("name", list(checks()))
def test_every_code_of_a_check_has_a_case(name: str) -> None:
    given = {issue.split()[0] for check, data in CASES if check == name for issue in data["issues"]}
    unseen = {code.name for code in checks()[name].codes} - given - UNREACHED
    assert not unseen, f"codes without a case in tests/checks/{name}.yaml"


# marshmallow's own complaint, for a field that would say nothing itself: ours all do
UNREACHED = {"field.invalid"}


def test_no_case_file_is_of_an_unknown_check() -> None:
    assert {check for check, _ in CASES} <= set(checks())
