"""Checks a flow before it is deployed: everything that reading it and the deploy checks find, in one verdict."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING

from common.flow.definition import LoadedFlow, load_flow
from common.flow.validation.context import CheckContext
from common.flow.validation.registry import OTHER, checks, owners
from common.flow.validation.verdict import CheckResult, CheckState, Validation
from common.flow.validation.view import FlowView
from common.model.issues import Issue, Severity

if TYPE_CHECKING:
    from common.flow.definition import Flow
    from common.flow.validation.check import Check

_NUMBERS = re.compile(r"([0-9]{1,9})")
_DRAFT = "draft"  # no version yet; what is checked does not depend on it


def validate(data: object, context: CheckContext | None = None) -> Validation:
    """Check flow JSON as it is stored. Never raises, whatever the JSON holds."""
    return validate_loaded(load_flow(data, _DRAFT), data, context)


def validate_loaded(loaded: LoadedFlow, data: object, context: CheckContext | None = None) -> Validation:
    """The same for a flow that has been read already; `data` is what it was read from."""
    context = CheckContext() if context is None else context
    view = None if loaded.flow is None else FlowView(loaded.flow, data, context)
    by_check = _by_check(loaded.issues)
    results = tuple(_run(check, view, by_check.get(name, [])) for name, check in checks().items())
    found = {issue for result in results for issue in result.issues}
    return Validation(
        issues=tuple(sorted(found, key=_order(view))),
        checks=results,
        node_labels={} if loaded.flow is None else _labels(loaded.flow),
    )


def _by_check(issues: Iterable[Issue]) -> dict[str, list[Issue]]:
    sorted_out: dict[str, list[Issue]] = {}
    for issue in issues:
        sorted_out.setdefault(owners().get(issue.code, OTHER), []).append(issue)
    return sorted_out


def _run(check: Check, view: FlowView | None, from_reading: list[Issue]) -> CheckResult:
    found = dict.fromkeys([*from_reading, *(() if view is None else check.find(view))])
    severities = {issue.severity for issue in found}
    if Severity.ERROR in severities:
        state = CheckState.ERRORS
    elif severities:
        state = CheckState.WARNINGS
    else:
        state = CheckState.SKIPPED if view is None else CheckState.PASSED
    return CheckResult(check.name, check.title, state, tuple(found))


def _order(view: FlowView | None) -> Callable[[Issue], tuple[object, ...]]:
    """Errors first; then as the conversation meets the nodes, what belongs to no node in front."""
    natural = cache(_natural)  # many issues can be in one field
    places = {} if view is None else {node_id: place for place, node_id in enumerate(view.graph.order)}

    def key(issue: Issue) -> tuple[object, ...]:
        place = -1 if issue.node_id is None else places.get(issue.node_id, len(places))
        is_warning = issue.severity is Severity.WARNING
        return is_warning, place, issue.node_id or "", natural(issue.field or ""), issue.code, issue.message

    return key


def _natural(text: str) -> list[tuple[int, str]]:
    """The text in pieces that sort buttons[2] before buttons[10]."""
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in _NUMBERS.split(text)]


def _labels(flow: Flow) -> Mapping[str, str]:
    return {node_id: node.label for node_id, node in flow.nodes.items()}
