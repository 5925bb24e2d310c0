"""Trying a draft over the API: messages, the debugger's commands, stand-ins; with a real worker and timer behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from api.app import create_app
from common.clock import utc_now
from common.ids import new_ulid
from common.store.indexes import Retention, ensure_indexes
from common.store.store import Store
from scripts.local.stack import Stack
from tests.api.person import Person
from tests.api.simulated import Json, Trial, give_bot, somebody
from tests.http.web_setup import ENCRYPTION_KEYS, settings_for
from tests.support.flows import ask, echo, end, flow, say, wait
from tests.support.waiting import wait_until
from tests.support.world import SMALL

if TYPE_CHECKING:
    from flask import Flask
    from pymongo import MongoClient


@dataclass
class House:
    """The application and what runs behind it."""

    app: Flask
    store: Store
    ann: Person = field(init=False)

    def __post_init__(self) -> None:
        self.ann = somebody(self.app, self.store)

    def trial(self, flow_data: Json, **more: Any) -> Trial:
        bot_id, (flow_id,) = give_bot(self.store.database, self.ann, flow_data)
        return Trial(self.ann, self.store, bot_id, flow_id, **more)


@pytest.fixture(scope="module")
def house(
    mongo_uri: str, _mongo_client: MongoClient[Json], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    database = _mongo_client[f"test_{new_ulid()}"]
    ensure_indexes(database, Retention())
    app = create_app(settings_for(mongo_uri, database.name, api_requests_per_minute=1_000_000))
    settings = {**SMALL, "ENCRYPTION_KEYS": ENCRYPTION_KEYS}
    with Stack(tmp_path_factory.mktemp("simulator"), mongo_uri, database.name, settings) as stack:
        stack.start_worker()
        stack.start_timer()
        yield House(app, app.extensions["web"].store)
    app.extensions["web"].store.close()
    _mongo_client.drop_database(database.name)


def delayed() -> Json:
    nodes = {"begin": say("wait"), "wait": wait(3600), "done": ask("done"), "end": end()}
    return flow(nodes, "start > begin, begin > wait, wait > done, done.success > end, done.failure > end")


def test_a_message_is_accepted_as_a_job_and_the_draft_answers(house: House) -> None:
    trial = house.trial(echo("{{userName}} {{userPhone}} "))
    answer = trial.send(text="hi", name="Ada")
    assert answer.status == 202
    assert answer.json["versionId"] == f"draft:{trial.flow_id}:1"
    trial.wait_for("Ada 491701234567 1:hi")
    job = house.store.jobs.find(answer.json["messageId"])
    assert job is not None
    assert (job["kind"], job["lane"]) == ("MESSAGE", f"sim:{trial.conversation_id}")
    state = trial.state()
    assert state["phoneNumber"] == "491701234567"
    assert state["session"]["status"] == "PAUSED"
    assert state["session"]["currentNodeId"] == "ask"
    assert state["session"]["wait"]["kind"] == "REPLY"
    assert [(v["name"], v["type"], v["value"]) for v in state["session"]["variables"]] == [("n", "NUMBER", 1)]
    assert state["window"]["isOpen"]


def test_the_same_key_sends_the_message_once(house: House) -> None:
    trial = house.trial(echo())
    body = {"botId": trial.bot_id, "flowId": trial.flow_id, "phoneNumber": "491701234567", "text": "hi"}
    answers = [
        house.ann.post("/api/simulator/message", body, Idempotency_Key="a-key-of-mine") for _ in range(2)
    ]
    assert answers[0].json == answers[1].json
    trial.conversation_id = answers[0].json["conversationId"]
    trial.wait_for("1:hi")
    assert house.store.database["jobs"].count_documents({"lane": f"sim:{trial.conversation_id}"}) == 1


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({}, "text"),
        ({"text": "a", "media": {"type": "image"}}, "text"),
        ({"text": ""}, "text"),
        ({"text": "x" * 4097}, "text"),
        ({"text": {"$gt": ""}}, "text"),
        ({"text": "a", "phoneNumber": "call me"}, "phoneNumber"),
        ({"text": "a", "phoneNumber": "١٢٣٤٥٦٧"}, "phoneNumber"),
        ({"text": "a", "phoneNumber": "1" * 16}, "phoneNumber"),
        ({"text": "a", "versionId": "x"}, "versionId"),
        ({"media": {"type": "hologram"}}, "media"),
        ({"button": {"title": "Yes"}}, "button"),
    ],
)
def test_what_is_no_message_is_refused_with_the_reason(house: House, change: Json, wrong: str) -> None:
    trial = house.trial(echo())
    answer = trial.send(**change)
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert wrong in answer.fields
    assert house.store.database["jobs"].count_documents({"botId": trial.bot_id}) == 0


def test_nobody_tries_the_flows_of_others(house: House) -> None:
    trial = house.trial(echo())
    trial.say("hi")
    trial.wait_for("1:hi")
    bob = somebody(house.app, house.store)
    his_bot, (his_flow,) = give_bot(house.store.database, bob, echo())
    for bot_id, flow_id in (
        (trial.bot_id, trial.flow_id),
        (his_bot, trial.flow_id),
        (trial.bot_id, his_flow),
    ):
        answer = Trial(bob, house.store, bot_id, flow_id).send(text="hi")
        assert (answer.status, answer.code) == (404, "not_found")
    assert bob.get(trial.path).status == 404
    assert bob.get(trial.path.replace(trial.bot_id, his_bot)).status == 404
    assert bob.post(f"{trial.path.replace(trial.bot_id, his_bot)}/reset").status == 404
    admin = somebody(house.app, house.store, "ADMIN")
    assert Trial(admin, house.store, trial.bot_id, trial.flow_id).send(text="hi").status == 403
    assert admin.get(trial.path).status == 403


def test_buttons_are_tapped_and_media_is_a_kind_of_answer(house: House) -> None:
    buttons = {
        "messageText": "well?",
        "buttons": [{"buttonId": "a", "label": "A"}, {"buttonId": "b", "label": "B"}],
    }
    nodes = {"pick": ("BUTTON", buttons), "a": ask("took A"), "b": end("took B"), "end": end()}
    edges = "start > pick, pick.a > a, pick.b > b, a.success > end, a.failure > end"
    trial = house.trial(flow(nodes, edges))
    trial.say("hi")
    trial.wait_for("well?")
    offered = trial.messages()[-1]["buttons"][0]
    assert trial.send(button={"id": offered["buttonId"], "title": offered["title"]}).status == 202
    trial.wait_for("well?", "took A")
    answer = trial.send(media={"type": "image", "caption": "look"})
    wait_until(lambda: trial.messages()[-1]["_id"] != offered and len(trial.messages()) >= 5, "an image")
    (image,) = (m for m in trial.messages() if m["_id"] == answer.json["messageId"])
    assert (image["messageType"], image["whatsappType"]) == ("IMAGE", "image")


def test_a_reset_takes_up_the_draft_as_it_is_then(house: House) -> None:
    trial = house.trial(echo("old "))
    trial.say("a")
    trial.wait_for("old 1:a")
    trial.change_draft(echo("new "))
    assert trial.send(text="b").json["versionId"] == f"draft:{trial.flow_id}:2"
    trial.wait_for("old 1:a", "old 2:b")
    answer = trial.do("reset")
    assert answer.status == 200
    assert answer.json["control"]["outcome"] == "APPLIED"
    assert answer.json["conversation"]["session"]["status"] == "CLOSED"
    trial.say("c")
    trial.wait_for("old 1:a", "old 2:b", "new 1:c")


def test_a_draft_that_is_nonsense_can_be_tried_as_far_as_it_goes(house: House) -> None:
    trial = house.trial({"nodes": "none"})
    trial.say("hi")
    wait_until(lambda: trial.state()["session"], "a session")
    assert trial.state()["session"]["status"] == "FAILED"


def test_the_clock_moves_on_and_timers_fire(house: House) -> None:
    trial = house.trial(delayed())
    trial.say("hi")
    trial.wait_for("wait")
    moved = trial.do("clock", {"seconds": 600})
    assert moved.status == 200
    assert moved.json["conversation"]["clock"]["offsetSeconds"] == 600
    assert trial.do("clock", {"toNextTimer": True}).status == 200
    trial.wait_for("wait", "done")
    refused = trial.do("clock", {"toNextTimer": True})
    assert (refused.status, refused.code) == (409, "control_refused")
    trial.do("clock", {"seconds": 90_000})
    assert not trial.state()["window"]["isOpen"]


@pytest.mark.parametrize(
    "body", [{}, {"seconds": 0}, {"seconds": -1}, {"seconds": 1e12}, {"seconds": 5, "toNextTimer": True}]
)
def test_a_clock_that_cannot_move_so_is_refused(house: House, body: Json) -> None:
    trial = house.trial(delayed())
    trial.open()
    assert trial.do("clock", body).status == 422


def test_breakpoints_are_set_before_anything_is_said(house: House) -> None:
    trial = house.trial(echo())
    assert trial.open()["session"] is None
    answer = trial.do("breakpoints", {"nodeIds": ["count", "count"]}, method="PUT")
    assert answer.json["conversation"]["breakpoints"] == ["count"]
    assert (
        trial.do("breakpoints", {"nodeIds": ["count"]}, method="PUT").json["control"]["outcome"]
        == "UNCHANGED"
    )
    trial.say("hi")
    wait_until(lambda: trial.state()["session"], "a session")
    assert trial.state()["session"]["wait"]["kind"] == "BREAKPOINT"
    trial.say("early")
    wait_until(lambda: trial.state()["session"]["heldMessages"] == 1, "the message is kept")
    assert trial.do("go-on", {"action": "STEP"}).json["conversation"]["session"]["currentNodeId"] == "ask"
    trial.do("breakpoints", {"nodeIds": []}, method="PUT")
    assert trial.do("go-on", {"action": "CONTINUE"}).status == 200
    trial.wait_for("1:hi", "2:early")
    assert (trial.do("go-on", {"action": "STEP"}).code) == "control_refused"


def test_variables_are_set_and_deleted(house: House) -> None:
    trial = house.trial(echo())
    trial.open()
    assert (
        trial.do("variables/n", {"value": 1}, method="PUT").code == "control_refused"
    )  # nothing is under way
    trial.say("a")
    trial.wait_for("1:a")
    answer = trial.do("variables/n", {"value": "41", "type": "NUMBER"}, method="PUT")
    (variable,) = answer.json["conversation"]["session"]["variables"]
    assert (variable["value"], variable["type"]) == (41, "NUMBER")
    assert trial.do("variables/sessionId", {"value": 1}, method="PUT").code == "control_refused"
    assert trial.do("variables/n", {"value": "x", "type": "NUMBER"}, method="PUT").status == 409
    trial.say("b")
    trial.wait_for("1:a", "42:b")
    deleted = trial.do("variables/n", method="DELETE")
    assert [v["name"] for v in deleted.json["conversation"]["session"]["variables"]] == ["answer"]
    assert trial.do("variables/n", method="DELETE").status == 409


def calling() -> Json:
    call = {
        "method": "GET",
        "url": "https://api.test/",
        "responseMapping": [{"jsonPath": "$.name", "variableName": "x"}],
    }
    nodes = {"call": ("API", call), "good": end("hello {{x}}"), "bad": end("it failed")}
    return flow(nodes, "start > call, call.success > good, call.failure > bad")


def test_stand_ins_are_written_listed_recorded_and_deleted(house: House) -> None:
    trial = house.trial(calling())
    path = f"/api/bots/{trial.bot_id}/flows/{trial.flow_id}/stand-ins"
    trial.open()
    assert trial.do("calls", {"calls": "STAND_IN"}, method="PUT").json["conversation"]["calls"] == "STAND_IN"
    trial.say("hi")
    trial.wait_for("it failed")
    made = house.ann.put(f"{path}/call", {"kind": "HTTP", "answer": {"status": 200, "body": {"name": "Ada"}}})
    assert made.status == 200
    assert made.json["answer"] == {"status": 200, "headers": {}, "body": {"name": "Ada"}}
    trial.say("hi")
    trial.wait_for("it failed", "hello Ada")
    house.ann.delete(f"{path}/call")
    recorded = house.ann.post(f"{path}/record", {"conversationId": trial.conversation_id})
    assert recorded.status == 200
    (item,) = recorded.json["items"]
    assert (item["nodeId"], item["isRecorded"], item["answer"]["body"]) == ("call", True, {"name": "Ada"})
    assert house.ann.get(path).json["items"] == recorded.json["items"]
    assert house.ann.delete(f"{path}/call").status == 204
    assert house.ann.delete(f"{path}/call").status == 404
    nothing = house.ann.post(
        f"{path}/record", {"conversationId": trial.conversation_id, "nodeIds": ["other"]}
    )
    assert nothing.json["items"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"kind": "HTTP", "answer": {}},
        {"kind": "HTTP", "answer": {"text": "x"}},
        {"kind": "CHAT", "answer": {"status": 200}},
        {"kind": "HTTP", "answer": {"status": 99}},
        {"kind": "HTTP", "answer": {"status": 200, "failure": {}}},
        {"kind": "SMTP", "answer": {"text": "x"}},
    ],
)
def test_a_stand_in_that_answers_nothing_is_refused(house: House, body: Json) -> None:
    trial = house.trial(calling())
    path = f"/api/bots/{trial.bot_id}/flows/{trial.flow_id}/stand-ins/call"
    assert house.ann.put(path, body).status == 422


def test_a_stand_ins_odd_keys_come_back_as_they_were(house: House) -> None:
    trial = house.trial(calling())
    path = f"/api/bots/{trial.bot_id}/flows/{trial.flow_id}/stand-ins"
    body = {"$where": "1", "a.b": [{"": None}], "__proto__": {"x": 2**53}}
    house.ann.put(f"{path}/call", {"kind": "HTTP", "answer": {"status": 200, "body": body}})
    assert house.ann.get(path).json["items"][0]["answer"]["body"] == body


def test_conversations_are_listed_by_flow_in_pages(house: House) -> None:
    bot_id, (one, other) = give_bot(house.store.database, house.ann, echo(), echo())
    for number in range(3):
        Trial(house.ann, house.store, bot_id, one, phone=f"49170000000{number}").open()
    Trial(house.ann, house.store, bot_id, other).open()
    path = f"/api/bots/{bot_id}/simulator/conversations"
    first = house.ann.get(path, flowId=one, limit=2).json
    rest = house.ann.get(path, flowId=one, limit=2, cursor=first["nextCursor"]).json
    listed = [item["phoneNumber"] for item in first["items"] + rest["items"]]
    assert sorted(listed) == [f"49170000000{number}" for number in range(3)]
    assert rest["nextCursor"] is None
    assert house.ann.get(path).status == 422


def test_opening_twice_is_one_conversation_and_the_name_can_change(house: House) -> None:
    trial = house.trial(echo())
    first = trial.open()
    again = Trial(house.ann, house.store, trial.bot_id, trial.flow_id, phone="49170-123 45.67").open()
    assert again["id"] == first["id"]
    trial.send(text="hi", name="Grace")
    assert trial.state()["name"] == "Grace"
    assert trial.open()["name"] == "Grace"


def test_without_a_worker_the_answer_says_that_the_control_waits(
    api: Flask, store: Store, ann: Person
) -> None:
    bot_id, (flow_id,) = give_bot(store.database, ann, echo())
    trial = Trial(ann, store, bot_id, flow_id)
    trial.open()
    answer = trial.do("reset")
    assert answer.status == 202
    assert answer.json["control"]["state"] == "WAITING"
    assert answer.json["conversation"]["session"] is None


def test_the_version_that_a_test_runs_on_is_kept_while_it_is_used(house: House) -> None:
    trial = house.trial(echo())
    trial.say("a")
    trial.wait_for("1:a")
    trial.change_draft(echo("new "))
    versions, version_id = house.store.database["test_versions"], f"draft:{trial.flow_id}:1"
    nearly_gone = utc_now() - timedelta(days=2, hours=23)

    def is_kept_after(use: Callable[[], object]) -> bool:
        versions.update_one({"_id": version_id}, {"$set": {"usedAt": nearly_gone}})
        use()
        found = versions.find_one({"_id": version_id})
        return found is not None and found["usedAt"] > utc_now() - timedelta(minutes=5)

    assert is_kept_after(lambda: trial.say("b"))
    trial.wait_for("1:a", "2:b")
    assert is_kept_after(lambda: trial.do("clock", {"seconds": 60}))
    assert not is_kept_after(trial.state), "looking is no use"
