"""Drafts: saved by revision, by many at once, and never lost."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from common.flow.shape import MOST_BYTES
from common.store.flow_drafts import NoSuchFlow, StaleRevision
from tests.api.flow_setup import FlowPage, new_bot, new_flow, ok, with_message

if TYPE_CHECKING:
    from common.store.store import Store
    from tests.api.person import Answer, Person


@pytest.fixture
def flow(store: Store, ann: Person) -> FlowPage:
    return new_flow(store, ann, new_bot(store, ann))


def node(number: int) -> dict[str, Any]:
    return {"nodeId": f"extra_{number}", "nodeType": "END", "position": {"x": number, "y": 0}, "config": {}}


def test_a_draft_comes_back_as_it_was_saved(flow: FlowPage) -> None:
    data = flow.data() | {
        "groups": [{"any": "thing", "n": 1, "f": 1.5, "big": 2**53, "no": None}],
        "viewport": {"zoom": 1.0},
    }
    data["nodes"].append(node(1) | {"config": {"$where": "1", "a.b": {"$gt": ""}, "": "ünï 😀 \u0000"}})
    saved = ok(flow.save(data))
    assert (saved["revision"], saved["hasChanged"], saved["versionId"]) == (2, True, None)
    assert (saved["savedBy"], saved["nodeCount"]) == (flow.person.email, len(data["nodes"]))
    assert json.dumps(flow.data()) == json.dumps(data), "also in the order of its keys"


def test_whose_flow_it_is_cannot_be_written_into_it(flow: FlowPage) -> None:
    mine = flow.data()
    ok(flow.save({**mine, "flowId": "other", "botId": "other", "flowName": "x", "version": 7, "edges": []}))
    data = flow.data()
    assert (data["flowId"], data["botId"], data["flowName"]) == (flow.flow_id, flow.bot_id, "Welcome")
    assert "version" not in data


def test_saving_what_is_saved_changes_nothing(store: Store, flow: FlowPage) -> None:
    before = store.flows.draft(flow.bot_id, flow.flow_id), flow.show()
    for revision in (1, 0, 99):  # perhaps an answer was lost: it is saved, and that is what was asked for
        saved = ok(flow.save(flow.data(), revision))
        assert (saved["revision"], saved["hasChanged"]) == (1, False)
    turned = dict(reversed(flow.data().items()))
    assert ok(flow.save(turned, 1))["hasChanged"] is False
    assert (store.flows.draft(flow.bot_id, flow.flow_id), flow.show()) == before
    assert ok(flow.save(flow.data() | {"flag": 1}))["revision"] == 2
    assert ok(flow.save(flow.data() | {"flag": True}))["revision"] == 3, "1 is not true"
    assert flow.data()["flag"] is True


def test_a_stale_save_is_refused_with_who_and_when(flow: FlowPage) -> None:
    ok(flow.save(flow.data("mine")))
    draft = flow.draft()
    for revision in (1, 3, 0, -1):
        late = flow.save(flow.data("late"), revision)
        assert (late.status, late.code) == (409, "revision_conflict")
        assert late.fields == {"revision": 2, "savedBy": flow.person.email, "savedAt": draft["savedAt"]}
    assert flow.draft() == draft


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"flowData": None}, "flowData"),
        ({"flowData": []}, "flowData"),
        ({"flowData": {"nodes": [{"nodeId": {"$gt": ""}, "nodeType": "END"}]}}, "flowData.nodes[0].nodeId"),
        ({"flowData": {"nodes": [node(1), node(1)]}}, "flowData.nodes[1].nodeId"),
        ({"flowData": {"nodes": [node(n) for n in range(1001)]}}, "flowData.nodes"),
        ({"flowData": {"nodes": [], "x": {"__proto__": {}}}}, "flowData.x.__proto__"),
        ({"revision": None}, "revision"),
        ({"revision": "1"}, "revision"),
        ({"revision": 1.5}, "revision"),
        ({"revision": {"$gt": 0}}, "revision"),
        ({"kind": "SOMETIMES"}, "kind"),
        ({"note": "x" * 501}, "note"),
        ({"savedBy": "somebody else"}, "savedBy"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_bad_save_changes_nothing(flow: FlowPage, change: dict[str, Any], field: str) -> None:
    body = {"flowData": {"nodes": []}, "revision": 1, **change}
    answer = flow.person.put(f"{flow.path}/draft", body)
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert field in answer.fields
    assert flow.draft()["revision"] == 1


def test_a_large_flow_can_be_saved_and_a_huge_one_not(flow: FlowPage) -> None:
    nodes = [node(n) | {"config": {"messageContent": "ü" * 300}} for n in range(1000)]
    edges = [{"sourceNodeId": f"extra_{n % 1000}", "targetNodeId": "extra_0"} for n in range(3000)]
    ok(flow.save({"nodes": nodes, "edges": edges}))
    assert len(flow.data()["nodes"]) == 1000
    huge = flow.save({"nodes": [node(1) | {"config": {"messageContent": "x" * MOST_BYTES}}]})
    assert huge.status == 422
    assert "too large" in huge.fields["flowData"][0]
    assert flow.save({"nodes": [], "x": "x" * 4 * MOST_BYTES}).status == 413
    assert flow.draft()["revision"] == 2


# The history


def test_auto_saves_leave_no_history_for_ten_minutes(flow: FlowPage) -> None:
    for text in "abc":
        ok(flow.save(flow.data(text)))
    assert flow.versions() == []


def test_a_manual_save_is_an_entry_once(flow: FlowPage) -> None:
    saved = ok(flow.save(flow.data("a"), kind="MANUAL", note="before Christmas"))
    (version,) = flow.versions()
    assert saved["versionId"] == version["id"]
    assert version["note"] == "before Christmas"
    assert (version["versionNumber"], version["revision"], version["createdBy"]) == (1, 2, flow.person.email)
    assert (version["isDraft"], version["isProduction"], version["deployedAt"]) == (True, False, None)
    assert version["nodeCount"] == len(flow.data()["nodes"])
    assert ok(flow.save(flow.data(), kind="MANUAL"))["versionId"] is None
    assert len(flow.versions()) == 1
    assert ok(flow.save(flow.data(), kind="MANUAL", note="named"))["versionId"] is not None, "a note is kept"


def test_what_was_saved_by_itself_gets_its_entry_when_it_is_saved_by_hand(flow: FlowPage) -> None:
    ok(flow.save(flow.data("a")))
    saved = ok(flow.save(flow.data(), kind="MANUAL"))
    assert (saved["revision"], saved["hasChanged"]) == (2, False)
    assert [version["id"] for version in flow.versions()] == [saved["versionId"]]


def test_the_first_edit_after_ten_minutes_is_an_entry_and_loses_nothing(store: Store, flow: FlowPage) -> None:
    ok(flow.save(flow.data("yesterday's last words")))
    flow.grow_older()
    ok(flow.save(flow.data("good morning")))
    ok(flow.save(flow.data("and on")))
    newest, before = flow.versions()
    assert (newest["revision"], before["revision"]) == (3, 2)
    assert (newest["versionNumber"], before["versionNumber"]) == (2, 1)
    assert before["createdAt"] < newest["createdAt"], "it was saved back then"
    texts = [
        json.dumps(ok(flow.person.get(f"{flow.path}/versions/{version['id']}"))["flowData"])
        for version in (newest, before)
    ]
    assert ["good morning" in texts[0], "yesterday's last words" in texts[1]] == [True, True]
    del store


def test_what_stood_is_not_kept_twice(flow: FlowPage) -> None:
    ok(flow.save(flow.data("a"), kind="MANUAL"))
    flow.grow_older()
    ok(flow.save(flow.data("b")))
    assert [version["revision"] for version in flow.versions()] == [3, 2]


def test_working_on_for_an_hour_leaves_an_entry_every_ten_minutes(flow: FlowPage) -> None:
    for minute in range(60):
        flow.grow_older(timedelta(minutes=1))
        ok(flow.save(flow.data(f"minute {minute}")))
    assert len(flow.versions()) == 6


def test_unchanged_saves_never_become_history(flow: FlowPage) -> None:
    flow.grow_older()
    assert ok(flow.save(flow.data()))["hasChanged"] is False
    assert flow.versions() == []


# Many at once


def at_once(count: int, act: Any) -> list[Answer]:
    """What each of them was answered; they all start together."""
    barrier = threading.Barrier(count)

    def one(number: int) -> Answer:
        barrier.wait(20)
        answer: Answer = act(number)
        return answer

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def test_of_two_who_save_at_once_exactly_one_wins(flow: FlowPage) -> None:
    for revision in range(1, 6):
        data = flow.data()
        bodies = [with_message(data, f"{revision} by {who}") for who in ("one", "other")]
        answers = at_once(2, lambda n, bodies=bodies, revision=revision: flow.save(bodies[n], revision))
        assert sorted(answer.status for answer in answers) == [200, 409]
        won = next(n for n, answer in enumerate(answers) if answer.status == 200)
        assert flow.draft()["revision"] == revision + 1
        assert f"{revision} by {('one', 'other')[won]}" in json.dumps(flow.data())
        assert answers[1 - won].fields["revision"] == revision + 1


def test_twenty_who_save_at_once_lose_nothing(store: Store, flow: FlowPage) -> None:
    """Each adds a node; whoever is refused loads again and adds it again."""
    revisions: list[int] = []

    def add(number: int) -> Answer:
        while True:
            draft = flow.draft()
            data = draft["flowData"]
            data["nodes"].append(node(number))
            kind = "MANUAL" if number % 2 else "AUTO"
            answer = flow.save(data, draft["revision"], kind=kind)
            if answer.status != 409:
                revisions.append(answer.json["revision"])
                return answer

    before = len(flow.data()["nodes"])
    answers = at_once(20, add)
    assert {answer.status for answer in answers} == {200}
    assert sorted(revisions) == list(range(2, 22)), "each save has a revision of its own"
    ids = {each["nodeId"] for each in flow.data()["nodes"]}
    assert {f"extra_{n}" for n in range(20)} < ids
    assert len(ids) == before + 20
    numbers = [version["versionNumber"] for version in flow.versions()]
    assert numbers == list(range(10, 0, -1)), "each entry has a number of its own"
    stored = store.flows.find(flow.bot_id, flow.flow_id)
    assert stored is not None
    assert stored["draft"]["revision"] == 21


def test_a_save_and_a_deploy_at_once_both_get_their_number(flow: FlowPage) -> None:
    data = flow.data()

    def act(number: int) -> Answer:
        if number % 2:
            flow.put_live(with_message(data, f"live {number}"))
            return flow.person.get(flow.path)
        while True:
            answer = flow.save(with_message(data, f"saved {number}"), kind="MANUAL")
            if answer.status != 409:
                return answer

    answers = at_once(2, act)
    assert {answer.status for answer in answers} == {200}
    assert [version["versionNumber"] for version in flow.versions()] == [2, 1]


def test_a_save_never_brings_a_deleted_flow_back(store: Store, flow: FlowPage) -> None:
    for turn in range(5):
        victim = new_flow(store, flow.person, flow.bot_id, f"victim {turn}")
        data = victim.data("late")

        def act(number: int, victim: FlowPage = victim, data: Any = data) -> Answer:
            return victim.person.delete(victim.path) if number else victim.save(data, 1)

        saved, deleted = at_once(2, act)
        assert deleted.status == 204
        assert saved.status in {200, 404}
        for name in ("flows", "flow_drafts"):
            assert store.database[name].find_one({"_id": victim.flow_id}) is None
        assert store.database["flow_versions"].find_one({"flowId": victim.flow_id}) is None


def test_the_same_save_sent_twice_is_one(flow: FlowPage) -> None:
    body = {"flowData": flow.data("once"), "revision": 1, "kind": "MANUAL", "note": "n"}
    first, second = (
        flow.person.put(f"{flow.path}/draft", body, Idempotency_Key="the-same-save") for _ in range(2)
    )
    assert first.status == second.status == 200
    assert first.json == second.json
    assert len(flow.versions()) == 1


# The store itself


def test_the_store_names_the_bot_in_every_question(store: Store, flow: FlowPage) -> None:
    assert store.flows.draft("another bot", flow.flow_id) is None
    assert store.flows.find("another bot", flow.flow_id) is None
    with pytest.raises(NoSuchFlow):
        store.flows.save_draft("another bot", flow.flow_id, {"nodes": []}, revision=1, by="x")
    with pytest.raises(NoSuchFlow):
        store.flows.describe("another bot", flow.flow_id, revision=1, by="x", name="x")
    with pytest.raises(NoSuchFlow):
        store.flows.delete("another bot", flow.flow_id)
    with pytest.raises(StaleRevision):
        store.flows.save_draft(flow.bot_id, flow.flow_id, {"nodes": []}, revision=9, by="x")
    assert flow.draft()["revision"] == 1


def test_a_flow_from_before_there_were_drafts_gets_one(store: Store, flow: FlowPage) -> None:
    flow.put_live()
    data = flow.data()
    store.database["flow_drafts"].delete_one({"_id": flow.flow_id})
    store.database["flows"].update_one(
        {"_id": flow.flow_id}, {"$unset": dict.fromkeys(("draft", "nameFolded"), "")}
    )
    assert flow.person.get(f"{flow.path}/draft").status == 404
    assert flow.show()["draftRevision"] is None
    assert store.flows.ensure_draft(flow.flow_id, by=flow.person.user_id) is True
    assert store.flows.ensure_draft(flow.flow_id, by=flow.person.user_id) is False
    assert flow.data() == data
    assert flow.show()["hasUnpublishedChanges"] is False
    ok(flow.person.get(f"/api/bots/{flow.bot_id}/flows", sort="name", name="wel"))
