"""What was said, what ran, which way was taken, what was called: of tests in full, of customers what may be shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.model.control import ControlAction
from tests.api.talks import Talks, at, everything, ok, sessions_of, talking, wait_until
from tests.support.controls import control
from tests.support.flows import ask, call, count, end, flow, say, wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.world import Bot, Json

SECRET = "sk-live-0123456789abcdefghij"


@pytest.fixture(scope="module")
def talks(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talks]:
    with talking(mongo_uri, tmp_path_factory.mktemp("transcript")) as talks:
        yield talks


def shop(talks: Talks) -> Json:
    """Asks what is wanted, asks the CRM and the model, and says what came of it."""
    headers = [
        {"key": "Authorization", "value": f"Bearer {SECRET}"},
        {"key": "X-Shop", "value": "ducks"},
    ]
    params = [{"key": "api_key", "value": SECRET}, {"key": "for", "value": "{{userPhone}}"}]
    order = call(
        f"{talks.world.crm('echo')}?tab=orders",
        headers=headers,
        queryParams=params,
        body={"wish": "{{wish}}", "password": "hunter2", "note": f"use {SECRET}"},
    )
    prompt = {"model": "gpt-4", "systemPrompt": "You sell {{wish}}.", "userPrompt": "{{lastMessage}}"}
    nodes = {
        "ask": ask("What do you want?", "wish"),
        "order": order,
        "advise": ("AI", {**prompt, "storeResponseIn": "advice", "includeHistory": True}),
        "choose": ("BUTTON", {
            "messageText": "Go on?",
            "buttons": [{"buttonId": "yes", "label": "Yes"}, {"buttonId": "no", "label": "No"}],
            "fallback": {"message": "Please tap."},
        }),
        "check": ("CONDITION", {
            "conditionType": "LOGICAL_EXPRESSION",
            "branches": [
                {"branchId": "ducks", "label": "Ducks", "expression": '{{wish}} == "ducks"'},
                {"branchId": "geese", "label": "Geese", "expression": '{{wish}} == "geese"'},
            ],
        }),
        "sorry": end("Sorry"),
        "bye": end("Here are your {{wish}}"),
    }  # fmt: skip
    edges = (
        "start > ask, ask.success > order, ask.failure > sorry, order.success > advise, order.failure > sorry, "
        "advise.success > choose, advise.failure > sorry, choose.yes > check, choose.no > sorry, "
        "choose.fallback > choose, check.ducks > sorry, check.geese > bye, check.default > sorry"
    )
    return flow(nodes, edges)


ANSWER = "We are open Monday to Friday, 9:00 to 18:00."


@pytest.fixture(scope="module")
def customer(talks: Talks) -> tuple[Bot, str]:
    """A customer who bought geese; the bot and the session's id."""
    bot = talks.world.bot(shop(talks))
    person = bot.person()
    for text, count_ in (("hi", 1), ("geese", 3), ("yes", 4)):
        bot.say(person, text)
        bot.wait_for(person, count_)
    bot.drain()
    (session,) = sessions_of(talks.owner(bot), bot)
    return bot, session["id"]


@pytest.fixture(scope="module")
def tested(talks: Talks) -> tuple[Bot, str]:
    """A tester who bought geese."""
    bot = talks.world.bot(shop(talks))
    tester = talks.tester(bot, shop(talks))
    said = ["What do you want?"]
    tester.say("hi")
    tester.wait_for(*said)
    tester.say("geese")
    wait_until(lambda: len(tester.texts()) == 3, "the buttons")
    tester.say("1")
    wait_until(lambda: len(tester.texts()) == 4, "the end")
    return bot, tester.session()["_id"]


def test_both_sides_with_what_became_of_each(talks: Talks, customer: tuple[Bot, str]) -> None:
    bot, session = customer
    messages = everything(talks.owner(bot), at(bot, session, "/messages"), limit=2)
    assert [(message["direction"], message["text"]) for message in messages] == [
        ("IN", "hi"), ("OUT", "What do you want?"), ("IN", "geese"), ("OUT", messages[3]["text"]),
        ("OUT", "Go on?"), ("IN", "yes"), ("OUT", "Here are your geese"),
    ]  # fmt: skip
    heard, said, asked = messages[0], messages[1], messages[4]
    assert (heard["status"], heard["deliveredAt"], heard["note"], heard["buttons"]) == (
        "RECEIVED",
        None,
        None,
        None,
    )
    assert (said["status"], said["attempts"], said["isWaiting"], said["error"]) == (
        "DELIVERED",
        1,
        False,
        None,
    )
    assert said["createdAt"] <= said["acceptedAt"]
    assert said["sentOnAt"] <= said["deliveredAt"]
    assert [button["title"] for button in asked["buttons"]] == ["Yes", "No"]
    newest = ok(talks.owner(bot).get(at(bot, session, "/messages"), order="newest", limit=2)).json["items"]
    assert [message["text"] for message in newest] == ["Here are your geese", "yes"]


def test_what_moved_nothing_says_why_and_stands_where_it_came(talks: Talks) -> None:
    """During a delay, while a person had taken over, and behind the end of a session: none of it is lost."""
    nodes = {"begin": say("wait"), "wait": wait(0.8), "done": ask("done?"), "end": end("bye")}
    edges = "start > begin, begin > wait, wait > done, done.success > end, done.failure > end"
    bot = talks.world.bot(flow(nodes, edges))
    person, owner = bot.person(), talks.owner(bot)
    control(bot, person, ControlAction.PAUSE)
    bot.say(person, "anybody?")
    bot.drain()
    control(bot, person, ControlAction.RESUME)
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    bot.say(person, "faster")
    bot.wait_for(person, 2)
    bot.say(person, "ok")
    bot.wait_for(person, 3)
    control(bot, person, ControlAction.PAUSE)
    bot.say(person, "hello?")
    bot.drain()
    control(bot, person, ControlAction.RESUME)
    bot.say(person, "again")
    bot.wait_for(person, 4)
    bot.drain()
    second, first = sessions_of(owner, bot)

    def read(path: str, **query: Any) -> list[tuple[str, str | None]]:
        return [(message["text"], message["note"]) for message in everything(owner, path, limit=3, **query)]

    assert read(at(bot, first, "/messages")) == [
        ("hi", None), ("wait", None), ("faster", "during_delay"), ("done?", None), ("ok", None), ("bye", None),
        ("hello?", "bot_paused"),
    ]  # fmt: skip
    assert read(at(bot, second, "/messages"))[0] == ("again", None)
    everything_said = read(f"/api/bots/{bot.bot_id}/messages", contactId=first["contactId"])
    assert everything_said[0] == ("anybody?", "bot_paused"), "it came before any session"
    assert len(everything_said) == 10
    note = ok(owner.get(at(bot, first, "/messages"))).json["items"][2]["noteText"]
    assert note == "Arrived during a delay."
    timeline = [
        entry["message"]["text"]
        for entry in everything(owner, at(bot, first, "/timeline"), limit=1)
        if entry["kind"] == "MESSAGE"
    ]
    assert timeline == [text for text, _ in read(at(bot, first, "/messages"))]


def test_messages_that_did_not_arrive(talks: Talks) -> None:
    bot, other = (talks.world.bot(flow({"end": end("Hello")}, "start > end")) for _ in range(2))
    good = bot.person()
    bot.say(good, "hi")
    bot.wait_for(good, 1)
    bot.drain()
    owner = talks.owner(bot)
    path = f"/api/bots/{bot.bot_id}/messages"
    assert ok(owner.get(path)).json["items"] == []
    messages = talks.world.store.database["messages"]
    failed = messages.find_one({"botId": bot.bot_id, "direction": "OUT"})
    assert failed is not None
    error = {"code": 131026, "title": "Undeliverable", "error_data": {"details": "No such user."}}
    fields = {"status": "FAILED", "rank": 60, "error": error}
    messages.update_one({"_id": failed["_id"]}, {"$set": fields})
    (item,) = ok(owner.get(path)).json["items"]
    assert item["id"] == failed["_id"]
    assert item["error"] == {"code": "131026", "message": "No such user."}
    assert ok(owner.get(path, status="UNKNOWN")).json["items"] == []
    assert len(ok(owner.get(path, status="FAILED,UNKNOWN")).json["items"]) == 1
    assert ok(owner.get(path, status="FAILED", to=item["createdAt"])).json["items"] == []
    assert ok(owner.get(path, status="FAILED", **{"from": item["createdAt"]})).json["items"] == [item]
    assert ok(talks.owner(other).get(f"/api/bots/{other.bot_id}/messages")).json["items"] == []
    for query, wrong in (
        ({"status": "READ"}, "status"),
        ({"contactId": "c", "status": "FAILED"}, "status"),
        ({"order": "newest"}, "order"),
    ):
        answer = owner.get(path, **query)
        assert (answer.status, list(answer.fields)) == (422, [wrong]), answer.text


# The log


def test_steps_of_a_test_hold_what_went_in_and_came_out(talks: Talks, tested: tuple[Bot, str]) -> None:
    bot, session = tested
    steps = everything(talks.owner(bot), at(bot, session, "/steps"), limit=4)
    places = [(step["turn"], step["place"]) for step in steps]
    assert places == sorted(places)
    by_node = {
        step["nodeId"]: step for step in steps if step["handle"] is not None or step["nodeId"] == "bye"
    }
    asked = by_node["ask"]
    assert (asked["handle"], asked["nextNodeId"], asked["outputs"]) == ("success", "order", {"wish": "geese"})
    assert asked["event"]["kind"] == "MESSAGE"
    assert asked["event"]["text"] == "geese"
    checked = by_node["check"]
    assert (checked["handle"], checked["inputs"]) == ("geese", {"wish": "geese"})
    assert checked["detail"]["saw"] == {"wish": "geese"}
    assert by_node["choose"]["detail"]["button"] == "yes"
    assert by_node["bye"]["sent"] == 1
    assert by_node["order"]["outputs"]["apiResponse"]
    newest = ok(talks.owner(bot).get(at(bot, session, "/steps"), order="newest", limit=3)).json
    assert newest["items"] == list(reversed(steps))[:3]
    more = ok(
        talks.owner(bot).get(at(bot, session, "/steps"), order="newest", cursor=newest["nextCursor"])
    ).json["items"]
    assert more == list(reversed(steps))[3:]


def test_steps_of_a_customer_hold_events_and_the_way(talks: Talks, customer: tuple[Bot, str]) -> None:
    bot, session = customer
    answer = ok(talks.owner(bot).get(at(bot, session, "/steps")))
    steps = answer.json["items"]
    assert [step["event"]["kind"] for step in steps if step["event"]] == [
        "MESSAGE", "MESSAGE", "ANSWER", "ANSWER", "MESSAGE",
    ]  # fmt: skip
    assert all(step[name] is None for step in steps for name in ("inputs", "outputs", "deleted"))
    checked = next(step for step in steps if step["nodeId"] == "check")
    assert checked["detail"] == {"branch": "Geese"}
    assert SECRET not in answer.text


def test_the_way_with_the_exits_that_were_not_taken(talks: Talks, customer: tuple[Bot, str]) -> None:
    bot, session = customer
    path = ok(talks.owner(bot).get(at(bot, session, "/path"))).json
    assert path["isComplete"]
    assert [step["nodeId"] for step in path["steps"]] == [
        "start",
        "ask",
        "order",
        "advise",
        "choose",
        "check",
    ]
    checked = path["steps"][-1]
    assert [(each["handle"], each["label"], each["isChosen"]) for each in checked["exits"]] == [
        ("ducks", "Ducks", False), ("geese", "Geese", True), ("default", "None of these", False),
    ]  # fmt: skip
    times = {(edge["sourceNodeId"], edge["sourceHandle"]): edge["times"] for edge in path["edges"]}
    assert times["ask", "success"] == 1
    assert times["ask", "failure"] == 0
    assert times["choose", "no"] == 0
    document = talks.world.store.bots.version(bot.version_id)
    assert document is not None
    for edge in path["edges"]:
        drawn = next(each for each in document.flow_data["edges"] if each["edgeId"] == edge["edgeId"])
        assert (drawn["sourceNodeId"], drawn["targetNodeId"]) == (edge["sourceNodeId"], edge["targetNodeId"])


def test_a_circle_counts_its_edges(talks: Talks) -> None:
    nodes = {"count": count(), "ask": ask("{{n}}"), "bye": end()}
    bot = talks.world.bot(flow(nodes, "start > count, count > ask, ask.success > count, ask.failure > bye"))
    person = bot.person()
    for place in range(3):
        bot.say(person, "on")
        bot.wait_for(person, place + 1)
    bot.drain()
    owner = talks.owner(bot)
    path = ok(owner.get(at(bot, sessions_of(owner, bot)[0], "/path"))).json
    times = {(edge["sourceNodeId"], edge["sourceHandle"]): edge["times"] for edge in path["edges"]}
    assert times == {
        ("start", "output"): 1,
        ("count", "output"): 3,
        ("ask", "success"): 2,
        ("ask", "failure"): 0,
    }


# Calls


def test_calls_of_a_test_are_shown_in_full_but_for_secrets(talks: Talks, tested: tuple[Bot, str]) -> None:
    bot, session = tested
    answer = ok(talks.owner(bot).get(at(bot, session, "/calls")))
    http, chat = answer.json["items"]
    assert (http["kind"], http["state"], http["isComplete"], http["attempts"]) == (
        "HTTP",
        "ANSWERED",
        True,
        1,
    )
    assert http["durationMs"] > 0
    assert http["askedAt"] <= http["answeredAt"]
    asked = http["http"]
    assert (asked["method"], asked["status"]) == ("POST", 200)
    assert asked["url"].endswith("/crm/echo?tab=orders")
    assert asked["headers"] == [
        {"name": "Authorization", "value": "••••"},
        {"name": "X-Shop", "value": "ducks"},
    ]
    assert asked["query"][0] == {"name": "api_key", "value": "••••"}
    assert asked["query"][1]["value"]
    assert asked["body"] == {"wish": "geese", "password": "••••", "note": "use ••••"}
    assert asked["responseBody"]["body"]["wish"] == "geese"
    assert chat["kind"] == "CHAT"
    said = chat["chat"]
    assert said["messages"][0] == {"role": "system", "text": "You sell geese."}
    assert said["messages"][-1] == {"role": "user", "text": "geese"}
    assert {"role": "assistant", "text": "What do you want?"} in said["messages"]
    assert said["answer"]
    assert said["promptTokens"] > 0
    assert said["costUsd"] > 0
    assert SECRET not in answer.text
    assert "hunter2" not in answer.text
    first = ok(talks.owner(bot).get(at(bot, session, "/calls"), limit=1)).json
    rest = ok(talks.owner(bot).get(at(bot, session, "/calls"), limit=1, cursor=first["nextCursor"])).json
    assert [*first["items"], *rest["items"]] == [http, chat]
    assert rest["nextCursor"] is None


def test_calls_of_a_customer_show_where_they_went_and_how_they_ended(
    talks: Talks, customer: tuple[Bot, str]
) -> None:
    bot, session = customer
    answer = ok(talks.owner(bot).get(at(bot, session, "/calls")))
    http, chat = answer.json["items"]
    assert http["http"]["url"].endswith("/crm/echo")
    assert (http["http"]["method"], http["http"]["status"], http["isComplete"]) == ("POST", 200, False)
    hidden = ("query", "headers", "body", "responseHeaders", "responseBody")
    assert [http["http"][name] for name in hidden] == [None] * 5
    assert (chat["chat"]["messages"], chat["chat"]["answer"]) == (None, None)
    assert chat["chat"]["model"].startswith("gpt-4")
    assert chat["chat"]["costUsd"] > 0
    for text in ("geese", SECRET, "orders", "hunter2"):
        assert text not in answer.text


def test_a_call_that_failed_and_one_that_is_out(talks: Talks) -> None:
    nodes = {"call": call("http://169.254.169.254/latest"), "done": end("done"), "failed": end("failed")}
    bot = talks.world.bot(flow(nodes, "start > call, call.success > done, call.failure > failed"))
    owner, person = talks.owner(bot), bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    (failed,) = ok(owner.get(at(bot, sessions_of(owner, bot)[0], "/calls"))).json["items"]
    assert (failed["state"], failed["error"]["code"]) == ("FAILED", "api.blocked_address")
    slow = talks.world.bot(
        flow({"call": call(talks.world.crm("echo")), "done": end("done")}, "start > call, call.success > done, call.failure > done")
    )  # fmt: skip
    talks.world.peers.fault("latency", endpoint="crm.echo", seconds=1, times=1)
    slow.say(person, "hi")
    owner = talks.owner(slow)
    wait_until(lambda: sessions_of(owner, slow), "it began")
    (out,) = ok(owner.get(at(slow, sessions_of(owner, slow)[0], "/calls"))).json["items"]
    assert (out["state"], out["answeredAt"], out["durationMs"]) == ("WAITING", None, None)
    slow.wait_for(person, 1)
    slow.drain()
