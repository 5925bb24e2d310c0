"""Bots as files: what is exported comes back the same, and what is no such file is refused with the place."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.test_bots import BOTS, make, welcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.store.store import Store
    from tests.api.person import Person

Json = dict[str, Any]
SECRETS = ("EAAcanaryToken", "canaryAppSecret", "4917000000001", "quokka said")


def rich_bot(ann: Person, store: Store) -> str:
    """A bot with all that can be exported, and much that must not be."""
    bot_id: str = make(ann, "Bakery „München“", description="Bread\nand rolls")["id"]
    assert (
        ann.patch(f"{BOTS}/{bot_id}", {"revision": 1, "settings": {"retention": {"messageDays": 30}}}).status
        == 200
    )
    for name, kind, value in (
        ("companyName", "STRING", "Sunrise „Ü“ \u2028 end"),
        ("vat", "NUMBER", 7.5),
        ("isOpen", "BOOLEAN", False),
        ("hours", "OBJECT", {"mo": ["7:00", None], "$x": {"a.b": 1}}),
        ("days", "ARRAY", []),
    ):
        answer = ann.put(
            f"{BOTS}/{bot_id}/variables/{name}", {"type": kind, "value": value, "description": name}
        )
        assert answer.status == 200, answer.text
    by = ann.user_id
    store.flows.create(
        bot_id, "Second", flow_id="second", by=by, flow_data=welcome("two"), description="after"
    )
    settings = {"restartPolicy": "FALLBACK_FLOW", "fallbackFlowId": "second"}
    store.flows.create(bot_id, "First", flow_id="first", by=by, flow_data=welcome(), settings=settings)
    triggers = [{"text": "hi", "match": "EXACT", "interrupts": True}, {"text": "help", "match": "CONTAINS"}]
    store.database["flows"].update_one({"_id": "first"}, {"$set": {"triggers": triggers}})
    # A flow that was never edited: seeded, live, with settings in its JSON.
    store.database["flows"].insert_one({"_id": "third", "botId": bot_id, "name": "Third", "triggers": []})
    inside = {"restartPolicy": "FALLBACK_FLOW", "fallbackFlowId": "first"}
    store.deployments.put_live("third", {**welcome("3"), "settings": inside}, deployed_by=by)
    store.database["bots"].update_one({"_id": bot_id}, {"$set": {"activeFlowId": "first"}})
    store.database["whatsapp_accounts"].insert_one(
        {
            "_id": "a",
            "botId": bot_id,
            "phoneNumberId": "1",
            "phoneNumber": "1",
            "accessToken": SECRETS[0],
            "appSecret": SECRETS[1],
        }
    )
    store.database["contacts"].insert_one({"_id": "c", "botId": bot_id, "aliases": ["x"], "waId": SECRETS[2]})
    store.database["messages"].insert_one({"botId": bot_id, "contactId": "c", "messageContent": SECRETS[3]})
    return bot_id


def exported(who: Person, bot_id: str) -> Json:
    answer = who.get(f"{BOTS}/{bot_id}/export")
    assert answer.status == 200, answer.text
    file: Json = answer.json
    return file


def test_what_is_exported_comes_back_the_same(ann: Person, bob: Person, store: Store) -> None:
    bot_id = rich_bot(ann, store)
    file = exported(ann, bot_id)
    assert file["defaultFlow"] == "First"
    assert [flow["settings"] for flow in file["flows"]] == [
        {"restartPolicy": "FALLBACK_FLOW", "fallbackFlow": "Second"},
        {"restartPolicy": "RESTART", "fallbackFlow": None},
        {"restartPolicy": "FALLBACK_FLOW", "fallbackFlow": "First"},
    ]
    answer = bob.post(f"{BOTS}/import", {"file": file})
    assert answer.status == 201, answer.text
    assert answer.json["liveFlowCount"] == 0
    again = exported(bob, answer.json["id"])
    assert json.dumps(again) == json.dumps(file), "the same order, too"
    flows = {flow["name"]: flow for flow in store.flows.of_bot(answer.json["id"])}
    assert flows["First"]["settings"]["fallbackFlowId"] == flows["Second"]["_id"]
    assert flows["First"]["triggers"][0] == {"text": "hi", "match": "EXACT", "interrupts": True}
    assert answer.json["activeFlowId"] == flows["First"]["_id"]


def test_a_file_holds_no_secret_no_customer_and_no_id(ann: Person, store: Store) -> None:
    bot_id = rich_bot(ann, store)
    answer = ann.get(f"{BOTS}/{bot_id}/export")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="bot-Bakery-M-nchen.json"'
    for secret in (*SECRETS, bot_id, ann.user_id, ann.email, '"second"'):
        assert secret not in answer.text
    actions = [entry["action"] for entry in store.database["audit_logs"].find({"botId": bot_id})]
    assert "bot.exported" in actions


def test_the_same_key_imports_once(ann: Person, store: Store) -> None:
    file = exported(ann, rich_bot(ann, store))
    body, key = {"file": file, "name": "Other"}, {"Idempotency_Key": "key-12345678"}
    first, again = (ann.post(f"{BOTS}/import", body, **key) for _ in range(2))
    assert first.json == again.json
    assert first.json["name"] == "Other"
    assert len(ann.get(BOTS).json["items"]) == 2


def _set(*path: str | int, to: Any) -> Callable[[Json], None]:
    def change(file: Json) -> None:
        place: Any = file
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to

    return change


def _deep(levels: int) -> Json:
    value: Json = {}
    for _ in range(levels):
        value = {"a": value}
    return value


def _twice(name: str) -> Callable[[Json], None]:
    return lambda file: file[name].append(copy.deepcopy(file[name][0]))


HOSTILE: dict[str, tuple[Callable[[Json], None], str]] = {
    "another format": (_set("format", to="whatsapp-flow-builder/flow"), "format"),
    "a later version": (_set("formatVersion", to=2), "formatVersion"),
    "a version that is a boolean": (_set("formatVersion", to=True), "formatVersion"),
    "an unknown field": (_set("userId", to="x"), "userId"),
    "no name": (_set("name", to=" "), "name"),
    "a long name": (_set("name", to="x" * 121), "name"),
    "retention of a thousand years": (_set("settings", "retention", "messageDays", to=365_000), "settings.retention.messageDays"),
    "retention that is a boolean": (_set("settings", "retention", "messageDays", to=True), "settings.retention.messageDays"),
    "variables that are no list": (_set("variables", to={}), "variables"),
    "a variable twice": (_twice("variables"), "variables[5].name"),
    "a reserved variable": (_set("variables", 0, "name", to="sessionId"), "variables[0].name"),
    "a variable called as the system's": (_set("variables", 0, "name", to="lastMessage"), "variables[0].name"),
    "a variable of another type": (_set("variables", 0, "type", to="NUMBER"), "variables[0].value"),
    "a variable of no type": (_set("variables", 0, "type", to="__class__"), "variables[0].type"),
    "a variable with a harmful key": (
        lambda file: file["variables"].append({"name": "x", "type": "OBJECT", "value": {"a": [{"__proto__": 1}]}, "description": ""}),
        "variables[5].value",
    ),
    "a variable of too many levels": (
        lambda file: file["variables"].append({"name": "x", "type": "OBJECT", "value": _deep(30), "description": ""}),
        "variables[5].value",
    ),
    "a variable that is too large": (
        lambda file: file["variables"].append({"name": "x", "type": "STRING", "value": "x" * 300_000, "description": ""}),
        "variables[5].value",
    ),
    "variables that are too large together": (
        lambda file: file["variables"].extend(
            {"name": f"x{n}", "type": "STRING", "value": "x" * 250_000, "description": ""} for n in range(5)
        ),
        "variables",
    ),
    "too many variables": (
        lambda file: file["variables"].extend(
            {"name": f"x{n}", "type": "NUMBER", "value": n, "description": ""} for n in range(600)
        ),
        "variables",
    ),
    "a flow twice": (_twice("flows"), "flows[3].file.name"),
    "a flow that is no object": (_set("flows", 0, to=[]), "flows[0]"),
    "a node twice": (
        lambda file: file["flows"][1]["file"]["flow"]["nodes"].append(file["flows"][1]["file"]["flow"]["nodes"][0]),
        "flows[1].file.flow.nodes[4].nodeId",
    ),
    "a harmful key in a node": (
        _set("flows", 0, "file", "flow", "nodes", 0, "config", to={"constructor": {}}),
        "flows[0].file.flow.nodes[0].config.constructor",
    ),
    "a flow of too many levels": (_set("flows", 0, "file", "flow", "variables", to=_deep(25)), "flows[0].file.flow"),
    "a fallback that is not there": (_set("flows", 1, "settings", "fallbackFlow", to="Nobody"), "flows[1].settings.fallbackFlow"),
    "a fallback that leads back": (
        _set("flows", 1, "settings", to={"restartPolicy": "FALLBACK_FLOW", "fallbackFlow": "First"}),
        "flows[0].settings.fallbackFlow",
    ),
    "no fallback": (_set("flows", 0, "settings", "fallbackFlow", to=None), "flows[0].settings.fallbackFlow"),
    "a policy that is none": (_set("flows", 0, "settings", "restartPolicy", to="NEVER"), "flows[0].settings.restartPolicy"),
    "a default flow that is not there": (_set("defaultFlow", to="Nobody"), "defaultFlow"),
    "a trigger twice": (
        lambda file: file["flows"][0]["triggers"].append(file["flows"][0]["triggers"][0]),
        "flows[0].triggers[2].text",
    ),
    "a trigger of two flows": (
        _set("flows", 1, "triggers", to=[{"text": " HI", "match": "EXACT", "interrupts": False}]),
        "flows[1].triggers[0].text",
    ),
    "a trigger that is too long": (_set("flows", 0, "triggers", 0, "text", to="x" * 101), "flows[0].triggers[0].text"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_the_place(ann: Person, store: Store, name: str) -> None:
    damage, place = HOSTILE[name]
    file = exported(ann, rich_bot(ann, store))
    damage(file)
    before = store.database["flows"].count_documents({})
    answer = ann.post(f"{BOTS}/import", {"file": file})
    assert (answer.status, answer.code) == (422, "validation_failed"), answer.text
    assert f"file.{place}" in answer.fields
    assert store.database["flows"].count_documents({}) == before
    assert len(ann.get(BOTS).json["items"]) == 1
    assert store.deletions.pending() == 0


@pytest.mark.parametrize("file", [[], "x", None, 7, {}, {"format": None}])
def test_what_is_no_file_is_refused(ann: Person, file: Any) -> None:
    assert ann.post(f"{BOTS}/import", {"file": file}).status == 422


def test_a_body_of_too_many_levels_is_refused(ann: Person) -> None:
    assert ann.post(f"{BOTS}/import", {"file": _deep(200)}).status == 400
