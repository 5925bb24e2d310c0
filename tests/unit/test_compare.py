"""Two versions of a flow side by side: what people see as changed is told, and nothing else."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.flow.compare import compare, is_same

EXAMPLES = sorted((Path(__file__).parents[2] / "docs/examples").glob("*.json"))
LISTS = (
    "nodesAdded", "nodesRemoved", "nodesChanged", "nodesMoved",
    "edgesAdded", "edgesRemoved", "settingsChanged", "variablesChanged",
)  # fmt: skip


def example() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(EXAMPLES[-1].read_text())
    return data


def node(data: dict[str, Any], node_id: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in data["nodes"] if each["nodeId"] == node_id)
    return found


def found(before: Any, after: Any) -> dict[str, Any]:
    """What is different, without what is not."""
    return {key: value for key, value in compare(before, after).items() if value and key != "isSame"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_flow_is_the_same_as_itself(path: Path) -> None:
    data = json.loads(path.read_text())
    assert compare(data, copy.deepcopy(data)) == {"isSame": True, **{name: [] for name in LISTS}}


def test_ids_names_and_the_order_of_nodes_and_edges_say_nothing() -> None:
    data = example()
    other = {**data, "flowId": "x", "flowName": "y", "botId": "z", "version": 9, "isProduction": True}
    other["nodes"] = data["nodes"][::-1]
    other["edges"] = [{**edge, "edgeId": f"other{n}"} for n, edge in enumerate(data["edges"][::-1])]
    other["variables"] = {key: names[::-1] for key, names in data["variables"].items()}
    assert compare(data, other)["isSame"]


def test_a_text_is_one_change_with_its_path() -> None:
    before, after = example(), example()
    node(after, "btn_menu")["config"]["buttons"][1]["label"] = "Price list"
    assert found(before, after) == {
        "nodesChanged": [
            {
                "nodeId": "btn_menu",
                "label": "Menu",
                "nodeType": "BUTTON",
                "path": "config.buttons[1].label",
                "before": "Prices",
                "after": "Price list",
            }
        ]
    }


def test_a_node_that_moved_only_moved() -> None:
    before, after = example(), example()
    was = dict(node(after, "btn_menu")["position"])
    node(after, "btn_menu")["position"] = {"x": 1, "y": 2}
    assert found(before, after) == {
        "nodesMoved": [
            {
                "nodeId": "btn_menu",
                "label": "Menu",
                "nodeType": "BUTTON",
                "before": was,
                "after": {"x": 1, "y": 2},
            }
        ]
    }


def test_a_button_in_front_is_one_more_and_not_three_others() -> None:
    before, after = example(), example()
    buttons = node(after, "btn_menu")["config"]["buttons"]
    new = {"buttonId": "btn_new", "label": "New"}
    buttons.insert(0, new)
    del buttons[2]  # "Prices"
    changes = found(before, after)["nodesChanged"]
    assert [(change["path"], change["before"], change["after"]) for change in changes] == [
        ("config.buttons[1]", {"buttonId": "btn_prices", "label": "Prices", "storeIn": "topic"}, None),
        ("config.buttons[0]", None, new),
    ]


def test_another_order_of_buttons_is_told_as_that() -> None:
    before, after = example(), example()
    node(after, "btn_menu")["config"]["buttons"].reverse()
    (change,) = found(before, after)["nodesChanged"]
    assert change["path"] == "config.buttons"
    assert change["before"] == ["btn_hours", "btn_prices", "btn_human"] == change["after"][::-1]


def test_rows_without_ids_are_compared_place_by_place() -> None:
    def api(headers: list[dict[str, str]]) -> dict[str, Any]:
        return {"nodes": [{"nodeId": "a", "nodeType": "API", "config": {"headers": headers}}]}

    before = api([{"key": "A", "value": "1"}, {"key": "B", "value": "2"}])
    after = api([{"key": "A", "value": "9"}])
    changes = found(before, after)["nodesChanged"]
    assert [(change["path"], change["before"], change["after"]) for change in changes] == [
        ("config.headers[0].value", "1", "9"),
        ("config.headers[1]", {"key": "B", "value": "2"}, None),
    ]


def test_nodes_and_connections_come_and_go() -> None:
    before, after = example(), example()
    gone = after["nodes"].pop()
    after["nodes"].append({"nodeId": "extra", "nodeType": "END", "config": {}})
    edge = after["edges"].pop()
    after["edges"].append({"edgeId": "e", "sourceNodeId": "btn_menu", "targetNodeId": "extra"})
    changes = found(before, after)
    assert changes["nodesAdded"] == [{"nodeId": "extra", "label": "extra", "nodeType": "END"}]
    assert [each["nodeId"] for each in changes["nodesRemoved"]] == [gone["nodeId"]]
    assert changes["edgesAdded"] == [
        {
            "sourceNodeId": "btn_menu",
            "sourceHandle": "output",
            "targetNodeId": "extra",
            "targetHandle": "input",
        }
    ]
    assert changes["edgesRemoved"] == [{key: value for key, value in edge.items() if key != "edgeId"}]


def test_settings_and_variables_are_told_by_name() -> None:
    before, after = example(), example()
    after["settings"]["restartPolicy"] = "RESUME_LAST_NODE"
    after["variables"]["bot"][1]["value"] = "never"
    after["variables"]["session"] = ["topic", {"name": "age", "type": "NUMBER"}]
    assert found(before, after) == {
        "settingsChanged": [
            {"path": "settings.restartPolicy", "before": "RESTART", "after": "RESUME_LAST_NODE"}
        ],
        "variablesChanged": [
            {
                "path": "bot.openingHours.value",
                "before": "Monday to Saturday, 7:00 to 18:00",
                "after": "never",
            },
            {"path": "session.age", "before": None, "after": {"name": "age", "type": "NUMBER"}},
            {"path": "session.customerTier", "before": {"name": "customerTier"}, "after": None},
        ],
    }


def test_a_changed_type_of_node_and_of_value_is_seen() -> None:
    before = {"nodes": [{"nodeId": "a", "nodeType": "MESSAGE", "config": {"n": 1, "m": None}}]}
    after = {"nodes": [{"nodeId": "a", "nodeType": "END", "config": {"n": True}}]}
    changes = found(before, after)["nodesChanged"]
    assert [(change["path"], change["before"], change["after"]) for change in changes] == [
        ("nodeType", "MESSAGE", "END"),
        ("config.n", 1, True),
    ]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
NODES: Any = st.lists(
    st.fixed_dictionaries(
        {"nodeId": st.sampled_from("abcde"), "nodeType": st.sampled_from(["MESSAGE", "END"])},
        optional={"position": JSON, "config": st.dictionaries(st.sampled_from(["label", "rows"]), JSON)},
    ),
    max_size=5,
    unique_by=lambda each: str(each["nodeId"]),
)
EDGES = st.lists(
    st.fixed_dictionaries(
        {"sourceNodeId": st.sampled_from("abc"), "targetNodeId": st.sampled_from("abc")},
        optional={"sourceHandle": st.sampled_from(["output", "success"]), "edgeId": st.text(max_size=3)},
    ),
    max_size=5,
)
FLOWS = st.fixed_dictionaries(
    {"nodes": NODES, "edges": EDGES}, optional={"settings": JSON, "variables": JSON, "viewport": JSON}
)


@given(FLOWS)
def test_any_flow_is_the_same_as_itself(data: dict[str, Any]) -> None:
    assert compare(data, copy.deepcopy(data))["isSame"]


@given(FLOWS, FLOWS)
def test_going_back_is_the_same_the_other_way_round(before: dict[str, Any], after: dict[str, Any]) -> None:
    there, back = compare(before, after), compare(after, before)
    assert there["isSame"] == back["isSame"]
    for one, other in (("nodesAdded", "nodesRemoved"), ("edgesAdded", "edgesRemoved")):
        assert sorted(map(str, there[one])) == sorted(map(str, back[other]))
    for name in ("settingsChanged", "variablesChanged"):
        assert len(there[name]) == len(back[name])
        # a path says where it stands afterwards, so only the values can be held against each other
        turned = [{"before": each["after"], "after": each["before"]} for each in back[name]]
        assert sorted(map(str, turned)) == sorted(
            str({"before": each["before"], "after": each["after"]}) for each in there[name]
        )


@given(FLOWS, FLOWS)
def test_nothing_is_overlooked_and_nothing_invented(before: dict[str, Any], after: dict[str, Any]) -> None:
    """The sum of what is told is the whole difference: per node, and for the rest."""
    told = compare(before, after)
    old, new = ({each["nodeId"]: each for each in data["nodes"]} for data in (before, after))
    assert {each["nodeId"] for each in told["nodesAdded"]} == new.keys() - old.keys()
    assert {each["nodeId"] for each in told["nodesRemoved"]} == old.keys() - new.keys()
    both = old.keys() & new.keys()
    differing = {node_id for node_id in both if not is_same(old[node_id], new[node_id])}
    assert {each["nodeId"] for each in told["nodesChanged"] + told["nodesMoved"]} == differing
    for change in told["nodesChanged"] + told["settingsChanged"] + told["variablesChanged"]:
        assert not is_same(change["before"], change["after"])


@given(JSON, JSON)
def test_anything_at_all_can_be_compared(one: Any, other: Any) -> None:
    before = {"nodes": one, "edges": other, "variables": one, "settings": other}
    after = {"nodes": other, "edges": one, "variables": other}
    compare(before, after)
    assert compare(before, before)["isSame"]
