"""Sessions in lists and alone: the filters, who sees what, and the price of a page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.api.talks import Talks, at, everything, ok, sessions_of, talking
from tests.support.flows import ask, count, end, flow, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.world import Bot, Json


@pytest.fixture(scope="module")
def talks(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talks]:
    with talking(mongo_uri, tmp_path_factory.mktemp("sessions")) as talks:
        yield talks


def lead() -> Json:
    """Asks for a name, counts, ends."""
    nodes = {"ask": ask("Your name?", "name"), "count": count(), "bye": end("Bye {{name}}")}
    return flow(nodes, "start > ask, ask.success > count, ask.failure > bye, count > bye")


@pytest.fixture(scope="module")
def busy(talks: Talks) -> tuple[Bot, list[str]]:
    """Three people: one done, one in the middle, one who came twice."""
    bot = talks.world.bot(lead())
    people = [bot.person() for _ in range(3)]
    for person, texts in zip(people, (["hi", "Ada"], ["hi"], ["hi", "Bob", "hi"]), strict=True):
        for place, text in enumerate(texts, 1):
            bot.say(person, text)
            bot.wait_for(person, place)
    bot.drain()
    return bot, people


def test_the_newest_comes_first_and_each_filter_finds_its_own(
    talks: Talks, busy: tuple[Bot, list[str]]
) -> None:
    bot, people = busy
    owner = talks.owner(bot)
    sessions = sessions_of(owner, bot)
    assert [session["phoneNumber"] for session in sessions] == [people[2], people[2], people[1], people[0]]
    assert [session["status"] for session in sessions] == ["PAUSED", "CLOSED", "PAUSED", "CLOSED"]
    waiting = sessions[0]
    assert (waiting["nodeId"], waiting["isTest"], waiting["waitsFor"]) == (
        "ask", False, {"kind": "REPLY", "until": None},
    )  # fmt: skip
    by = {
        "status": {"status": "PAUSED"},
        "two statuses": {"status": "PAUSED,CLOSED"},
        "version": {"versionId": bot.version_id},
        "node": {"versionId": bot.version_id, "nodeId": "ask"},
        "node and status": {"versionId": bot.version_id, "nodeId": "bye", "status": "FAILED"},
        "flow": {"flowId": waiting["flowId"]},
        "flow, status": {"flowId": waiting["flowId"], "status": "CLOSED"},
        "contact": {"contactId": waiting["contactId"]},
        "contact, node": {"contactId": waiting["contactId"], "nodeId": "bye"},
        "tests": {"isTest": "true"},
        "since": {"from": sessions[1]["createdAt"]},
        "until": {"to": sessions[1]["createdAt"]},
        "all": {
            "versionId": bot.version_id, "nodeId": "ask", "status": "PAUSED", "from": sessions[2]["createdAt"],
            "to": sessions[0]["createdAt"],
        },
    }  # fmt: skip
    found = {
        name: [sessions.index(session) for session in sessions_of(owner, bot, **query)]
        for name, query in by.items()
    }
    assert found == {
        "status": [0, 2],
        "two statuses": [0, 1, 2, 3],
        "version": [0, 1, 2, 3],
        "node": [0, 2],
        "node and status": [],
        "flow": [0, 1, 2, 3],
        "flow, status": [1, 3],
        "contact": [0, 1],
        "contact, node": [1],
        "tests": [],
        "since": [0, 1],
        "until": [2, 3],
        "all": [2],
    }


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ({"nodeId": "ask"}, "nodeId"),
        ({"versionId": "v", "flowId": "f"}, "flowId"),
        ({"versionId": "v", "isTest": "true"}, "isTest"),
        ({"status": "SLEEPING"}, "status"),
        ({"cursor": "12.3"}, "cursor"),
        ({"from": "yesterday"}, "from"),
        ({"limit": "0"}, "limit"),
        ({"wish": "1"}, "wish"),
    ],
)
def test_what_cannot_be_answered_is_refused(
    talks: Talks, busy: tuple[Bot, list[str]], query: dict[str, str], wrong: str
) -> None:
    bot, _ = busy
    answer = talks.owner(bot).get(f"/api/bots/{bot.bot_id}/sessions", **query)
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert list(answer.fields) == [wrong]


def test_pages_hold_each_session_once(talks: Talks, busy: tuple[Bot, list[str]]) -> None:
    bot, _ = busy
    owner = talks.owner(bot)
    path = f"/api/bots/{bot.bot_id}/sessions"
    whole = [session["id"] for session in sessions_of(owner, bot)]
    assert [session["id"] for session in everything(owner, path, limit=1)] == whole
    assert [session["id"] for session in everything(owner, path, limit=3, versionId=bot.version_id)] == whole


def test_a_session_with_what_its_ids_mean(talks: Talks, busy: tuple[Bot, list[str]]) -> None:
    bot, people = busy
    owner = talks.owner(bot)
    session = ok(owner.get(at(bot, sessions_of(owner, bot)[0]))).json
    assert (session["flowName"], session["versionNumber"], session["nodeLabel"]) == ("Flow", 1, "ask")
    contact = session["contact"]
    assert (contact["phoneNumber"], contact["isPaused"]) == (people[2], False)
    assert contact["name"]
    assert session["failure"] is None


def test_a_failed_session_says_why(talks: Talks) -> None:
    circle = flow({"a": say("round"), "ask": ask("?"), "bye": end()}, "start > a, a > a, ask.success > bye")
    bot = talks.world.bot(circle)
    person = bot.person()
    bot.say(person, "hi")
    bot.drain()
    owner = talks.owner(bot)
    (session,) = sessions_of(owner, bot, status="FAILED")
    failure = ok(owner.get(at(bot, session))).json["failure"]
    assert failure["code"] == "turn.too_many_steps"
    assert "circle" in failure["message"]
    seen_by_admin = ok(talks.admin().get(at(bot, session))).json["failure"]
    assert seen_by_admin == {"code": "turn.too_many_steps", "message": ""}


def test_an_administrator_sees_that_there_are_conversations_but_not_with_whom(
    talks: Talks, busy: tuple[Bot, list[str]]
) -> None:
    bot, people = busy
    admin = talks.admin()
    answer = ok(admin.get(f"/api/bots/{bot.bot_id}/sessions"))
    session = answer.json["items"][0]
    detail = ok(admin.get(at(bot, session)))
    assert session["phoneNumber"] == f"+{people[2][:2]}…{people[2][-3:]}"
    assert detail.json["contact"]["name"] is None
    for text in (answer.text, detail.text):
        assert not any(person in text for person in people)
        assert "Bob" not in text
    for rest in (
        "/messages", "/steps", "/path", "/calls", "/variables", "/timeline", "/timeline.json", "/timeline.pdf",
    ):  # fmt: skip
        assert admin.get(at(bot, session, rest)).status == 403, rest
    assert admin.get(f"/api/bots/{bot.bot_id}/messages").status == 403
    assert admin.post(at(bot, session, "/close")).status == 403


def test_somebody_elses_is_not_there(talks: Talks, busy: tuple[Bot, list[str]]) -> None:
    bot, _ = busy
    owner, stranger = talks.owner(bot), talks.owner(talks.world.bot(lead()))
    session = sessions_of(owner, bot)[0]
    others = talks.world.bot(lead())
    for path in (at(bot, session), at(others, session), at(bot, session, "/messages")):
        assert stranger.get(path).code == "not_found", path
    assert talks.owner(others).get(at(others, session)).code == "not_found"
    assert owner.get(at(bot, "01NONE")).code == "not_found"


# Variables


def test_variables_of_an_open_conversation_and_of_one_that_is_over(
    talks: Talks, busy: tuple[Bot, list[str]]
) -> None:
    nodes = {"ask": ask("Name?", "name"), "count": count(), "more": ask("More?", "more"), "bye": end("Bye")}
    edges = (
        "start > ask, ask.success > count, ask.failure > bye, count > more, "
        "more.success > bye, more.failure > bye"
    )
    bot = talks.world.bot(flow(nodes, edges), variables={"company": "Ducks & Co"})
    owner, person = talks.owner(bot), bot.person()
    for place, text in enumerate(("hi", "Ada"), 1):
        bot.say(person, text)
        bot.wait_for(person, place)
    bot.drain()
    (session,) = sessions_of(owner, bot)
    answer = ok(owner.get(at(bot, session, "/variables"))).json
    assert answer["source"] == "STORED"
    assert [(each["name"], each["type"], each["value"]) for each in answer["session"]] == [
        ("n", "NUMBER", 1), ("name", "STRING", "Ada"),
    ]  # fmt: skip
    assert all(each["updatedAt"] for each in answer["session"])
    assert [(each["name"], each["value"]) for each in answer["bot"]] == [("company", "Ducks & Co")]
    bot.say(person, "no")
    bot.wait_for(person, 3)
    bot.drain()
    over = ok(owner.get(at(bot, session, "/variables"))).json
    assert (over["source"], over["session"]) == ("GONE", [])
    assert busy


def test_the_variables_of_a_test_are_edited_and_outlast_it(talks: Talks) -> None:
    bot = talks.world.bot(lead())
    owner, tester = talks.owner(bot), talks.tester(bot, lead())
    tester.say("hi")
    tester.wait_for("Your name?")
    session = tester.session()["_id"]
    path = at(bot, session, "/variables/age")
    answer = ok(owner.put(path, {"value": "12", "type": "NUMBER"})).json
    assert (answer["control"]["state"], answer["control"]["outcome"]) == ("DONE", "APPLIED")
    told = json.loads(talks.world.store.execution_logs.steps(session)[-1]["detail"])["control"]
    assert told["sessionId"] == session, "this one, and no later one"
    (age,) = ok(owner.get(at(bot, session, "/variables"))).json["session"]
    assert (age["name"], age["type"], age["value"]) == ("age", "NUMBER", 12)
    refused = owner.put(path, {"value": "twelve", "type": "NUMBER"})
    assert (refused.status, refused.code) == (409, "control_refused")
    assert "age" in refused.json["error"]["message"]
    assert owner.put(at(bot, session, "/variables/messageId"), {"value": 1}).code == "control_refused"
    ok(owner.put(at(bot, session, "/variables/list"), {"value": [{"a": [1, None, "ü"]}]}))
    ok(owner.delete(path))
    told = json.loads(talks.world.store.execution_logs.steps(session)[-1]["detail"])["control"]
    assert told["sessionId"] == session
    assert owner.delete(path).code == "control_refused"
    tester.say("Ada")
    tester.wait_for("Your name?", "Bye Ada")
    over = ok(owner.get(at(bot, session, "/variables"))).json
    assert over["source"] == "REPLAYED"
    assert {each["name"]: each["value"] for each in over["session"]} == {
        "list": [{"a": [1, None, "ü"]}], "n": 1, "name": "Ada",
    }  # fmt: skip
    assert owner.put(path, {"value": 1}).code == "control_refused", "it is over"


def test_the_variables_of_a_real_conversation_are_not_edited(
    talks: Talks, busy: tuple[Bot, list[str]]
) -> None:
    bot, _ = busy
    owner = talks.owner(bot)
    session = sessions_of(owner, bot)[0]
    before = talks.world.store.session_history.variables(session["id"])
    assert owner.put(at(bot, session, "/variables/n"), {"value": 7}).code == "control_refused"
    assert owner.delete(at(bot, session, "/variables/n")).code == "control_refused"
    assert talks.world.store.session_history.variables(session["id"]) == before
