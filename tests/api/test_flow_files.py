"""Flows as files: what is exported comes back to the byte, what is hostile is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.flow.files import FORMAT, BadFile, flow_file, read_flow_file
from tests.api.flow_setup import FlowPage, new_bot, new_flow, ok

if TYPE_CHECKING:
    from common.store.store import Store
    from tests.api.person import Answer, Person

EXAMPLES = sorted((Path(__file__).parents[2] / "docs/examples").glob("*.json"))
STRANGE = {
    "nodes": [
        {
            "nodeId": "a",
            "nodeType": "NOT_YET_KNOWN",
            "position": {"x": -0.5, "y": 1e300},
            "config": {
                "$where": "sleep(1000)",
                "$set": {"role": "ADMIN"},
                "a.b": 9007199254740993,
                "": [None, True, 1, 1.0, "ünï 😀 \u0000 \u2028 </script>"],
            },
        }
    ],
    "edges": [],
    "notes": {"zebra": 1, "apple": 2},
    "$where": "sleep(1000)",
    "$set": {"flowId": "x"},
    "a.b": [2**63 - 1, -5],
}


@pytest.fixture
def bot_id(store: Store, ann: Person) -> str:
    return new_bot(store, ann)


def imported(ann: Person, bot_id: str, file: Any, **more: Any) -> Answer:
    return ann.post(f"/api/bots/{bot_id}/flows/import", {"file": file, **more})


def file_of(flow: dict[str, Any]) -> dict[str, Any]:
    return {"format": FORMAT, "formatVersion": 1, "name": "x", "description": "", "flow": flow}


@pytest.mark.parametrize(
    "data",
    [*[json.loads(path.read_text()) for path in EXAMPLES], STRANGE],
    ids=lambda data: data.get("flowName", "?"),
)
def test_a_file_comes_back_to_the_byte(store: Store, ann: Person, bot_id: str, data: dict[str, Any]) -> None:
    flow = new_flow(store, ann, bot_id, "Ünï 😀", flowData=data, description="a\nb")
    first = ann.get(f"{flow.path}/export")
    other_bot = new_bot(store, ann, "Another")
    made = ok(imported(ann, other_bot, first.json), 201)
    second = ann.get(f"/api/bots/{other_bot}/flows/{made['id']}/export")
    assert second.text == first.text
    assert first.json["flow"] == {key: value for key, value in data.items() if key in first.json["flow"]}
    for mine in (flow.flow_id, bot_id, ann.user_id, ann.email):
        assert mine not in first.text


def test_draft_live_and_versions_are_exported(store: Store, ann: Person, bot_id: str) -> None:
    flow = new_flow(store, ann, bot_id)
    assert ann.get(f"{flow.path}/export", at="live").status == 404
    flow.put_live()
    version_id = ok(flow.save(flow.data("saved"), kind="MANUAL"))["versionId"]
    ok(flow.save(flow.data("draft")))
    texts = {at: ann.get(f"{flow.path}/export", at=at).text for at in ("live", version_id, "draft")}
    assert ["saved" in texts[at] for at in texts] == [False, True, False]
    assert '"draft"' in texts["draft"]
    actions = [each["action"] for each in store.database["audit_logs"].find()]
    assert actions.count("flow.exported") == 3


def test_an_import_has_a_free_name_and_no_history(store: Store, ann: Person, bot_id: str) -> None:
    flow = new_flow(store, ann, bot_id)
    file = ok(ann.get(f"{flow.path}/export"))
    names = [ok(imported(ann, bot_id, file), 201)["name"] for _ in range(3)]
    assert names == ["Welcome (2)", "Welcome (3)", "Welcome (4)"]
    assert ok(imported(ann, bot_id, file, name="Mine"), 201)["name"] == "Mine"
    assert imported(ann, bot_id, file, name="Mine").code == "already_exists"
    long = ok(imported(ann, bot_id, file | {"name": "x" * 120}), 201)["name"]
    assert ok(imported(ann, bot_id, file | {"name": "x" * 120}), 201)["name"] == long[:116] + " (2)"
    made = ok(imported(ann, bot_id, file), 201)
    assert (made["liveVersionId"], made["draftRevision"]) == (None, 1)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_plain_flow_json_is_imported_too(ann: Person, bot_id: str, path: Path) -> None:
    data = json.loads(path.read_text())
    made = ok(imported(ann, bot_id, data), 201)
    assert made["name"] == data["flowName"]
    assert made["id"] != data["flowId"]


@pytest.mark.parametrize(
    ("file", "field"),
    [
        (None, "file"),
        ([], "file"),
        ("{}", "file"),
        ({}, "file.format"),
        ({"format": "typebot", "formatVersion": 1}, "file.format"),
        ({"format": {"$ne": 1}}, "file.format"),
        (file_of({"nodes": []}) | {"formatVersion": 2}, "file.formatVersion"),
        (file_of({"nodes": []}) | {"formatVersion": True}, "file.formatVersion"),
        (file_of({"nodes": []}) | {"name": ["x"]}, "file.name"),
        (file_of({"nodes": []}) | {"name": "x" * 121}, "file.name"),
        (file_of({"nodes": []}) | {"description": None}, "file.description"),
        (file_of({"nodes": []}) | {"userId": "x"}, "file.userId"),
        ({key: value for key, value in file_of({}).items() if key != "flow"}, "file.flow"),
        (file_of([]), "file.flow"),  # type: ignore[arg-type]
        (file_of({"nodes": "all"}), "file.flow.nodes"),
        (file_of({"nodes": [{"nodeId": "a", "nodeType": "END"}] * 2}), "file.flow.nodes[1].nodeId"),
        (
            file_of({"nodes": [{"nodeId": f"n{n}", "nodeType": "END"} for n in range(1001)]}),
            "file.flow.nodes",
        ),
        (file_of({"nodes": [], "edges": [{}] * 3001}), "file.flow.edges"),
        (file_of(json.loads('{"nodes": [], "a": {"__proto__": {"x": 1}}}')), "file.flow.a.__proto__"),
        (
            file_of(
                {"nodes": [{"nodeId": "a", "nodeType": "END", "config": {"constructor": {"prototype": 1}}}]}
            ),
            "file.flow.nodes[0].config.constructor",
        ),
        (file_of({"nodes": [], "a": json.loads("[" * 40 + "]" * 40)}), "file.flow"),
        (file_of({"nodes": [], "a": "x" * 1_100_000}), "file.flow"),
        ({"nodes": [{"nodeId": 5}]}, "file.nodes[0].nodeId"),
        ({"nodes": [], "flowName": {"$gt": ""}}, "file.flowName"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_hostile_file_is_refused_with_its_place(
    store: Store, ann: Person, bot_id: str, file: Any, field: str
) -> None:
    answer = imported(ann, bot_id, file)
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert field in answer.fields
    assert store.database["flows"].count_documents({}) == 0


@pytest.mark.parametrize(
    "raw",
    [
        "[" * 100_000,
        '{"file": ' + '{"a":' * 90 + "1" + "}" * 91,
        '{"file": {"n": NaN}}',
        '{"file": "\\ud800"}',
    ],
)
def test_what_is_no_json_of_ours_is_refused(ann: Person, bot_id: str, raw: str) -> None:
    response = ann.app.test_client().post(
        f"/api/bots/{bot_id}/flows/import",
        data=raw,
        content_type="application/json",
        headers={"Authorization": f"Bearer {ann.token}"},
    )
    assert response.status_code == 400


def test_operators_in_a_file_are_data(store: Store, ann: Person, bot_id: str) -> None:
    made = ok(imported(ann, bot_id, file_of(STRANGE)), 201)
    flow = FlowPage(ann, store, bot_id, made["id"])
    assert flow.data()["nodes"] == STRANGE["nodes"]
    assert ok(ann.get(f"{flow.path}/search", q="sleep(1000)"))["items"][0]["path"] == "config.$where"
    assert ok(ann.get(f"{flow.path}/validation"))["isDeployable"] is False


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["nodes", "edges", "nodeId", "flow", "name", "x"]), inner, max_size=4
        )
    ),
    max_leaves=15,
)


@given(JSON)
def test_any_file_is_read_or_refused(value: Any) -> None:
    for file in (value, file_of(value), {"nodes": value, "edges": value}):
        try:
            read = read_flow_file(file)
        except BadFile:
            continue
        assert read_flow_file(flow_file(read.name, read.description, read.flow_data)) == read
