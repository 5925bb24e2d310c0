"""Bots: made, changed, listed, copied and deleted by their owners, and by nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pymongo.errors import AutoReconnect

from tests.support.flows import ask, end, flow, say

if TYPE_CHECKING:
    from common.store.store import Store
    from tests.api.person import Person

BOTS = "/api/bots"


def make(who: Person, name: str = "Bakery", **more: Any) -> dict[str, Any]:
    answer = who.post(BOTS, {"name": name, **more})
    assert answer.status == 201, answer.text
    bot: dict[str, Any] = answer.json
    return bot


def welcome(text: str = "hello") -> dict[str, Any]:
    nodes = {"say": say(text), "ask": ask("{{companyName}}?"), "end": end("bye")}
    return flow(nodes, "start > say, say > ask, ask.success > end, ask.failure > end")


def test_a_bot_is_made_shown_and_changed(ann: Person) -> None:
    bot = make(ann, "  Bakery ", description="Bread")
    assert bot["name"] == "Bakery"
    assert bot["settings"] == {"retention": {"messageDays": None, "executionLogDays": None}}
    assert bot["keptDays"] == {"messageDays": 90, "executionLogDays": 14}
    assert bot["whatsapp"] == {
        "isConnected": False,
        "isStopped": False,
        "phoneNumber": None,
        "stoppedFor": None,
    }
    assert ann.get(f"{BOTS}/{bot['id']}").json == bot
    changed = ann.patch(f"{BOTS}/{bot['id']}", {"revision": 1, "name": "Bakery & Co"})
    assert (changed.json["name"], changed.json["description"]) == ("Bakery & Co", "Bread")
    assert changed.json["revision"] == 2


def test_a_stale_change_says_who_saved_and_changes_nothing(ann: Person) -> None:
    bot = make(ann)
    assert ann.patch(f"{BOTS}/{bot['id']}", {"revision": 1, "description": "first"}).status == 200
    answer = ann.patch(f"{BOTS}/{bot['id']}", {"revision": 1, "description": "second"})
    assert (answer.status, answer.code) == (409, "revision_conflict")
    assert answer.fields["revision"] == 2
    assert answer.fields["savedBy"] == ann.email
    assert ann.get(f"{BOTS}/{bot['id']}").json["description"] == "first"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": {"$ne": None}}, "name"),
        ({"name": "x", "description": "x" * 2001}, "description"),
        ({"name": "x", "userId": "somebody"}, "userId"),
        ({"name": "x", "configRevision": 7}, "configRevision"),
    ],
)
def test_what_is_no_bot_is_refused(ann: Person, store: Store, body: dict[str, Any], field: str) -> None:
    answer = ann.post(BOTS, body)
    assert answer.status == 422
    assert list(answer.fields) == [field]
    assert store.database["bots"].count_documents({}) == 0


def test_the_same_key_makes_one_bot(ann: Person) -> None:
    first = ann.post(BOTS, {"name": "Bakery"}, Idempotency_Key="key-12345678")
    again = ann.post(BOTS, {"name": "Bakery"}, Idempotency_Key="key-12345678")
    assert first.json == again.json
    assert len(ann.get(BOTS).json["items"]) == 1


def test_workers_are_told_of_each_change(ann: Person, store: Store) -> None:
    bot = make(ann)
    before = store.bots.revisions([bot["id"]])[bot["id"]]
    ann.patch(f"{BOTS}/{bot['id']}", {"revision": 1, "name": "Other"})
    assert store.bots.revisions([bot["id"]])[bot["id"]] > before


def test_a_list_is_ones_own_paged_sorted_and_searched(ann: Person, bob: Person) -> None:
    for name in ("banana", "Apple", "Ångström 100%", "cherry"):
        make(ann, name)
    make(bob, "not hers")

    def names(**query: Any) -> list[str]:
        return [bot["name"] for bot in ann.get(BOTS, **query).json["items"]]

    assert names(sort="name") == ["Apple", "banana", "cherry", "Ångström 100%"]
    assert names(sort="-createdAt") == ["cherry", "Ångström 100%", "Apple", "banana"]
    assert names(name="an") == ["banana"]
    assert names(name="ÅNG") == ["Ångström 100%"]
    assert names(name="100%") == ["Ångström 100%"]
    assert names(name=".*") == names(name="$name") == []
    first = ann.get(BOTS, sort="name", limit=3).json
    rest = ann.get(BOTS, sort="name", limit=3, cursor=first["nextCursor"]).json
    assert [bot["name"] for bot in first["items"] + rest["items"]] == names(sort="name")
    assert rest["nextCursor"] is None
    assert ann.get(BOTS, sort="userId").status == 422


def test_a_list_tells_what_is_live_and_how_it_is_connected(ann: Person, store: Store) -> None:
    bot = make(ann)
    for name in ("one", "two"):
        flow_id = store.flows.create(bot["id"], name, flow_id=f"flow-{name}", by=ann.user_id)["_id"]
    store.deployments.put_live(flow_id, welcome(), deployed_by=ann.user_id)
    store.database["whatsapp_accounts"].insert_one(
        {
            "_id": "a",
            "botId": bot["id"],
            "phoneNumberId": "1",
            "phoneNumber": "4917",
            "stoppedFor": "190: revoked",
        }
    )
    make(ann, "empty")
    shown = {each["name"]: each for each in ann.get(BOTS).json["items"]}
    assert (shown["Bakery"]["flowCount"], shown["Bakery"]["liveFlowCount"]) == (2, 1)
    assert shown["Bakery"]["whatsapp"] == {
        "isConnected": True,
        "isStopped": True,
        "phoneNumber": "4917",
        "stoppedFor": "190: revoked",
    }
    assert (shown["empty"]["flowCount"], shown["empty"]["whatsapp"]["isConnected"]) == (0, False)


def test_a_copy_has_the_same_flows_and_variables_and_ids_of_its_own(ann: Person, store: Store) -> None:
    bot_id = make(ann, description="Bread")["id"]
    ann.patch(f"{BOTS}/{bot_id}", {"revision": 1, "settings": {"retention": {"messageDays": 7}}})
    variable = {"type": "OBJECT", "value": {"a": {"$b": [1, None]}}, "description": "odd"}
    assert ann.put(f"{BOTS}/{bot_id}/variables/odd", variable).status == 200
    second = store.flows.create(bot_id, "Second", flow_id="second", by=ann.user_id, flow_data=welcome("two"))
    settings = {"restartPolicy": "FALLBACK_FLOW", "fallbackFlowId": second["_id"]}
    store.flows.create(
        bot_id, "First", flow_id="first", by=ann.user_id, flow_data=welcome(), settings=settings
    )
    triggers = [{"text": "hi", "match": "EXACT", "interrupts": False}]
    store.database["flows"].update_one({"_id": "first"}, {"$set": {"triggers": triggers}})
    store.database["bots"].update_one({"_id": bot_id}, {"$set": {"activeFlowId": "first"}})
    store.database["whatsapp_accounts"].insert_one(
        {"_id": "a", "botId": bot_id, "phoneNumberId": "1", "phoneNumber": "4917", "accessToken": "sealed"}
    )

    copy = ann.post(f"{BOTS}/{bot_id}/duplicate", {})
    assert copy.status == 201, copy.text
    assert copy.json["name"] == "Bakery (copy)"
    assert copy.json["settings"] == ann.get(f"{BOTS}/{bot_id}").json["settings"]
    assert copy.json["whatsapp"]["isConnected"] is False
    flows = {each["name"]: each for each in store.flows.of_bot(copy.json["id"])}
    assert set(flows) == {"First", "Second"}
    assert {each["_id"] for each in flows.values()}.isdisjoint({"first", "second"})
    assert flows["First"]["settings"]["fallbackFlowId"] == flows["Second"]["_id"]
    assert flows["First"]["triggers"] == triggers
    assert copy.json["activeFlowId"] == flows["First"]["_id"]
    draft = store.flows.draft(copy.json["id"], flows["Second"]["_id"])
    assert draft is not None
    assert draft["flowData"]["nodes"] == welcome("two")["nodes"]
    assert draft["flowData"]["flowId"] == flows["Second"]["_id"]
    copied = ann.get(f"{BOTS}/{copy.json['id']}/variables/odd").json
    assert (copied["value"], copied["description"]) == (variable["value"], "odd")
    assert store.deletions.pending() == 0

    answer = ann.post(f"{BOTS}/{bot_id}/duplicate", {"name": "Mine"})
    assert answer.json["name"] == "Mine"


def test_a_copy_that_broke_off_is_completed_by_its_repetition(
    ann: Person, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bot_id = make(ann)["id"]
    for name in ("a", "b"):
        store.flows.create(bot_id, name, flow_id=f"flow-{name}", by=ann.user_id)
    path, key = f"{BOTS}/{bot_id}/duplicate", {"Idempotency_Key": "key-12345678"}
    original = type(store.flows).create
    made: list[str] = []

    def breaks(self: Any, new_bot_id: str, name: str, **more: Any) -> Any:
        if made:
            raise AutoReconnect("the database goes away")
        made.append(name)
        return original(self, new_bot_id, name, **more)

    with monkeypatch.context() as patch:
        patch.setattr(type(store.flows), "create", breaks)
        assert ann.post(path, {}, **key).status == 503
    assert len(ann.get(BOTS).json["items"]) == 1, "half a bot is not shown"
    assert store.deletions.pending() == 1, "and its parts would go"
    copy = ann.post(path, {}, **key)
    assert copy.status == 201, copy.text
    assert copy.json["flowCount"] == 2
    assert store.deletions.pending() == 0
    assert store.database["flows"].count_documents({}) == 4


def test_a_deleted_bot_is_gone_at_once(ann: Person, store: Store) -> None:
    bot_id = make(ann)["id"]
    store.database["whatsapp_accounts"].insert_one(
        {"_id": "a", "botId": bot_id, "phoneNumberId": "1", "phoneNumber": "4917"}
    )
    assert ann.delete(f"{BOTS}/{bot_id}").status == 204
    assert ann.get(f"{BOTS}/{bot_id}").status == 404
    assert ann.delete(f"{BOTS}/{bot_id}").status == 404
    assert ann.get(BOTS).json["items"] == []
    assert store.bots.load(bot_id) is None
    assert store.bots.revisions([bot_id]) == {}
    assert store.bots.accounts(["1"]) == {}, "its number is free"
    assert store.deletions.pending() == 1
    assert [entry["action"] for entry in store.database["audit_logs"].find({"botId": bot_id})] == [
        "bot.deleted"
    ]


def test_an_administrator_looks_and_changes_nothing(ann: Person, admin: Person, bob: Person) -> None:
    bot_id = make(ann)["id"]
    assert admin.get(f"{BOTS}/{bot_id}").status == 200
    for method, path in (
        ("DELETE", f"{BOTS}/{bot_id}"),
        ("GET", BOTS),
        ("GET", f"{BOTS}/{bot_id}/export"),
        ("GET", f"{BOTS}/{bot_id}/contacts"),
        ("GET", f"{BOTS}/{bot_id}/variables"),
    ):
        assert admin.request(method, path).status == 403
    assert bob.get(f"{BOTS}/{bot_id}").status == 404
    assert bob.delete(f"{BOTS}/{bot_id}").status == 404
    assert ann.get(f"{BOTS}/{bot_id}").status == 200
