"""Flow settings over HTTP: triggers that cannot collide, fallbacks that lead somewhere, the default flow."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.deploy_setup import Flow, make_bot, make_flow

if TYPE_CHECKING:
    from common.store.store import Store
    from tests.api.person import Answer, Person

HELP = {"text": "Help", "match": "EXACT", "interrupts": False}


@pytest.fixture
def menu(ann: Person, store: Store) -> Flow:
    return make_flow(ann, store, make_bot(ann, store), "Menu")


@pytest.fixture
def orders(menu: Flow) -> Flow:
    return make_flow(menu.person, menu.store, menu.bot_id, "Orders")


def test_settings_take_effect_without_a_deploy(menu: Flow, orders: Flow) -> None:
    menu.deploy()
    before = menu.bot()["configRevision"]
    answer = menu.set(
        restartPolicy="FALLBACK_FLOW",
        fallbackFlowId=orders.flow_id,
        triggers=[HELP, {"text": "menu", "match": "CONTAINS", "interrupts": True}, {"text": "start"}],
    )
    assert answer.status == 200, answer.text
    assert answer.json == menu.settings()
    assert answer.json["fallbackFlowId"] == orders.flow_id
    assert answer.json["triggers"][2] == {"text": "start", "match": "EXACT", "interrupts": False}
    assert menu.bot()["configRevision"] == before + 1
    config = menu.store.bots.load(menu.bot_id)
    assert config is not None
    (live,) = config.flows
    assert [(trigger.text, trigger.interrupts) for trigger in live.triggers] == [
        ("Help", False), ("menu", True), ("start", False)
    ]  # fmt: skip
    assert config.flow_settings[menu.flow_id].fallback_flow_id == orders.flow_id
    (entry,) = menu.audited("flow.settings_changed")
    assert entry["detail"]["after"]["settings"]["restartPolicy"] == "FALLBACK_FLOW"


def test_a_flow_without_settings_of_its_own_shows_those_of_its_version(menu: Flow) -> None:
    menu.deploy()
    menu.store.database["flow_versions"].update_one(
        {"flowId": menu.flow_id}, {"$set": {"flowData.settings": {"restartPolicy": "RESUME_LAST_NODE"}}}
    )
    menu.store.database["flows"].update_one(
        {"_id": menu.flow_id}, {"$unset": {"settings": "", "revision": "", "triggers": ""}}
    )
    found = menu.settings()
    assert (found["restartPolicy"], found["revision"], found["triggers"]) == ("RESUME_LAST_NODE", 0, [])
    answer = menu.set(restartPolicy="RESTART")
    assert (answer.status, answer.json["revision"], answer.json["restartPolicy"]) == (200, 1, "RESTART")


def test_a_stale_change_is_refused(menu: Flow) -> None:
    now = menu.settings()["revision"]
    assert menu.set(triggers=[HELP]).json["revision"] == now + 1
    answer = menu.set(revision=now, triggers=[])
    assert (answer.status, answer.code) == (409, "revision_conflict")
    assert (answer.fields["revision"], answer.fields["savedBy"]) == (now + 1, "ann@example.com")
    assert menu.settings()["triggers"] == [HELP]


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ({"text": " HELP "}, HELP),
        ({"text": "cafe\u0301"}, {"text": "CAFÉ"}),
        ({"text": "help", "match": "CONTAINS"}, {"text": "Help", "match": "CONTAINS"}),
        ({"text": "help", "match": "CONTAINS"}, {"text": "Help", "match": "STARTS_WITH"}),
    ],
)
def test_a_trigger_of_another_flow_is_refused(
    menu: Flow, orders: Flow, mine: dict[str, Any], theirs: dict[str, Any]
) -> None:
    assert orders.set(triggers=[{"text": "other"}, theirs]).status == 200
    answer = menu.set(triggers=[{"text": "fine"}, mine])
    assert (answer.status, answer.code) == (409, "trigger_conflict")
    assert (answer.fields["flowId"], answer.fields["flowName"]) == (orders.flow_id, "Orders")
    assert answer.fields["otherText"] == theirs["text"]
    assert "Orders" in answer.json["error"]["message"]
    assert menu.settings()["triggers"] == []
    assert orders.set(triggers=[{"text": "other"}]).status == 200
    assert menu.set(triggers=[mine]).status == 200


def test_triggers_that_have_their_use_beside_each_other(menu: Flow, orders: Flow, bob: Person) -> None:
    elsewhere = make_flow(bob, menu.store, make_bot(bob, menu.store))
    assert elsewhere.set(triggers=[HELP]).status == 200, "another bot is another matter"
    assert orders.set(triggers=[HELP]).status == 200
    wide = [{"text": "help", "match": "CONTAINS"}, {"text": "help me", "match": "STARTS_WITH"}]
    assert menu.set(triggers=wide).status == 200
    assert menu.set(triggers=wide).status == 200, "its own do not stand in its way"


def test_of_two_flows_that_want_the_same_trigger_at_once_one_gets_it(menu: Flow, orders: Flow) -> None:
    gate, answers = threading.Barrier(2), []
    bodies = {flow.flow_id: {**flow.settings(), "triggers": [HELP]} for flow in (menu, orders)}

    def change(flow: Flow) -> None:
        body = {
            key: value for key, value in bodies[flow.flow_id].items() if key not in ("flowId", "isDefault")
        }
        gate.wait(10)
        answers.append(flow.person.put(f"{flow.path}/settings", body))

    threads = [threading.Thread(target=change, args=(flow,)) for flow in (menu, orders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted((answer.status, answer.code or "") for answer in answers) == [
        (200, ""),
        (409, "trigger_conflict"),
    ]


def _why(answer: Answer) -> str:
    assert (answer.status, answer.code) == (422, "validation_failed")
    (why,) = answer.fields["fallbackFlowId"]
    return str(why)


def test_a_fallback_leads_somewhere(menu: Flow, orders: Flow, bob: Person) -> None:
    third = make_flow(menu.person, menu.store, menu.bot_id, "Third")
    his = make_flow(bob, menu.store, make_bot(bob, menu.store))
    hand_over = {"restartPolicy": "FALLBACK_FLOW"}
    assert "Choose" in _why(menu.set(**hand_over))
    assert "no such flow" in _why(menu.set(**hand_over, fallbackFlowId="nobody"))
    assert "no such flow" in _why(menu.set(**hand_over, fallbackFlowId=his.flow_id))
    assert "itself" in _why(menu.set(**hand_over, fallbackFlowId=menu.flow_id))
    assert menu.set(**hand_over, fallbackFlowId=orders.flow_id).status == 200
    assert orders.set(**hand_over, fallbackFlowId=third.flow_id).status == 200
    assert "hands over" in _why(third.set(**hand_over, fallbackFlowId=menu.flow_id))
    assert third.set(restartPolicy="RESTART", fallbackFlowId=menu.flow_id).status == 200, "it is not used"


@pytest.mark.parametrize(
    "change",
    [
        {"restartPolicy": "NEVER"},
        {"triggers": [{"text": "  "}]},
        {"triggers": [{"text": "a\nb"}]},
        {"triggers": [{"text": "x" * 101}]},
        {"triggers": [{"text": "x", "match": "REGEX"}]},
        {"triggers": [{"text": "x", "flowId": "y"}]},
        {"triggers": [{"text": str(number)} for number in range(21)]},
        {"triggers": [{"text": "Help"}, {"text": "help "}]},
        {"triggers": {"$ne": []}},
        {"fallbackFlowId": {"$ne": None}},
        {"revision": 2**60},
        {"revision": None},
    ],
)
def test_what_settings_cannot_be(menu: Flow, change: dict[str, Any]) -> None:
    answer = menu.set(**change)
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert menu.settings()["triggers"] == []


def test_the_default_flow_is_a_live_one(menu: Flow, orders: Flow, bob: Person) -> None:
    path = f"/api/bots/{menu.bot_id}/default-flow"
    menu.deploy()
    assert (menu.settings()["isDefault"], orders.settings()["isDefault"]) == (True, False)
    assert menu.person.put(path, {"flowId": orders.flow_id}).code == "conflict"
    orders.deploy()
    before = menu.bot()["configRevision"]
    answer = menu.person.put(path, {"flowId": orders.flow_id})
    assert answer.status == 200, answer.text
    assert answer.json == {"botId": menu.bot_id, "flowId": orders.flow_id}
    assert (menu.settings()["isDefault"], orders.settings()["isDefault"]) == (False, True)
    assert menu.bot()["configRevision"] == before + 1
    his = make_flow(bob, menu.store, make_bot(bob, menu.store))
    his.deploy()
    assert menu.person.put(path, {"flowId": his.flow_id}).code == "validation_failed"
    assert menu.bot()["activeFlowId"] == orders.flow_id
    assert menu.bot()["configRevision"] == before + 1, "a refused change is none"


def test_administrators_look_only(menu: Flow, admin: Person) -> None:
    assert admin.get(f"{menu.path}/settings").status == 200
    assert menu.set().status == 200
    body = {"revision": 2, "restartPolicy": "RESTART", "triggers": []}
    assert admin.put(f"{menu.path}/settings", body).status == 403
