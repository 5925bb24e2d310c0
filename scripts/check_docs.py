"""docs/checks.md: every deploy check with its codes, from the registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from common.flow.validation.check import Check
from common.flow.validation.registry import checks

_INTRODUCTION: Final = """\
Before a flow is deployed, it is checked. Errors refuse the deploy, warnings do not. Every check is one file in
`common/flow/checks/`, and this page is written from them, in the order of the validation panel. An issue has a code,
a severity, the node and the setting that it is about, and a sentence; codes are stable, sentences may change."""


def checks_page(note: str) -> str:
    """The page; `note` says that it is generated."""
    lines = ["# Deploy checks", "", note, "", _INTRODUCTION, ""]
    for check in checks().values():
        lines += _section(check)
    return "\n".join(lines)


def _section(check: Check) -> Iterator[str]:
    yield f"## {check.title}"
    yield ""
    yield f"Check `{check.name}`."
    yield ""
    yield "| code | severity | what it means | what to do |"
    yield "|---|---|---|---|"
    for code in check.codes:
        yield f"| `{code.name}` | {code.severity.value.lower()} | {_escape(code.means)} | {_escape(code.do)} |"
    yield ""


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
