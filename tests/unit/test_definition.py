"""Reading flow JSON: the specification's own example, every kind of malformed one, and anything at all."""

from __future__ import annotations

import copy
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.flow.definition import LoadedFlow, RestartPolicy, load_flow
from common.flow.describe import describe
from common.flow.registry import node_types
from common.model.issues import Severity
from common.model.values import VariableType

EXAMPLES = Path(__file__).parents[2] / "docs/examples"

SPECIFICATION = {
    "flowId": "flow_abc123",
    "flowName": "Welcome Flow",
    "botId": "bot_xyz789",
    "version": 1,
    "isProduction": False,
    "nodes": [
        {"nodeId": "start_001", "nodeType": "START", "position": {"x": 100, "y": 100}, "config": {}},
        {
            "nodeId": "msg_001",
            "nodeType": "MESSAGE",
            "position": {"x": 300, "y": 100},
            "config": {"messageContent": "Hello {{userName}}!"},
        },
    ],
    "edges": [
        {
            "edgeId": "edge_001",
            "sourceNodeId": "start_001",
            "targetNodeId": "msg_001",
            "sourceHandle": "output",
            "targetHandle": "input",
        }
    ],
    "variables": {"bot": ["companyName", "supportEmail"], "session": []},
}


def codes(loaded: LoadedFlow) -> list[str]:
    return [issue.code for issue in loaded.issues]


def flow_of(*nodes: Any, edges: Any = None, **rest: Any) -> dict[str, Any]:
    start = {"nodeId": "start", "nodeType": "START", "config": {"nextNodeId": "end"}}
    end = {"nodeId": "end", "nodeType": "END", "config": {}}
    return {"nodes": [start, *nodes, end], "edges": edges or [], **rest}


def test_the_specifications_flow_loads_as_far_as_it_goes() -> None:
    loaded = load_flow(SPECIFICATION, "v1")
    assert loaded.flow is not None
    assert loaded.flow.start_id == "start_001"
    assert loaded.flow.name == "Welcome Flow"
    assert loaded.flow.variables_declared.bot == {"companyName", "supportEmail"}
    assert loaded.flow.nodes["start_001"].ways["output"].target_id == "msg_001"
    assert codes(loaded) == ["node.open_exit"]  # its message leads nowhere


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_an_example_has_no_issues_and_fits_a_canvas(path: Path) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    assert load_flow(data, "v1").issues == ()
    places = [(node["position"]["x"], node["position"]["y"]) for node in data["nodes"]]
    assert all(
        abs(one[0] - other[0]) >= 200 or abs(one[1] - other[1]) >= 140
        for index, one in enumerate(places)
        for other in places[:index]
    ), "nodes overlap"
    assert all(node["config"]["label"] for node in data["nodes"])


@pytest.mark.parametrize("data", [None, [], "flow", 7, True])
def test_what_is_no_object_is_no_flow(data: object) -> None:
    loaded = load_flow(data, "v1")
    assert loaded.flow is None
    assert codes(loaded) == ["flow.not_an_object"]


@pytest.mark.parametrize("nodes", [None, [], {}, "nodes"])
def test_a_flow_without_nodes(nodes: object) -> None:
    assert codes(load_flow({"nodes": nodes}, "v1")) == ["flow.no_nodes"]


def test_too_many_nodes() -> None:
    assert codes(load_flow({"nodes": [{}] * 1001}, "v1")) == ["flow.too_large"]
    assert codes(load_flow({**flow_of(), "edges": [{}] * 5001}, "v1")) == ["flow.too_large"]


def test_a_flow_needs_one_start() -> None:
    nobody = load_flow({"nodes": [{"nodeId": "end", "nodeType": "END"}]}, "v1")
    assert nobody.flow is None
    assert codes(nobody) == ["flow.no_start"]
    second = {"nodeId": "start2", "nodeType": "START", "config": {"nextNodeId": "end"}}
    two = load_flow(flow_of(second), "v1")
    assert [(issue.code, issue.node_id) for issue in two.issues] == [("flow.two_starts", "start2")]


@pytest.mark.parametrize(
    ("node", "code"),
    [
        (None, "node.not_an_object"),
        ("node", "node.not_an_object"),
        ({}, "node.id"),
        ({"nodeId": 7, "nodeType": "END"}, "node.id"),
        ({"nodeId": "", "nodeType": "END"}, "node.id"),
        ({"nodeId": "a.b", "nodeType": "END"}, "node.id"),
        ({"nodeId": "$where", "nodeType": "END"}, "node.id"),
        ({"nodeId": "x" * 65, "nodeType": "END"}, "node.id"),
        ({"nodeId": "é", "nodeType": "END"}, "node.id"),
        ({"nodeId": "end", "nodeType": "END"}, "node.duplicate_id"),
        ({"nodeId": "a"}, "node.unknown_type"),
        ({"nodeId": "a", "nodeType": "end"}, "node.unknown_type"),
        ({"nodeId": "a", "nodeType": ["END"]}, "node.unknown_type"),
        ({"nodeId": "a", "nodeType": "__proto__"}, "node.unknown_type"),
        ({"nodeId": "a", "nodeType": "END", "config": {"nodeType": "START"}}, "node.type_conflict"),
        ({"nodeId": "a", "nodeType": "END", "config": []}, "node.config"),
        ({"nodeId": "a", "nodeType": "END", "position": [1, 2]}, "node.position"),
        ({"nodeId": "a", "nodeType": "END", "position": {"x": "1", "y": 2}}, "node.position"),
        ({"nodeId": "a", "nodeType": "END", "config": {"__proto__": {"x": 1}}}, "field.unknown"),
    ],
)
def test_a_malformed_node(node: object, code: str) -> None:
    loaded = load_flow(flow_of(node), "v1")
    assert codes(loaded) == [code]
    assert loaded.flow is not None


@pytest.mark.parametrize(
    ("edge", "code"),
    [
        (None, "edge.malformed"),
        ([], "edge.malformed"),
        ({}, "edge.malformed"),
        ({"sourceNodeId": "start", "targetNodeId": 7}, "edge.malformed"),
        ({"sourceNodeId": "start", "targetNodeId": "end", "sourceHandle": 1}, "edge.malformed"),
        ({"sourceNodeId": "nowhere", "targetNodeId": "end"}, "edge.unknown_source"),
        ({"sourceNodeId": "start", "targetNodeId": "nowhere"}, "edge.unknown_target"),
        ({"sourceNodeId": "start", "targetNodeId": "end", "sourceHandle": "success"}, "edge.unknown_exit"),
        ({"sourceNodeId": "end", "targetNodeId": "end"}, "edge.unknown_exit"),
        ({"sourceNodeId": "start", "targetNodeId": "end", "targetHandle": "continue"}, "edge.unknown_input"),
        ({"sourceNodeId": "start", "targetNodeId": "start"}, "edge.unknown_input"),
    ],
)
def test_a_malformed_edge(edge: object, code: str) -> None:
    assert codes(load_flow(flow_of(edges=[edge]), "v1")) == [code]


def test_edges_must_be_a_list() -> None:
    assert codes(load_flow(flow_of(edges={"a": 1}), "v1")) == ["flow.edges"]


def test_edges_of_one_id_and_two_edges_from_one_exit() -> None:
    edge = {"edgeId": "e", "sourceNodeId": "start", "targetNodeId": "end", "sourceHandle": None}
    assert codes(load_flow(flow_of(edges=[edge, edge]), "v1")) == ["edge.duplicate_id"]
    other = {"nodeId": "other", "nodeType": "END"}
    two = [edge, {**edge, "edgeId": "f", "targetNodeId": "other"}]
    assert codes(load_flow(flow_of(other, edges=two), "v1")) == ["edge.two_from_exit"]


def test_an_edge_wins_over_a_next_node() -> None:
    other = {"nodeId": "other", "nodeType": "END"}
    edge = {"sourceNodeId": "start", "targetNodeId": "other"}
    loaded = load_flow(flow_of(other, edges=[edge]), "v1")
    assert loaded.flow is not None
    assert loaded.flow.nodes["start"].ways["output"].target_id == "other"
    assert [(issue.code, issue.field, issue.severity) for issue in loaded.issues] == [
        ("edge.conflict", "nextNodeId", Severity.WARNING)
    ]


def test_a_next_node_that_does_not_exist() -> None:
    ask = {
        "nodeId": "ask",
        "nodeType": "BUTTON",
        "config": {
            "messageText": "x",
            "buttons": [{"buttonId": "a", "label": "A", "nextNodeId": "nowhere"}],
            "fallback": {"nextNodeId": "end"},
        },
    }
    loaded = load_flow(flow_of(ask), "v1")
    assert [(issue.code, issue.node_id, issue.field) for issue in loaded.issues] == [
        ("edge.unknown_target", "ask", "buttons[0].nextNodeId")
    ]


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ([], "variables.not_an_object"),
        ({"bot": "name"}, "variables.not_a_list"),
        ({"session": [7]}, "variable.declaration"),
        ({"session": ["1st"]}, "variable.declaration"),
        ({"session": [{"name": "a", "type": "DATE"}]}, "variable.declaration"),
        ({"session": [{"name": "a", "type": "NUMBER", "value": "many"}]}, "variable.declaration"),
        ({"bot": ["sessionId"]}, "variable.declaration"),
        ({"bot": [{"name": "a", "value": math.nan}]}, "variable.declaration"),
        ({"bot": ["a"], "session": ["a"]}, "variable.read_only"),
    ],
)
def test_malformed_variables(variables: object, code: str) -> None:
    assert codes(load_flow(flow_of(variables=variables), "v1")) == [code]


def test_declared_variables() -> None:
    variables = {"bot": ["a", {"name": "b", "value": [1]}], "session": ["c", {"name": "d", "type": "NUMBER"}]}
    loaded = load_flow(flow_of(variables=variables), "v1")
    assert loaded.flow is not None
    assert loaded.flow.variables_declared.bot == {"a", "b"}
    assert loaded.flow.variables_declared.samples == {"b": [1]}
    assert loaded.flow.variables_declared.session == {"c": None, "d": VariableType.NUMBER}


@pytest.mark.parametrize(
    ("flow_settings", "code"),
    [
        ([], "flow.settings"),
        ({"restartPolicy": "SOMETIMES"}, "flow.restart_policy"),
        ({"restartPolicy": {}}, "flow.restart_policy"),
        ({"restartPolicy": "FALLBACK_FLOW"}, "flow.no_fallback_flow"),
    ],
)
def test_malformed_flow_settings(flow_settings: object, code: str) -> None:
    loaded = load_flow(flow_of(settings=flow_settings), "v1")
    assert codes(loaded) == [code]


def test_flow_settings() -> None:
    flow = load_flow(flow_of(settings={"restartPolicy": "FALLBACK_FLOW", "fallbackFlowId": "f"}), "v1").flow
    assert flow is not None
    assert flow.settings.restart_policy is RestartPolicy.FALLBACK_FLOW
    assert flow.settings.fallback_flow_id == "f"


def test_deep_and_odd_values_in_a_config() -> None:
    deep: Any = "x"
    for _ in range(100_000):
        deep = [deep]
    odd = [deep, math.nan, math.inf, 10**400, -0.0, "\ud800", {"$gt": 1}]
    for value in odd:
        api = {"method": value, "url": value, "body": value, "retry": {"max": value, "delay": value}}
        nodes = [
            {"nodeId": "a", "nodeType": "API", "config": api},
            {"nodeId": "d", "nodeType": "DELAY", "config": {"delayDuration": value}},
            {"nodeId": "s", "nodeType": "SET_VARIABLE", "config": {"variableName": "v", "value": value}},
            {"nodeId": "c", "nodeType": "CONDITION", "config": {"branches": [value]}},
        ]
        loaded = load_flow(flow_of(*nodes), "v1")
        assert {"a", "c"} <= {issue.node_id for issue in loaded.errors}


def test_a_message_is_a_sentence_and_names_its_place() -> None:
    loaded = load_flow(flow_of({"nodeId": "m", "nodeType": "MESSAGE", "config": {"nextNodeId": "end"}}), "v1")
    (issue,) = loaded.issues
    assert (issue.code, issue.node_id, issue.field) == ("field.required", "m", "messageContent")
    assert issue.message == '"Message" is missing.'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_anything_at_all_is_read(data: object) -> None:
    loaded = load_flow(data, "v1")
    assert all(issue.message and issue.code for issue in loaded.issues)


KINDS = st.sampled_from([*node_types(), "OTHER"])
FIELD_NAMES = st.sampled_from(
    sorted({field["name"] for node_type in node_types().values() for field in describe(node_type)["fields"]})
)
CONFIGS = st.dictionaries(
    FIELD_NAMES, JSON | st.sampled_from(["{{a}}", "{{", "EMAIL", "COUNT_BASED"]), max_size=8
)
NODES = st.fixed_dictionaries(
    {"nodeId": st.sampled_from("abc"), "nodeType": KINDS, "config": CONFIGS}, optional={"position": JSON}
)
ENDS = st.sampled_from(["a", "b", "start", "end", "output", "input", "continue"])
EDGES = st.dictionaries(
    st.sampled_from(["sourceNodeId", "targetNodeId", "sourceHandle", "targetHandle"]), ENDS | JSON
)


@given(st.lists(NODES, max_size=4), st.lists(EDGES | JSON, max_size=4), JSON, JSON)
def test_anything_in_the_right_places_is_read(
    nodes: Any, edges: Any, variables: Any, flow_settings: Any
) -> None:
    loaded = load_flow(flow_of(*nodes, edges=edges, variables=variables, settings=flow_settings), "v1")
    assert loaded.flow is not None


EXAMPLE_FLOWS = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(EXAMPLES.glob("*.json"))]


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in _places(item, (*path, key)))]


@settings(max_examples=200)
@given(st.sampled_from(EXAMPLE_FLOWS), st.data(), JSON)
def test_an_example_with_anything_anywhere_is_read(
    flow: dict[str, Any], data: st.DataObject, odd: Any
) -> None:
    path = data.draw(st.sampled_from([place for place in _places(flow) if place]))
    changed = copy.deepcopy(flow)
    target: Any = changed
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = odd
    load_flow(changed, "v1")


@pytest.mark.parametrize("kind", list(node_types()))
def test_a_node_type_describes_itself(kind: str) -> None:
    node_type = node_types()[kind]
    described = json.loads(json.dumps(describe(node_type), allow_nan=False))
    assert described["kind"] == kind
    assert described["description"]
    assert described["look"]["category"] in {"Messaging", "Logic", "Integration", "Flow Control"}
    assert all(exit_.get("label") or exit_.get("rows") for exit_ in described["exits"])
    names = [field["name"] for field in described["fields"]]
    assert names[:2] == ["label", "description"]
    assert all(field["label"] and field["widget"] for field in described["fields"])


def test_a_description_says_what_a_form_needs() -> None:
    described = describe(node_types()["INPUT"])
    fields = {field["name"]: field for field in described["fields"]}
    assert fields["promptMessage"]["maxLength"] == 4096
    assert fields["promptMessage"]["required"]
    assert [choice["value"] for choice in fields["inputType"]["choices"]] == [
        "TEXT",
        "NUMBER",
        "EMAIL",
        "PHONE",
        "REGEX",
    ]
    validation = {field["name"]: field for field in fields["validation"]["fields"]}
    assert validation["pattern"]["onlyIf"] == {"name": "inputType", "values": ["REGEX"], "default": "TEXT"}
    retry = {field["name"]: field for field in fields["retryConfig"]["fields"]}
    assert retry["maxRetries"]["default"] == 3
    assert retry["failureNextNodeId"]["handle"] == "failure"
    assert described["exits"][2] == {"handle": "timeout", "label": "No reply", "when": "noReplyTimeout"}
    assert describe(node_types()["BUTTON"])["exits"][0] == {
        "rows": "buttons",
        "idField": "buttonId",
        "labelField": "label",
    }


def test_what_a_node_reads_and_writes() -> None:
    flow = load_flow(EXAMPLE_FLOWS[1], "v1").flow
    assert flow is not None
    api = flow.nodes["api_crm"]
    assert api.type.reads(api.settings) == {
        "crmUrl",
        "crmToken",
        "leadName",
        "leadEmail",
        "leadSeats",
        "userPhone",
    }
    assert api.type.writes(api.settings) == {"leadId"}
    menu = load_flow(EXAMPLE_FLOWS[2], "v1").flow
    assert menu is not None
    assert menu.nodes["btn_menu"].type.writes(menu.nodes["btn_menu"].settings) == {"topic"}
