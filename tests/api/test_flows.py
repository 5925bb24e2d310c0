"""Flows: made, listed, renamed, copied, deleted, and never anybody else's."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from common.model.jobs import JobKind
from tests.api.flow_setup import FlowPage, look, new_bot, new_flow, ok, open_session

if TYPE_CHECKING:
    from common.store.store import Store
    from tests.api.person import Person


@pytest.fixture
def bot_id(store: Store, ann: Person) -> str:
    return new_bot(store, ann)


@pytest.fixture
def flow(store: Store, ann: Person, bot_id: str) -> FlowPage:
    return new_flow(store, ann, bot_id)


def flows(bot_id: str) -> str:
    return f"/api/bots/{bot_id}/flows"


def names(person: Person, bot_id: str, **query: Any) -> list[str]:
    return [each["name"] for each in ok(person.get(flows(bot_id), **query))["items"]]


# Making them


def test_a_new_flow_has_a_start_and_no_history(ann: Person, bot_id: str) -> None:
    made = ok(ann.post(flows(bot_id), {"name": "  Welcome ", "description": "Greets."}), 201)
    assert made | {"id": "", "createdAt": "", "updatedAt": ""} == {
        "id": "", "botId": bot_id, "name": "Welcome", "description": "Greets.", "revision": 1, "draftRevision": 1,
        "nodeCount": 1, "isDefault": False, "liveVersionId": None, "liveVersionNumber": None, "deployedAt": None,
        "hasUnpublishedChanges": True, "createdAt": "", "updatedAt": "",
    }  # fmt: skip
    path = f"{flows(bot_id)}/{made['id']}"
    assert ok(ann.get(path)) == made
    assert ok(ann.get(f"{path}/versions"))["items"] == []
    draft = ok(ann.get(f"{path}/draft"))
    assert [node["nodeType"] for node in draft["flowData"]["nodes"]] == ["START"]
    assert draft["flowData"]["flowId"] == made["id"]
    assert draft["savedBy"] == ann.email


def test_it_can_begin_as_an_example_or_with_flow_data(ann: Person, bot_id: str) -> None:
    examples = ok(ann.get("/api/flow-examples"))["items"]
    assert [each["example"] for each in examples] == ["ai-support", "lead-capture", "welcome-menu"]
    for each in examples:
        made = ok(ann.post(flows(bot_id), {"name": each["name"], "example": each["example"]}), 201)
        assert made["nodeCount"] == each["nodeCount"] > 3
    data = {"nodes": [{"nodeId": "a", "nodeType": "END"}], "edges": []}
    made = ok(ann.post(flows(bot_id), {"name": "mine", "flowData": data}), 201)
    assert made["nodeCount"] == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": "   "}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": {"$gt": ""}}, "name"),
        ({"name": "a", "userId": "x"}, "userId"),
        ({"name": "a", "description": "x" * 2001}, "description"),
        ({"name": "a", "example": "nope"}, "example"),
        ({"name": "a", "example": "../../etc/passwd"}, "example"),
        ({"name": "a", "example": "welcome-menu", "flowData": {"nodes": []}}, "example"),
        ({"name": "a", "flowData": {"nodes": 5}}, "flowData.nodes"),
        ({"name": "a", "flowData": []}, "flowData"),
    ],
    ids=str,
)
def test_a_bad_body_makes_none(ann: Person, bot_id: str, body: dict[str, Any], field: str) -> None:
    answer = ann.post(flows(bot_id), body)
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert field in answer.fields
    assert names(ann, bot_id) == []


def test_names_are_taken_within_a_bot_only(store: Store, ann: Person, bot_id: str) -> None:
    ok(ann.post(flows(bot_id), {"name": "Welcome"}), 201)
    answer = ann.post(flows(bot_id), {"name": "Welcome"})
    assert (answer.status, answer.code) == (409, "already_exists")
    ok(ann.post(flows(new_bot(store, ann, "Other")), {"name": "Welcome"}), 201)


def test_one_key_makes_one_flow_and_ten_at_once_of_one_name_too(ann: Person, bot_id: str) -> None:
    body, key = {"name": "Once"}, "key-of-this-very-request"
    first, second = (ann.post(flows(bot_id), body, Idempotency_Key=key) for _ in range(2))
    assert first.status == second.status == 201
    assert first.json == second.json
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: ann.post(flows(bot_id), {"name": "Race"}), range(10)))
    assert sorted(answer.status for answer in answers) == [201] + [409] * 9
    assert sorted(names(ann, bot_id)) == ["Once", "Race"]


# Listing them


def test_flows_are_sorted_paged_and_found_by_name(ann: Person, bot_id: str) -> None:
    for name in ("banana", "Apple", "cherry", "Äpfel", "50% (new)"):
        ok(ann.post(flows(bot_id), {"name": name}), 201)
    assert names(ann, bot_id, sort="name") == ["50% (new)", "Apple", "banana", "cherry", "Äpfel"]
    assert names(ann, bot_id, sort="-createdAt")[0] == "50% (new)"
    assert names(ann, bot_id, sort="createdAt")[0] == "banana"
    for text, found in (
        ("PP", ["Apple"]),
        ("äPF", ["Äpfel"]),
        ("% (", ["50% (new)"]),
        (".*", []),
        ("$name", []),
    ):
        assert names(ann, bot_id, name=text) == found, text
    for sort in ("name", "-name", "updatedAt", "-updatedAt", "createdAt"):
        paged: list[str] = []
        cursor: str | None = None
        while True:
            page = ok(ann.get(flows(bot_id), sort=sort, limit=2, **({"cursor": cursor} if cursor else {})))
            paged += [each["name"] for each in page["items"]]
            cursor = page["nextCursor"]
            if cursor is None:
                break
        assert paged == names(ann, bot_id, sort=sort)
    assert ann.get(flows(bot_id), sort="flowData").status == 422
    assert ann.get(flows(bot_id), cursor="eyJ4IjoxfQ").status == 422


def test_the_flow_that_was_touched_last_comes_first(store: Store, ann: Person, bot_id: str) -> None:
    first = new_flow(store, ann, bot_id, "first")
    new_flow(store, ann, bot_id, "second")
    assert names(ann, bot_id) == ["second", "first"]
    ok(first.save(first.data("changed")))
    assert names(ann, bot_id) == ["first", "second"]


def test_a_flow_says_what_is_live_and_whether_the_draft_says_something_else(
    store: Store, flow: FlowPage
) -> None:
    assert flow.show()["hasUnpublishedChanges"] is True
    version_id = flow.put_live()
    store.bots.set_active_flow(flow.bot_id, flow.flow_id)
    shown = flow.show()
    assert (shown["liveVersionId"], shown["liveVersionNumber"]) == (version_id, 1)
    assert shown["isDefault"] is True
    assert shown["deployedAt"] is not None
    assert shown["hasUnpublishedChanges"] is False
    before = flow.data()
    ok(flow.save(flow.data("something else")))
    assert flow.show()["hasUnpublishedChanges"] is True
    ok(flow.save(before))
    assert flow.show()["hasUnpublishedChanges"] is False
    assert names(flow.person, flow.bot_id) == ["Welcome"]


# Renaming them


def test_rename_and_describe(flow: FlowPage) -> None:
    ann = flow.person
    changed = ok(ann.patch(flow.path, {"revision": 1, "name": "Hello"}))
    assert (changed["name"], changed["description"], changed["revision"]) == ("Hello", "", 2)
    changed = ok(ann.patch(flow.path, {"revision": 2, "description": "Says hello."}))
    assert (changed["name"], changed["description"], changed["revision"]) == ("Hello", "Says hello.", 3)
    assert flow.data()["flowName"] == "Hello"
    assert flow.draft()["revision"] == 1
    stale = ann.patch(flow.path, {"revision": 2, "name": "Late"})
    assert (stale.status, stale.code) == (409, "revision_conflict")
    assert stale.fields["revision"] == 3
    assert stale.fields["savedBy"] == ann.email
    assert flow.show()["name"] == "Hello"


def test_a_taken_name_changes_nothing(store: Store, flow: FlowPage) -> None:
    new_flow(store, flow.person, flow.bot_id, "Taken")
    answer = flow.person.patch(flow.path, {"revision": 1, "name": "Taken", "description": "x"})
    assert (answer.status, answer.code) == (409, "already_exists")
    assert flow.show()["description"] == ""
    assert flow.data()["flowName"] == "Welcome"


# Copying them


def test_a_copy_has_the_draft_but_neither_triggers_nor_history(store: Store, flow: FlowPage) -> None:
    ok(flow.save(flow.data("new text"), kind="MANUAL"))
    flow.put_live()
    settings = {"restartPolicy": "RESUME_LAST_NODE", "fallbackFlowId": None}
    triggers = [{"text": "hi", "match": "EXACT"}]
    store.database["flows"].update_one(
        {"_id": flow.flow_id}, {"$set": {"settings": settings, "triggers": triggers}}
    )
    made = ok(flow.person.post(f"{flow.path}/duplicate", {}), 201)
    assert made["name"] == "Welcome (2)"
    assert made["liveVersionId"] is None
    copy = FlowPage(flow.person, store, flow.bot_id, made["id"])
    assert copy.data()["nodes"] == flow.data()["nodes"]
    assert copy.data()["flowId"] == copy.flow_id
    assert copy.versions() == []
    stored = store.flows.find(flow.bot_id, copy.flow_id)
    assert stored is not None
    assert (stored["settings"], stored["triggers"]) == (settings, [])
    assert ok(flow.person.post(f"{flow.path}/duplicate", {}), 201)["name"] == "Welcome (3)"
    assert flow.person.post(f"{flow.path}/duplicate", {"name": "Welcome"}).code == "already_exists"


# Deleting them


def test_a_deleted_flow_is_gone_with_all_that_nobody_needs(store: Store, flow: FlowPage) -> None:
    ann = flow.person
    ok(flow.save(flow.data("x"), kind="MANUAL"))
    new_flow(store, ann, flow.bot_id, "The default one").put_live()
    live = flow.put_live()
    assert ann.delete(flow.path).status == 204
    for path in ("", "/draft", "/versions", f"/versions/{live}", "/export", "/validation", "/search?q=x"):
        assert look(ann, flow.path + path).status == 404, path
    assert names(ann, flow.bot_id) == ["The default one"]
    assert store.flows.draft(flow.bot_id, flow.flow_id) is None
    left = list(store.database["flow_versions"].find({"flowId": flow.flow_id}))
    assert [(version["_id"], version["isProduction"]) for version in left] == [(live, False)]
    assert store.bots.version(live) is not None, "a conversation that runs on it can go on"
    assert ann.delete(flow.path).status == 404
    assert flow.save({"nodes": []}, 2).status == 404
    new_flow(store, ann, flow.bot_id)  # its name is free again


def test_the_default_flow_is_not_deleted_by_accident(store: Store, flow: FlowPage) -> None:
    flow.put_live()
    store.bots.set_active_flow(flow.bot_id, flow.flow_id)
    revision = store.bots.revisions([flow.bot_id])[flow.bot_id]
    answer = flow.person.delete(flow.path)
    assert (answer.status, answer.code) == (409, "flow_in_use")
    assert answer.fields == {"isDefault": True, "fallbackOf": []}
    assert flow.show()["liveVersionNumber"] == 1
    assert store.bots.revisions([flow.bot_id])[flow.bot_id] == revision
    assert flow.person.request("DELETE", flow.path, query={"force": "true"}).status == 204
    bot = store.bots.load(flow.bot_id)
    assert bot is not None
    assert (bot.active_flow_id, bot.flows) == (None, ())
    assert bot.revision > revision, "workers look again"


def test_a_flow_that_others_hand_over_to_is_not_deleted_by_accident(store: Store, flow: FlowPage) -> None:
    other = new_flow(store, flow.person, flow.bot_id, "Evening")
    settings = {"restartPolicy": "FALLBACK_FLOW", "fallbackFlowId": flow.flow_id}
    store.database["flows"].update_one({"_id": other.flow_id}, {"$set": {"settings": settings}})
    answer = flow.person.delete(flow.path)
    assert (answer.status, answer.fields) == (409, {"isDefault": False, "fallbackOf": ["Evening"]})
    assert flow.person.request("DELETE", flow.path, query={"force": "true"}).status == 204


def test_its_conversations_are_closed_and_nobody_elses(store: Store, flow: FlowPage) -> None:
    other = new_flow(store, flow.person, flow.bot_id, "Other")
    mine = [
        open_session(store, flow.bot_id, flow.flow_id, status) for status in ("ACTIVE", "PAUSED", "COMPLETED")
    ]
    mine.append(open_session(store, flow.bot_id, flow.flow_id, isTest=True, channel="SIMULATOR"))
    open_session(store, flow.bot_id, flow.flow_id, "CLOSED")
    open_session(store, flow.bot_id, other.flow_id)
    assert flow.person.delete(flow.path).status == 204
    jobs = list(store.database["jobs"].find({"kind": JobKind.CONTROL.value}))
    payloads = [json.loads(job["payload"]) for job in jobs]
    assert {payload["action"] for payload in payloads} == {"CLOSE"}
    assert sorted(payload["arguments"]["sessionId"] for payload in payloads) == sorted(mine)
    assert {job["botId"] for job in jobs} == {flow.bot_id}
    lanes = {job["lane"] for job in jobs}
    woken = store.database["lanes"].find({"_id": {"$in": list(lanes)}, "dueAt": {"$exists": True}})
    assert {lane["_id"] for lane in woken} == lanes
    (entry,) = store.database["audit_logs"].find({"action": "flow.deleted"})
    assert entry["detail"] == {"name": "Welcome", "wasLive": False}


def test_a_deletion_that_broke_off_is_finished_by_the_next_one(
    store: Store, flow: FlowPage, bob: Person
) -> None:
    session_id = open_session(store, flow.bot_id, flow.flow_id)
    ok(flow.save(flow.data("x"), kind="MANUAL"))
    store.flows.delete(flow.bot_id, flow.flow_id)
    others = f"/api/bots/{new_bot(store, bob)}/flows/{flow.flow_id}"
    assert bob.delete(others).status == 404
    assert store.database["jobs"].count_documents({}) == 0
    assert store.database["flow_versions"].count_documents({"flowId": flow.flow_id}) == 1
    assert flow.person.delete(flow.path).status == 204
    assert store.database["jobs"].count_documents({"kind": "CONTROL"}) == 1
    assert store.database["flow_versions"].count_documents({"flowId": flow.flow_id}) == 0
    store.database["sessions"].update_one(
        {"_id": session_id}, {"$set": {"isOpen": False, "status": "CLOSED"}}
    )
    assert flow.person.delete(flow.path).status == 404


# Whose they are


def test_nobody_else_sees_or_changes_them(
    store: Store, flow: FlowPage, bob: Person, admin: Person, nobody: Person
) -> None:
    ok(flow.save(flow.data("x"), kind="MANUAL"))
    (version,) = flow.versions()
    bobs = new_bot(store, bob)
    reads = [
        "", "/draft", "/versions", f"/versions/{version['id']}", "/compare?from=draft&to=draft",
        "/search?q=a", "/export", "/validation",
    ]  # fmt: skip
    writes = [
        ("PATCH", "", {"revision": 1, "name": "z"}),
        ("DELETE", "", None),
        ("POST", "/duplicate", {}),
        ("PUT", "/draft", {"flowData": {"nodes": []}, "revision": 2}),
        ("PATCH", f"/versions/{version['id']}", {"note": "z"}),
        ("POST", f"/versions/{version['id']}/restore", {"revision": 2}),
        ("POST", "/validate", {}),
    ]
    through_his_bot = f"/api/bots/{bobs}/flows/{flow.flow_id}"
    for base, who, read, write in (
        (flow.path, bob, 404, 404),
        (through_his_bot, bob, 404, 404),
        (flow.path, admin, 200, 403),
        (flow.path, nobody, 401, 401),
    ):
        for path in reads:
            assert look(who, base + path).status == read, (base, path)
        for method, path, body in writes:
            assert who.request(method, base + path, body).status == write, (base, method, path)
    assert flow.show()["name"] == "Welcome"
    assert flow.draft()["revision"] == 2
    assert bob.get(flows(flow.bot_id)).status == 404
    assert bob.get(f"/api/bots/{flow.bot_id}/search", q="a").status == 404
    assert ok(bob.get(flows(bobs)))["items"] == []


def test_another_flows_version_is_not_found(store: Store, flow: FlowPage) -> None:
    other = new_flow(store, flow.person, flow.bot_id, "Other")
    ok(other.save(other.data("x"), kind="MANUAL"))
    (version,) = other.versions()
    for path in (f"/versions/{version['id']}", f"/compare?from=draft&to={version['id']}"):
        assert look(flow.person, flow.path + path).status == 404
    restore = f"{flow.path}/versions/{version['id']}/restore"
    assert flow.person.post(restore, {"revision": 1}).status == 404


# What flows are made of


def test_node_types_say_how_to_draw_them(ann: Person, nobody: Person) -> None:
    answer = ok(ann.get("/api/node-types"))
    kinds = {each["kind"]: each for each in answer["items"]}
    assert {"START", "MESSAGE", "BUTTON", "INPUT", "CONDITION", "DELAY", "API", "AI", "LOOP", "END"} <= set(
        kinds
    )
    assert [field["name"] for field in kinds["MESSAGE"]["fields"]][-1] == "nextNodeId"
    assert answer["models"] == ["gpt-4", "gpt-4-turbo", "gpt-3.5-turbo"]
    assert nobody.get("/api/node-types").status == 401
