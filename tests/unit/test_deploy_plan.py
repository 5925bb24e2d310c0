"""The plan of a deploy: what becomes of the nodes at which conversations stand, and the numbers for each choice."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from common.flow.deploy_plan import Fate, Now, Running, fates, plan
from tests.support.flows import ask, end, flow, say

Json = dict[str, Any]


def first() -> Json:
    nodes = {"ask": ask("name?"), "more": say("more"), "end": end("bye")}
    return flow(nodes, "start > ask, ask.success > more, ask.failure > end, more > end")


def _config(data: Json, node_id: str) -> Json:
    config: Json = next(node["config"] for node in data["nodes"] if node["nodeId"] == node_id)
    return config


def _drop(data: Json, node_id: str) -> None:
    data["nodes"] = [node for node in data["nodes"] if node["nodeId"] != node_id]
    data["edges"] = [
        edge for edge in data["edges"] if node_id not in (edge["sourceNodeId"], edge["targetNodeId"])
    ]


CHANGES: dict[str, tuple[Callable[[Json], object], dict[str, Fate]]] = {
    "nothing": (lambda _: None, {}),
    "moved": (lambda data: data["nodes"][1].update(position={"x": 9, "y": 9}), {}),
    "another label": (lambda data: _config(data, "ask").update(label="Name"), {}),
    "edges renumbered": (
        lambda data: [edge.update(edgeId=f"x{edge['edgeId']}") for edge in data["edges"]],
        {},
    ),
    "another text": (lambda data: _config(data, "ask").update(promptMessage="Name?"), {"ask": Fate.CHANGED}),
    "leads elsewhere": (
        lambda data: data["edges"][1].update(targetNodeId="end"),
        {"ask": Fate.CHANGED},
    ),
    "gone": (lambda data: _drop(data, "more"), {"more": Fate.DISAPPEARS, "ask": Fate.CHANGED}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_becomes_of_a_node(name: str) -> None:
    change, expected = CHANGES[name]
    data = copy.deepcopy(first())
    change(data)
    assert fates(first(), data) == expected


def test_the_numbers_of_a_chain_of_deploys() -> None:
    """Version 1 was left by a deploy that restarts, version 2 is live: who is on 1 begins again either way."""
    new = copy.deepcopy(first())
    _drop(new, "more")
    running = [
        Running("v2", 2, None, {"ask": 3, "more": 2}, first()),
        Running("v1", 1, None, {"more": 4}, first()),
        Running("v0", 0, None, {"somewhere": 7}, None),  # too old to be looked at
    ]
    made = plan(Now("v2", 1, running), new)
    assert made["conversations"] == 16
    assert made["conversationsOnOlderVersions"] == 7
    assert made["finishOnOld"] == {"finish": 5, "restart": 11}
    assert made["restartOnNew"] == {"finish": 0, "restart": 16}
    assert made["onNodes"] == {"KEPT": 0, "CHANGED": 3, "DISAPPEARS": 6}
    live, old = made["versions"]
    assert (live["isLive"], live["restartsAnyway"], live["conversations"]) == (True, False, 5)
    assert (old["isLive"], old["restartsAnyway"], old["conversations"]) == (False, True, 4)
    assert [
        (node["nodeId"], node["nodeType"], node["conversations"], node["fate"]) for node in live["nodes"]
    ] == [
        ("ask", "INPUT", 3, "CHANGED"),
        ("more", "MESSAGE", 2, "DISAPPEARS"),
    ]


def test_a_place_that_is_in_no_version_is_shown_as_it_is() -> None:
    made = plan(Now(None, 0, [Running("v1", 1, None, {"": 1, "ghost": 1}, first())]), first())
    assert [(node["nodeId"], node["label"], node["fate"]) for node in made["versions"][0]["nodes"]] == [
        ("", "", "DISAPPEARS"),
        ("ghost", "ghost", "DISAPPEARS"),
    ]
