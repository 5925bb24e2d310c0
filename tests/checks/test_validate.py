"""The verdict as a whole: order, shape, what is known where, speed, and that no JSON whatever breaks it."""

from __future__ import annotations

import ast
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.flow.definition import load_flow
from common.flow.facts import ANYTHING, NUMBER, Fact, can_become, joined, of_value, one_of, text_fact
from common.flow.forecast import Heard
from common.flow.node import OUTPUT, Exit, Go, Look, NodeType
from common.flow.registry import node_types
from common.flow.settings_groups import NodeSettings, optional_group, settings_class
from common.flow.settings_language import template, variable
from common.flow.spans import NoReplyTimeout
from common.flow.turn import Turn
from common.flow.validation import registry
from common.flow.validation.context import BotVariable, CheckContext, OtherFlow
from common.flow.validation.registry import checks, owners
from common.flow.validation.validate import validate, validate_loaded
from common.flow.validation.verdict import CheckState
from common.model.issues import Severity
from common.model.session import WaitKind
from common.model.values import VariableType
from scripts.bench.large_flow import Drawing, realistic
from tests.checks import flows
from tests.checks.cases import all_cases, flow_of

ROOT = Path(__file__).parents[2]
EXAMPLES = [
    *sorted((ROOT / "docs/examples").glob("*.json")),
    *sorted((ROOT / "tests/conversations/flows").glob("*.json")),
]
CALLS = {"error", "warning", "refuse", "_refuse"}
# Codes of a conversation's troubles, not of a flow's.
OF_RUNS = {"variable.refused", "variable.total", "variable.not_a_number"}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


# --- the registry


def test_checks_stand_in_the_panels_order_and_say_what_they_are() -> None:
    assert len(checks()) >= 20
    ranks = [check.rank for check in checks().values()]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)
    for name, check in checks().items():
        assert name == type(check).__module__.rsplit(".", 1)[-1], "a check is named after its file"
        assert check.title[0].isupper()
        assert check.codes
        for code in check.codes:
            assert code.means.endswith("."), code
            assert code.do.endswith("."), code


def test_a_code_has_one_check(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = list(checks().values())[:2]
    monkeypatch.setattr(type(second), "codes", first.codes)
    with pytest.raises(RuntimeError, match="two checks give the code"):
        registry._owners(checks())


def codes_of_reading() -> Iterator[str]:
    """The codes that stand in the code that reads flows."""
    for path in [*(ROOT / "common/flow").glob("*.py"), *(ROOT / "common/nodes").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                called = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if called in CALLS and "." in str(node.args[0].value):
                    yield str(node.args[0].value)


def test_every_code_of_reading_belongs_to_a_check() -> None:
    found = set(codes_of_reading())
    assert len(found) > 30
    assert found - OF_RUNS <= owners().keys()


# --- the verdict


BROKEN = {
    "name": "x",
    "nodes": {
        "ask": {"nodeType": "INPUT", "promptMessage": "Name?", "variableName": "name", "label": "Ask"},
        "menu": {
            "nodeType": "BUTTON",
            "messageText": "{{nmae}}",
            "buttons": [{"label": "A"}, {"label": "a"}],
        },
        "hello": {"nodeType": "MESSAGE", "messageContent": ""},
    },
    "edges": "ask.success > menu, menu.button_1 > hello",
    "open": ["hello.output"],
}


def test_errors_come_first_then_the_flows_order() -> None:
    verdict = validate(flow_of(BROKEN), CheckContext(is_whatsapp_connected=False))
    assert [(issue.severity.value, issue.code, issue.node_id) for issue in verdict.issues] == [
        ("ERROR", "variable.unknown", "menu"),
        ("ERROR", "field.required", "hello"),
        ("WARNING", "account.no_whatsapp", None),
        ("WARNING", "button.same_label", "menu"),
    ]
    assert not verdict.is_deployable
    assert len(verdict.errors) == len(verdict.warnings) == 2
    states = {check.name: check.state for check in verdict.checks}
    assert states["fields"] is CheckState.ERRORS
    assert states["labels"] is CheckState.WARNINGS
    assert states["window"] is CheckState.PASSED
    assert {check.name for check in verdict.passed} == {
        name for name, state in states.items() if state is CheckState.PASSED
    }
    assert list(states) == list(checks())


def test_the_verdict_as_json() -> None:
    shown = validate(flow_of(BROKEN)).to_json()
    json.dumps(shown)
    assert (shown["isDeployable"], shown["errorCount"], shown["warningCount"]) == (False, 2, 1)
    assert shown["issues"][0] | {"message": ""} == {
        "code": "variable.unknown",
        "severity": "ERROR",
        "check": "variables",
        "nodeId": "menu",
        "nodeLabel": "menu",
        "field": "messageText",
        "message": "",
    }
    fields = next(check for check in shown["checks"] if check["name"] == "fields")
    assert fields == {
        "name": "fields",
        "title": "Required settings are filled in",
        "state": "ERRORS",
        "issueCount": 1,
    }


def test_an_issue_comes_once_and_checks_wait_for_a_flow() -> None:
    data = flow_of(BROKEN)
    verdict = validate(data)
    assert len(set(verdict.issues)) == len(verdict.issues)
    assert set(load_flow(data, "v").issues) <= set(verdict.issues)
    nothing = validate(None)
    assert [issue.code for issue in nothing.issues] == ["flow.not_an_object"]
    assert not nothing.is_deployable
    assert {check.state for check in nothing.checks} == {CheckState.ERRORS, CheckState.SKIPPED}


def test_the_same_flow_gives_the_same_verdict_in_any_order_of_its_lists() -> None:
    data = realistic(100)
    turned = {**data, "nodes": data["nodes"][::-1], "edges": data["edges"][::-1]}
    assert set(validate(data).issues) == set(validate(turned).issues)
    assert validate(data).issues == validate(data).issues


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_can_be_deployed(path: Path) -> None:
    data = read(path)
    values = {
        (entry if isinstance(entry, str) else entry["name"]): BotVariable(
            "" if isinstance(entry, str) else entry["value"]
        )
        for entry in data["variables"]["bot"]
    }
    context = CheckContext(bot_variables=values, has_openai_account=True, is_whatsapp_connected=True)
    for verdict in (validate(data), validate(data, context)):
        assert verdict.errors == ()
        assert {issue.code for issue in verdict.warnings} <= {"variable.never_set"}


# --- a node type that says nothing of its runs beforehand


@settings_class
class ShoutSettings(NodeSettings):
    text: Any = template("Text")
    keep_in: str = variable("Keep it in")
    no_reply_timeout: NoReplyTimeout | None = optional_group("If nobody answers", NoReplyTimeout)


class Shout(NodeType[ShoutSettings]):
    kind = "SHOUT"
    look = Look("Shout", icon="megaphone", tone="red")
    description = "Says it loudly."
    exits: ClassVar[Any] = (OUTPUT, Exit("timeout", "No reply", when="no_reply_timeout"))
    waits_for = WaitKind.REPLY
    settings = ShoutSettings

    def enter(self, settings: ShoutSettings, turn: Turn) -> Go:
        del settings, turn
        return Go("output")


def test_a_new_node_type_needs_no_more_than_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {**node_types(), "SHOUT": Shout()}
    monkeypatch.setattr("common.flow.reading.node_types", lambda: known)
    monkeypatch.setattr("tests.checks.cases.node_types", lambda: known)
    data = {
        "nodes": {
            "shout": {
                "nodeType": "SHOUT",
                "text": "{{loud}}",
                "keepIn": "said",
                "noReplyTimeout": {"duration": 5},
            },
            "after": {"nodeType": "MESSAGE", "messageContent": "{{said}}"},
            "silent": {"nodeType": "MESSAGE", "messageContent": "{{said}}"},
        },
        "edges": "shout > after, shout.timeout > silent",
    }
    verdict = validate(flow_of(data))
    assert [(issue.code, issue.node_id) for issue in verdict.errors] == [
        ("variable.unknown", "shout"),
        ("variable.unset", "silent"),
    ]
    flow = load_flow(flow_of(data), "v").flow
    assert flow is not None
    shouted = flow.nodes["shout"].settings
    assert Shout().leaving(shouted, "output").heard is Heard.ALWAYS
    assert Shout().leaving(shouted, "timeout").waited_seconds == 300


# --- facts


def test_facts_join_and_fit() -> None:
    assert joined([]) is None
    assert joined([one_of(["a"]), one_of(["bc"])]) == one_of(["a", "bc"])
    either = joined([NUMBER, one_of(["a"])])
    assert either is not None
    assert either.types == {VariableType.NUMBER, VariableType.STRING}
    assert not either.is_known_text
    assert one_of(str(number) for number in range(17)).texts is None
    assert not can_become(text_fact(reads_as_number=False), VariableType.NUMBER)
    assert can_become(one_of(["x", "1"]), VariableType.NUMBER)
    assert not can_become(one_of(["x"]), VariableType.BOOLEAN)
    assert not can_become(of_value(True), VariableType.NUMBER)  # noqa: FBT003 - the value itself
    assert can_become(of_value({}), VariableType.STRING)
    assert can_become(ANYTHING, VariableType.ARRAY)
    assert of_value("äö😀").longest == 4
    assert of_value([1, 2]) == Fact(frozenset({VariableType.ARRAY}), 5)


def test_a_variable_is_told_once_for_each_step() -> None:
    drawing = Drawing()
    branches = [
        {"branchId": f"b{number}", "expression": f"{{{{lost}}}} > {number} AND {{{{lost}}}} < {number + 2}"}
        for number in range(5)
    ]
    for node_id, following in (("one", "two"), ("two", "end")):
        drawing.node(node_id, "CONDITION", branches=branches)
        for handle in (*(f"b{number}" for number in range(5)), "default"):
            drawing.edge(node_id, handle, following)
    drawing.edge("start", "output", "one")
    drawing.node("end", "END")
    found = [issue for issue in validate(drawing.flow()).issues if issue.code == "variable.unknown"]
    assert [issue.node_id for issue in found] == ["one", "two"]


# --- speed: best of several, CPU time; the bounds are far from what is usual, and near enough to notice a power


def seconds(data: Any, context: CheckContext | None = None) -> float:
    started = time.process_time()
    validate(data, context)
    return time.process_time() - started


def test_five_hundred_nodes_are_checked_quickly() -> None:
    validate(realistic(50))
    best = min(seconds(realistic(500, salt=f"{number}-")) for number in range(4))
    assert best < 0.8, "0.2 on a quiet machine"  # each flow has texts of its own: nothing is compiled already


def test_time_grows_with_the_flow_and_not_faster() -> None:
    small = min(seconds(realistic(125, salt=f"s{number}-")) for number in range(4))
    large = min(seconds(realistic(1000, salt=f"l{number}-")) for number in range(3))
    assert large < 8 * small * 4


@pytest.mark.parametrize("make", [flows.dense, flows.deep, flows.nested, flows.diamonds])
def test_the_worst_flows_come_to_an_end(make: Any) -> None:
    assert seconds(make()) < 10


# --- anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
CONTEXTS = st.builds(
    CheckContext,
    bot_variables=st.none()
    | st.dictionaries(st.sampled_from(["name", "n", "a"]), st.builds(BotVariable, JSON), max_size=2),
    has_openai_account=st.none() | st.booleans(),
    is_whatsapp_connected=st.none() | st.booleans(),
    other_flows=st.none() | st.just({"other": OtherFlow("other")}),
    models=st.none() | st.just(frozenset({"gpt-4"})),
    brought_along=st.frozensets(st.sampled_from(["name", "x"])),
)
CASE_FLOWS = [flow_of(data) for _, data in all_cases() if "flow" not in data and data.get("line", 0) < 20]
ALL_FLOWS = [*CASE_FLOWS, *(read(path) for path in EXAMPLES)]


@given(JSON, CONTEXTS)
def test_any_json_is_checked(data: object, context: CheckContext) -> None:
    assert validate(data, context).issues


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in _places(item, (*path, key)))]


@settings(max_examples=400, deadline=None)
@given(st.data(), st.sampled_from(ALL_FLOWS), CONTEXTS)
def test_a_flow_with_anything_anywhere_is_checked(
    data: st.DataObject, flow: dict[str, Any], context: CheckContext
) -> None:
    flow = json.loads(json.dumps(flow))
    for _ in range(data.draw(st.integers(1, 3))):
        *path, last = data.draw(st.sampled_from(_places(flow)[1:]))
        target: Any = flow
        for step in path:
            target = target[step]
        others = (
            [node["nodeId"] for node in flow["nodes"] if isinstance(node, dict) and "nodeId" in node]
            if isinstance(flow.get("nodes"), list)
            else []
        )
        target[last] = data.draw(JSON | st.sampled_from(["{{name}} > 1", "{{n}}", *map(str, others)]))
    verdict = validate(flow, context)
    assert all(issue.code in owners() for issue in verdict.issues)
    assert verdict.is_deployable == (not any(issue.severity is Severity.ERROR for issue in verdict.issues))
    loaded = load_flow(flow, "v")
    assert validate_loaded(loaded, flow, context).issues == verdict.issues
