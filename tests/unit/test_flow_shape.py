"""What can be kept as a flow: anything unfinished, nothing broken."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from common.flow.shape import MOST_PROBLEMS, shape_problems
from common.model.flow_content import content_hash, content_of, empty_flow, saved_hash, settings_of, stamped

EXAMPLES = sorted((Path(__file__).parents[2] / "docs/examples").glob("*.json"))


def node(node_id: str = "a", **more: Any) -> dict[str, Any]:
    return {"nodeId": node_id, "nodeType": "MESSAGE", **more}


def flow(*nodes: Any, **more: Any) -> dict[str, Any]:
    return {"nodes": list(nodes), **more}


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "data",
    [
        *[json.loads(path.read_text()) for path in EXAMPLES],
        empty_flow(),
        flow(),
        flow(node(), edges=None, variables=None, settings=None),
        flow(node(config={"messageContent": ""}), node("b", nodeType="SOON", position={"x": 1, "y": -2.5})),
        flow({"nodeId": "a", "config": {"nodeType": "END"}}),
        flow(node(), edges=[{"sourceNodeId": "a", "targetNodeId": "gone"}]),
        flow(node(config={"$where": "1", "a.b": {"$gt": ""}, "": None})),
        flow(node(config={"deep": nested(15)}), groups=[{"any": "thing"}]),
        flow(*[node(f"n{n}") for n in range(1000)]),
    ],
    ids=str,
)
def test_an_unfinished_flow_can_be_kept(data: dict[str, Any]) -> None:
    assert shape_problems(data) == {}


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (None, ""),
        ([], ""),
        ("flow", ""),
        ({}, "nodes"),
        ({"nodes": {}}, "nodes"),
        (flow("node"), "nodes[0]"),
        (flow({"nodeType": "END"}), "nodes[0].nodeId"),
        (flow(node(5)), "nodes[0].nodeId"),  # type: ignore[arg-type]
        (flow(node("a b")), "nodes[0].nodeId"),
        (flow(node("a" * 65)), "nodes[0].nodeId"),
        (flow(node(), node()), "nodes[1].nodeId"),
        (flow(node(nodeType=["END"])), "nodes[0].nodeType"),
        (flow({"nodeId": "a"}), "nodes[0].nodeType"),
        (flow(node(nodeType="X" * 65)), "nodes[0].nodeType"),
        (flow(node(config=[])), "nodes[0].config"),
        (flow(node(position={"x": "1", "y": 2})), "nodes[0].position"),
        (flow(node(position={"x": True, "y": 2})), "nodes[0].position"),
        (flow(edges={}), "edges"),
        (flow(edges=[5]), "edges[0]"),
        (flow(edges=[{"sourceNodeId": {"$gt": ""}, "targetNodeId": "a"}]), "edges[0].sourceNodeId"),
        (flow(edges=[{"sourceNodeId": "a"}]), "edges[0].targetNodeId"),
        (
            flow(edges=[{"sourceNodeId": "a", "targetNodeId": "b", "sourceHandle": 1}]),
            "edges[0].sourceHandle",
        ),
        (flow(edges=[{"edgeId": "e", "sourceNodeId": "a", "targetNodeId": "b"}] * 2), "edges[1].edgeId"),
        (flow(variables=[]), "variables"),
        (flow(settings="RESTART"), "settings"),
        (flow(flowName={"$ne": None}), "flowName"),
        (flow(*[node(f"n{n}") for n in range(1001)]), "nodes"),
        (flow(edges=[{"sourceNodeId": "a", "targetNodeId": "b"}] * 3001), "edges"),
        (flow(node(config={"text": "x" * 1024 * 1024})), ""),
        (flow(node(config={"deep": nested(30)})), ""),
        (json.loads('{"nodes": [], "__proto__": {"isAdmin": true}}'), "__proto__"),
        (flow(node(config={"rows": [{"constructor": 1}]})), "nodes[0].config.rows[0].constructor"),
        (flow(prototype=1), "prototype"),
        (flow(node(config={"$ref": "a", "$id": 1})), "nodes[0].config"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_broken_is_refused_with_its_place(data: Any, place: str) -> None:
    before = copy.deepcopy(data)
    assert list(shape_problems(data)) == [place]
    assert data == before


def test_a_thousand_problems_are_not_all_told() -> None:
    assert len(shape_problems(flow(*[node("same") for _ in range(900)]))) == MOST_PROBLEMS


def test_a_hundred_thousand_levels_are_refused_and_not_walked() -> None:
    assert list(shape_problems(flow(x=nested(100_000)))) == [""]


def test_what_a_flow_says_is_told_apart_from_whose_it_is() -> None:
    data = json.loads(EXAMPLES[0].read_text())
    mine = stamped(data, flow_id="f", bot_id="b", name="n")
    assert list(mine)[:3] == ["flowId", "flowName", "botId"]
    assert content_of(mine) == content_of(data)
    assert list(content_of(mine)) == list(content_of(data))
    assert saved_hash(mine) == saved_hash(data)
    assert saved_hash(dict(reversed(data.items()))) == saved_hash(data)


def test_true_is_not_one_and_settings_are_not_what_is_deployed() -> None:
    one, true = flow(node(config={"flag": 1})), flow(node(config={"flag": True}))
    assert saved_hash(one) != saved_hash(true)
    assert content_hash(one) != content_hash(true)
    other = one | {"settings": {"restartPolicy": "RESTART"}}
    assert saved_hash(one) != saved_hash(other)
    assert content_hash(one) == content_hash(other)


@pytest.mark.parametrize(
    ("settings", "policy"),
    [
        ({"restartPolicy": "RESUME_LAST_NODE"}, "RESUME_LAST_NODE"),
        ({"restartPolicy": "FALLBACK_FLOW", "fallbackFlowId": "another bot's"}, "RESTART"),
        ({"restartPolicy": ["RESTART"]}, "RESTART"),
        (None, "RESTART"),
        ([], "RESTART"),
    ],
    ids=str,
)
def test_a_new_flow_takes_over_no_other_flow(settings: Any, policy: str) -> None:
    assert settings_of({"settings": settings}) == {"restartPolicy": policy, "fallbackFlowId": None}
