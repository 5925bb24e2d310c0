"""Bot variables: set, listed, found in flows and deleted, and every change told to the workers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from common.store.bot_variables import MOST_VARIABLES
from tests.api.test_bots import BOTS, make, welcome
from tests.support.flows import end, flow, say
from worker.directory import Directory

if TYPE_CHECKING:
    from common.store.store import Store
    from tests.api.person import Answer, Person


@pytest.fixture
def bot_id(ann: Person) -> str:
    bot_id: str = make(ann)["id"]
    return bot_id


def put(who: Person, bot_id: str, name: str, value: Any, kind: str = "STRING", **more: Any) -> Answer:
    return who.put(f"{BOTS}/{bot_id}/variables/{name}", {"type": kind, "value": value, **more})


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("STRING", ""),
        ("STRING", "Sunrise „Ü“ 🥐"),
        ("NUMBER", 0),
        ("NUMBER", -7.25),
        ("NUMBER", 2**63 - 1),
        ("BOOLEAN", False),
        ("OBJECT", {}),
        ("OBJECT", {"$set": {"a.b": [{"$ref": 1}]}, "": None}),
        ("ARRAY", [1, "a", None, {"b": []}]),
    ],
)
def test_every_type_comes_back_as_it_was(ann: Person, bot_id: str, kind: str, value: Any) -> None:
    answer = put(ann, bot_id, "thing", value, kind)
    assert answer.status == 200, answer.text
    assert (answer.json["type"], answer.json["value"], answer.json["revision"]) == (kind, value, 1)
    assert type(answer.json["value"]) is type(value)
    assert ann.get(f"{BOTS}/{bot_id}/variables/thing").json == answer.json


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("NUMBER", "7"),
        ("NUMBER", True),
        ("BOOLEAN", 1),
        ("BOOLEAN", "true"),
        ("STRING", 7),
        ("STRING", None),
        ("OBJECT", []),
        ("ARRAY", {}),
        ("OBJECT", {"a": {"__proto__": {}}}),
        ("OBJECT", {"$ref": "a", "$id": 1}),
        ("STRING", "x" * (256 * 1024 + 1)),
        ("ARRAY", [[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]),
    ],
)
def test_a_value_of_another_type_or_too_much_of_it_is_refused(
    ann: Person, bot_id: str, kind: str, value: Any
) -> None:
    answer = put(ann, bot_id, "thing", value, kind)
    assert answer.status == 422
    assert list(answer.fields) == ["value"]
    assert ann.get(f"{BOTS}/{bot_id}/variables").json["items"] == []


@pytest.mark.parametrize(
    "name", ["1st", "a-b", "a.b", "_a", "sessionId", "botId", "lastMessage", "userName", "true", "x" * 65]
)
def test_a_name_that_flows_cannot_use_is_refused(ann: Person, bot_id: str, name: str) -> None:
    answer = put(ann, bot_id, name, "x")
    assert answer.status == 422
    assert list(answer.fields) == ["name"]


def test_names_know_case_and_are_listed_in_order(ann: Person, bot_id: str) -> None:
    for name in ("b", "A", "a", "ab"):
        put(ann, bot_id, name, name)

    def names(**query: Any) -> list[str]:
        return [each["name"] for each in ann.get(f"{BOTS}/{bot_id}/variables", **query).json["items"]]

    assert names() == ["A", "a", "ab", "b"]
    assert names(prefix="a") == ["a", "ab"]
    first = ann.get(f"{BOTS}/{bot_id}/variables", limit=3).json
    assert names(limit=3, cursor=first["nextCursor"]) == ["b"]


def test_a_revision_guards_a_save_and_a_deletion(ann: Person, bot_id: str) -> None:
    path = f"{BOTS}/{bot_id}/variables/a"
    assert put(ann, bot_id, "a", "1", revision=0).json["revision"] == 1
    there = put(ann, bot_id, "a", "2", revision=0)
    assert (there.status, there.code) == (409, "revision_conflict")
    assert there.fields == {"revision": 1, "savedBy": ann.email, "savedAt": ann.get(path).json["updatedAt"]}
    assert put(ann, bot_id, "a", "2", revision=1).json["revision"] == 2
    assert put(ann, bot_id, "a", "3", description="kept").json["revision"] == 3
    assert put(ann, bot_id, "a", "4").json["description"] == "kept"
    assert ann.request("DELETE", path, query={"revision": 1}).code == "revision_conflict"
    assert ann.request("DELETE", path, query={"revision": 4}).status == 200
    assert put(ann, bot_id, "a", "1", revision=4).fields["revision"] == 0
    assert ann.delete(path).status == 404


def test_of_two_at_once_one_wins(ann: Person, bot_id: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: put(ann, bot_id, "a", str(n), revision=0).status, range(4)))
    assert sorted(answers) == [200, 409, 409, 409]
    assert ann.get(f"{BOTS}/{bot_id}/variables/a").json["revision"] == 1


def test_workers_see_the_change_and_the_end(ann: Person, bot_id: str, store: Store) -> None:
    directory = Directory(store)

    def seen() -> dict[str, Any]:
        directory.forget(bot_id)
        return directory.bots([bot_id])[bot_id].variables

    assert seen() == {}
    put(ann, bot_id, "a", {"b": 1}, "OBJECT")
    assert seen() == {"a": {"b": 1}}
    put(ann, bot_id, "a", "other")
    assert seen() == {"a": "other"}
    ann.delete(f"{BOTS}/{bot_id}/variables/a")
    assert seen() == {}


def test_a_bot_has_so_many_and_no_more(ann: Person, bot_id: str, store: Store) -> None:
    store.database["bot_variables"].insert_many(
        [
            {"botId": bot_id, "variableName": f"v{n}", "variableValue": 1, "variableType": "NUMBER"}
            for n in range(MOST_VARIABLES)
        ]
    )
    answer = put(ann, bot_id, "more", "x")
    assert (answer.status, answer.code) == (409, "conflict")
    assert put(ann, bot_id, "v0", 2, "NUMBER").status == 200


def test_uses_are_found_in_drafts_and_a_deletion_names_them(ann: Person, bot_id: str, store: Store) -> None:
    put(ann, bot_id, "companyName", "Sunrise")
    uses = flow({"say": say("We are {{companyName || 'open'}}"), "end": end("bye")}, "start > say, say > end")
    uses["variables"]["bot"] = ["companyName"]
    mentions = flow(
        {"say": say("companyName is a name, and {{companyNames}} another"), "end": end("x")},
        "start > say, say > end",
    )
    for name, data in (("Uses", uses), ("Mentions", mentions), ("Asks", welcome())):
        store.flows.create(bot_id, name, flow_id=name, by=ann.user_id, flow_data=data)
    path = f"{BOTS}/{bot_id}/variables/companyName"
    answer = ann.get(f"{path}/uses")
    assert answer.json == {
        "name": "companyName",
        "isComplete": True,
        "flows": [
            {"flowId": "Asks", "flowName": "Asks", "places": [{"nodeId": "ask", "nodeLabel": "ask", "field": "promptMessage"}]},
            {
                "flowId": "Uses",
                "flowName": "Uses",
                "places": [
                    {"nodeId": None, "nodeLabel": None, "field": None},
                    {"nodeId": "say", "nodeLabel": "say", "field": "messageContent"},
                ],
            },
        ],
    }  # fmt: skip
    deleted = ann.delete(path)
    assert deleted.status == 200
    assert deleted.json == answer.json
    assert ann.get(f"{path}/uses").status == 404


def test_a_strangers_bot_has_no_variables(ann: Person, bob: Person, bot_id: str) -> None:
    put(ann, bot_id, "a", "1")
    assert put(bob, bot_id, "a", "2").status == 404
    assert bob.get(f"{BOTS}/{bot_id}/variables").status == 404
    assert bob.delete(f"{BOTS}/{bot_id}/variables/a").status == 404
    assert ann.get(f"{BOTS}/{bot_id}/variables/a").json["value"] == "1"
