"""What can be exported can be imported: the same bounds and names on both ways, and nothing loaded before it is measured."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest
from pymongo.errors import AutoReconnect

import api.routes.bots
import api.routes.search
import common.store.bot_copies
import common.store.flows
from common.store.audit import Audit
from common.store.flows import Flows
from tests.api.flow_setup import FlowPage, new_bot, new_flow, ok

if TYPE_CHECKING:
    from common.store.store import Store
    from tests.api.person import Person

NAMES = ("Family 👨‍👩‍👧‍👦", "two  blanks", "no\u00a0break", "\u200fשלום\u200f abc")
TRIGGERS = [{"text": "hi  there", "match": "EXACT", "interrupts": True}]
RULES = {"settings": {"restartPolicy": "RESUME_LAST_NODE", "fallbackFlowId": None}, "triggers": TRIGGERS}


@pytest.fixture
def flow(store: Store, ann: Person) -> FlowPage:
    return new_flow(store, ann, new_bot(store, ann))


@pytest.mark.parametrize("is_known", [True, False], ids=["measured", "an older draft"])
def test_a_bot_that_is_too_large_is_refused_before_anything_is_loaded(
    store: Store, flow: FlowPage, monkeypatch: pytest.MonkeyPatch, *, is_known: bool
) -> None:
    if not is_known:
        store.database["flows"].update_many({}, {"$unset": {"draft.bytes": ""}})
    monkeypatch.setattr(api.routes.bots, "MOST_FILE_BYTES", 100)
    monkeypatch.setattr(Flows, "draft", lambda *_: pytest.fail("a draft was loaded"))
    bot = f"/api/bots/{flow.bot_id}"
    for answer in (flow.person.get(f"{bot}/export"), flow.person.post(f"{bot}/duplicate", {})):
        assert (answer.status, answer.code) == (409, "too_large")


def test_a_bot_has_no_more_flows_than_can_be_imported(
    store: Store, flow: FlowPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(common.store.flows, "MOST_FLOWS", 2)
    path, key = f"/api/bots/{flow.bot_id}/flows", {"Idempotency_Key": "key-12345678"}
    first = ok(flow.person.post(path, {"name": "second"}, **key), 201)
    answer = flow.person.post(path, {"name": "third"})
    assert (answer.status, answer.code) == (409, "conflict")
    assert flow.person.post(path, {"name": "second"}, **key).json == first
    monkeypatch.setattr(common.store.bot_copies, "MOST_FLOWS", 1)
    assert flow.person.get(f"/api/bots/{flow.bot_id}/export").code == "too_large"


@pytest.mark.parametrize("name", NAMES)
def test_names_and_rules_come_back_to_the_byte(store: Store, flow: FlowPage, bob: Person, name: str) -> None:
    ann, bots = flow.person, "/api/bots"
    second = new_flow(store, ann, flow.bot_id, name)
    store.database["flows"].update_one({"_id": second.flow_id}, {"$set": RULES})
    falls_back = {"restartPolicy": "FALLBACK_FLOW", "fallbackFlowId": second.flow_id}
    store.database["flows"].update_one({"_id": flow.flow_id}, {"$set": {"settings": falls_back}})
    store.database["bots"].update_one({"_id": flow.bot_id}, {"$set": {"activeFlowId": second.flow_id}})
    whole = ann.get(f"{bots}/{flow.bot_id}/export")
    made = ok(bob.post(f"{bots}/import", {"file": whole.json}), 201)
    assert bob.get(f"{bots}/{made['id']}/export").text == whole.text

    for page in (flow, second):
        one = ann.get(f"{page.path}/export")
        flows = f"{bots}/{new_bot(store, bob, page.flow_id)}/flows"
        made = ok(bob.post(f"{flows}/import", {"file": one.json}), 201)
        assert bob.get(f"{flows}/{made['id']}/export").text == one.text
        assert second.flow_id not in one.text
    assert (one.json["name"], one.json["triggers"]) == (name, TRIGGERS)
    assert one.json["settings"] == {"restartPolicy": "RESUME_LAST_NODE", "fallbackFlow": None}
    beside = ok(ann.post(f"{bots}/{flow.bot_id}/flows/import", {"file": one.json}), 201)
    stored = store.flows.find(flow.bot_id, beside["id"])
    assert stored is not None
    assert stored["triggers"] == [], "the other flow has it"


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"triggers": [{"text": ""}]}, "triggers[0].text"),
        ({"triggers": {}}, "triggers"),
        ({"settings": {"restartPolicy": "FALLBACK_FLOW"}}, "settings.restartPolicy"),
        ({"settings": {"restartPolicy": ["RESTART"]}}, "settings.restartPolicy"),
        ({"settings": {"restartPolicy": "RESTART", "fallbackFlow": "x"}}, "settings.fallbackFlow"),
        ({"settings": []}, "settings"),
    ],
)
def test_rules_that_are_none_are_refused(flow: FlowPage, change: dict[str, Any], place: str) -> None:
    file = ok(flow.person.get(f"{flow.path}/export")) | change
    answer = flow.person.post(f"/api/bots/{flow.bot_id}/flows/import", {"file": file})
    assert answer.status == 422
    assert f"file.{place}" in answer.fields


def test_a_bots_name_in_a_file_is_a_name(flow: FlowPage) -> None:
    file = ok(flow.person.get(f"/api/bots/{flow.bot_id}/export"))
    for name in ("a\nb", "a\x7fb"):
        assert "file.name" in flow.person.post("/api/bots/import", {"file": file | {"name": name}}).fields
    made = ok(flow.person.post("/api/bots/import", {"file": file | {"name": "  mine "}}), 201)
    assert made["name"] == "mine"


def test_two_copies_at_once_both_get_a_name(flow: FlowPage, monkeypatch: pytest.MonkeyPatch) -> None:
    original, together, begun = Flows.free_name, Barrier(2, timeout=20), list[str]()

    def at_once(self: Flows, bot_id: str, name: str) -> str:
        free = original(self, bot_id, name)
        begun.append(free)
        if len(begun) <= 2:
            together.wait()
        return free

    monkeypatch.setattr(Flows, "free_name", at_once)
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda _: flow.person.post(f"{flow.path}/duplicate", {}), range(2)))
    assert sorted(ok(each, 201)["name"] for each in made) == ["Welcome (2)", "Welcome (3)"]


def test_nothing_is_deleted_without_its_audit_entry(flow: FlowPage, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: Any, **__: Any) -> None:
        raise AutoReconnect("the database goes away")

    paths = (flow.path, f"/api/bots/{flow.bot_id}")
    with monkeypatch.context() as patch:
        patch.setattr(Audit, "record", lost)
        for path in paths:
            assert flow.person.delete(path).status == 503
            assert flow.person.get(path).status == 200, "it is still there"
    for path in paths:
        assert flow.person.delete(path).status == 204
    entries = flow.store.database["audit_logs"].find({"action": {"$in": ["flow.deleted", "bot.deleted"]}})
    assert [entry["detail"]["name"] for entry in entries.sort("at", 1)] == ["Welcome", "Bakery"]


def test_a_deletion_that_only_forgets_the_rest_is_good(store: Store, flow: FlowPage) -> None:
    ok(flow.save(flow.data("x"), kind="MANUAL"))
    store.flows.delete(flow.bot_id, flow.flow_id)
    assert flow.person.delete(flow.path).status == 204
    assert flow.person.delete(flow.path).status == 404


def test_flows_of_few_nodes_count_in_a_search(
    store: Store, flow: FlowPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        new_flow(store, flow.person, flow.bot_id, f"f{number}", flowData={"nodes": [], "edges": []})
    monkeypatch.setattr(api.routes.search, "MOST_NODES_SEEN", 150)
    assert ok(flow.person.get(f"/api/bots/{flow.bot_id}/search", q="x"))["isComplete"] is False
