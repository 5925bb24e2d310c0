"""Checking flows over the API: with what surrounds them, saved or not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.secrets import KeyRing
from tests.api.flow_setup import FlowPage, new_bot, new_flow, ok
from tests.http.web_setup import ENCRYPTION_KEYS

if TYPE_CHECKING:
    from common.store.store import Store
    from tests.api.person import Person


@pytest.fixture
def flow(store: Store, ann: Person) -> FlowPage:
    return new_flow(store, ann, new_bot(store, ann))


def validation(flow: FlowPage, **query: str) -> dict[str, Any]:
    return ok(flow.person.get(f"{flow.path}/validation", **query))


def codes(answer: dict[str, Any]) -> set[str]:
    return {issue["code"] for issue in answer["issues"]}


def give_variables(store: Store, bot_id: str) -> None:
    for name in ("companyName", "openingHours", "priceList", "supportEmail"):
        store.bots.ensure_variable(bot_id, name, "x")


def test_every_check_is_named_with_how_it_went(store: Store, flow: FlowPage) -> None:
    give_variables(store, flow.bot_id)
    answer = validation(flow)
    assert answer["isDeployable"] is True
    assert answer["errorCount"] == 0
    assert {check["state"] for check in answer["checks"]} <= {"PASSED", "WARNINGS"}
    assert len(answer["checks"]) > 10
    assert all(check["title"] for check in answer["checks"])


def test_what_is_wrong_is_told_with_its_place(store: Store, flow: FlowPage) -> None:
    give_variables(store, flow.bot_id)
    data = flow.data("")
    ok(flow.save(data))
    answer = validation(flow)
    assert answer["isDeployable"] is False
    (issue,) = [each for each in answer["issues"] if each["severity"] == "ERROR"]
    assert (issue["nodeId"], issue["field"]) == ("msg_welcome", "messageContent")
    (check,) = [each for each in answer["checks"] if each["state"] == "ERRORS"]
    assert check["name"] == issue["check"]


def test_unsaved_edits_are_checked_and_nothing_is_saved(store: Store, flow: FlowPage) -> None:
    give_variables(store, flow.bot_id)
    before = flow.draft()
    assert ok(flow.person.post(f"{flow.path}/validate", {}))["isDeployable"] is True
    answer = ok(flow.person.post(f"{flow.path}/validate", {"flowData": flow.data("")}))
    assert answer["isDeployable"] is False
    assert flow.draft() == before


def test_a_version_is_checked_against_the_bot_as_it_is_now(store: Store, flow: FlowPage) -> None:
    old = ok(flow.save(flow.data("{{companyName}}"), kind="MANUAL"))["versionId"]
    ok(flow.save({"nodes": []}))
    assert validation(flow)["isDeployable"] is False
    assert validation(flow, versionId=old)["isDeployable"] is False, "the bot has no such variables"
    give_variables(store, flow.bot_id)
    assert validation(flow, versionId=old)["isDeployable"] is True
    assert flow.person.get(f"{flow.path}/validation", versionId="nope").status == 404


def test_accounts_count(store: Store, ann: Person) -> None:
    bot_id = new_bot(store, ann)
    flow = new_flow(store, ann, bot_id, example="ai-support")
    assert {"account.no_openai", "account.no_whatsapp"} <= codes(validation(flow))
    keys = KeyRing.from_setting(ENCRYPTION_KEYS)
    store.bots.ensure_openai(ann.user_id, "sk-x", keys.encrypt)
    account = {"phoneNumberId": "1", "phoneNumber": "+1", "businessAccountId": "1"}
    store.bots.ensure_account(bot_id, account, {"accessToken": "EAAB"}, keys.encrypt)
    assert not {"account.no_openai", "account.no_whatsapp"} & codes(validation(flow))


def test_other_flows_count_and_so_do_the_settings_beside_the_draft(store: Store, flow: FlowPage) -> None:
    other = new_flow(store, flow.person, flow.bot_id, "Other")

    def hand_over_to(flow_id: str) -> set[str]:
        settings = {"restartPolicy": "FALLBACK_FLOW", "fallbackFlowId": flow_id}
        store.database["flows"].update_one({"_id": flow.flow_id}, {"$set": {"settings": settings}})
        return codes(validation(flow))

    assert "flow.unknown_fallback_flow" in hand_over_to("of another bot")
    assert "flow.fallback_not_live" in hand_over_to(other.flow_id)
    other.put_live()
    assert not {"flow.unknown_fallback_flow", "flow.fallback_not_live"} & hand_over_to(other.flow_id)


def test_variables_that_another_flow_brings_along_are_known(store: Store, flow: FlowPage) -> None:
    give_variables(store, flow.bot_id)
    giver = new_flow(store, flow.person, flow.bot_id, "Giver")
    nodes = [
        {"nodeId": "start", "nodeType": "START", "config": {}},
        {"nodeId": "ask", "nodeType": "INPUT", "config": {"promptMessage": "?", "variableName": "givenName"}},
        {"nodeId": "end", "nodeType": "END", "config": {}},
    ]
    giver.put_live({"nodes": nodes, "edges": []})
    ok(flow.save(flow.data("Hello {{givenName}}")))
    before = [issue for issue in validation(flow)["issues"] if "givenName" in issue["message"]]
    settings = {"restartPolicy": "FALLBACK_FLOW", "fallbackFlowId": flow.flow_id}
    store.database["flows"].update_one({"_id": giver.flow_id}, {"$set": {"settings": settings}})
    after = [issue for issue in validation(flow)["issues"] if "givenName" in issue["message"]]
    assert [issue["severity"] for issue in before] == ["ERROR"]
    assert "ERROR" not in {issue["severity"] for issue in after}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"nodes": None},
        {"nodes": [5, None, {"nodeId": {"$gt": ""}}], "edges": 5, "variables": [], "settings": []},
        {"nodes": [{"nodeId": "a", "nodeType": "START", "config": {"__proto__": 1}}]},
        {"nodes": [{"nodeId": "a", "nodeType": "API", "config": {"headers": {"a": [[]]}}}], "settings": "x"},
    ],
    ids=str,
)
def test_anything_can_be_checked(flow: FlowPage, data: dict[str, Any]) -> None:
    answer = ok(flow.person.post(f"{flow.path}/validate", {"flowData": data}))
    assert answer["isDeployable"] is False


def message(node_id: str, text: str) -> dict[str, Any]:
    return {"nodeId": node_id, "nodeType": "MESSAGE", "config": {"messageContent": text}}


def deep(levels: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(levels):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ({"nodes": [message("a", "x" * 1_100_000)]}, "flowData"),
        ({"nodes": [], "deep": deep(21)}, "flowData"),
        ({"nodes": [message(f"m{number}", "Hi") for number in range(1001)]}, "flowData.nodes"),
        ({"nodes": [], "edges": [{}] * 3001}, "flowData.edges"),
    ],
    ids=["bytes", "levels", "nodes", "edges"],
)
def test_what_is_too_large_to_be_saved_is_not_checked(
    flow: FlowPage, data: dict[str, Any], place: str
) -> None:
    for answer in (flow.person.post(f"{flow.path}/validate", {"flowData": data}), flow.save(data)):
        assert (answer.status, answer.code) == (422, "validation_failed")
        assert place in answer.fields


def test_of_very_many_issues_the_first_are_told(flow: FlowPage) -> None:
    nodes = [message(f"m{number}", "") for number in range(600)]
    answer = ok(flow.person.post(f"{flow.path}/validate", {"flowData": {"nodes": nodes, "edges": []}}))
    count = answer["errorCount"] + answer["warningCount"]
    assert count > 600
    assert (len(answer["issues"]), answer["moreIssues"]) == (500, count - 500)
    assert {issue["severity"] for issue in answer["issues"]} == {"ERROR"}, "errors come first"
    assert validation(flow)["moreIssues"] == 0
