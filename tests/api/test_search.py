"""Looking for words in one flow, and in all of a bot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import api.routes.search
from tests.api.flow_setup import FlowPage, new_bot, new_flow, ok

if TYPE_CHECKING:
    from common.store.store import Store
    from tests.api.person import Person


@pytest.fixture
def flow(store: Store, ann: Person) -> FlowPage:
    return new_flow(store, ann, new_bot(store, ann))


def found(flow: FlowPage, text: str, **query: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = ok(flow.person.get(f"{flow.path}/search", q=text, **query))["items"]
    return items


def test_a_flow_is_searched(flow: FlowPage) -> None:
    hits = found(flow, "OPENING hours")
    assert {(hit["nodeId"], hit["path"]) for hit in hits} == {
        ("btn_menu", "config.buttons[0].label"),
        ("msg_hours", "config.label"),
    }
    (hit,) = [each for each in hits if each["nodeId"] == "btn_menu"]
    assert (hit["nodeType"], hit["label"], hit["match"]) == ("BUTTON", "Menu", "Opening hours")
    assert [hit["nodeId"] for hit in found(flow, "cond_pla")] == ["cond_plan"]
    assert found(flow, "nothing of the kind") == []
    assert found(flow, ".*") == []


def test_a_version_is_searched_on_demand(flow: FlowPage) -> None:
    old = ok(flow.save(flow.data("the old words"), kind="MANUAL"))["versionId"]
    ok(flow.save(flow.data("the new words")))
    assert found(flow, "old words") == []
    assert len(found(flow, "old words", versionId=old)) == 1


def test_all_flows_of_a_bot_are_searched(store: Store, flow: FlowPage) -> None:
    other = new_flow(store, flow.person, flow.bot_id, "Other")
    ok(other.save(other.data("a needle in it")))
    away = new_flow(store, flow.person, new_bot(store, flow.person, "Another bot"), "Away")
    ok(away.save(away.data("a needle in it")))
    answer = ok(flow.person.get(f"/api/bots/{flow.bot_id}/search", q="NEEDLE"))
    assert answer["isComplete"] is True
    (hit,) = answer["items"]
    assert (hit["flowId"], hit["flowName"], hit["match"]) == (other.flow_id, "Other", "needle")
    assert hit["path"] == "config.messageContent"


def test_a_search_has_an_end(store: Store, flow: FlowPage, monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [{"nodeId": f"n{n}", "nodeType": "MESSAGE", "config": {"label": "same"}} for n in range(250)]
    ok(flow.save({"nodes": nodes}))
    for path in (f"{flow.path}/search", f"/api/bots/{flow.bot_id}/search"):
        answer = ok(flow.person.get(path, q="same"))
        assert (len(answer["items"]), answer["isComplete"]) == (200, False)
    for number in range(25):
        new_flow(store, flow.person, flow.bot_id, f"flow {number}")
    search = f"/api/bots/{flow.bot_id}/search"
    answer = ok(flow.person.get(search, q="openinghours"))
    assert (len(answer["items"]), answer["isComplete"]) == (25, True)
    monkeypatch.setattr(api.routes.search, "MOST_NODES_SEEN", 300)
    assert ok(flow.person.get(search, q="openinghours"))["isComplete"] is False


@pytest.mark.parametrize("query", [{}, {"q": ""}, {"q": "x" * 201}, {"q": "x", "regex": "1"}], ids=str)
def test_a_bad_question_is_refused(flow: FlowPage, query: dict[str, str]) -> None:
    assert flow.person.get(f"{flow.path}/search", **query).status == 422
    assert flow.person.get(f"/api/bots/{flow.bot_id}/search", **query).status == 422
