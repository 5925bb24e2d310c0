"""Why did they get this message? From the message back to what happened, also where no value was kept."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.talks import Talks, at, ok, sessions_of, talking
from tests.support.flows import ask, call, count, end, flow, say, wait
from worker.step_log import without_values

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.world import Bot, Json


@pytest.fixture(scope="module")
def talks(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talks]:
    # As in production: the log of a real conversation keeps no values.
    with talking(mongo_uri, tmp_path_factory.mktemp("why")) as talks:
        yield talks


def ages() -> Json:
    """Asks for an age, decides by it."""
    branches = [
        {"branchId": "senior", "label": "Senior", "expression": "{{age}} >= 65"},
        {"branchId": "adult", "label": "Adult", "expression": "{{age}} >= {{limit}}"},
        {"branchId": "baby", "label": "Baby", "expression": "{{age}} < 1"},
    ]
    nodes = {
        "ask": ask("Your age?", "age", inputType="NUMBER"),
        "check": ("CONDITION", {"conditionType": "LOGICAL_EXPRESSION", "branches": branches}),
        "adults": say("At {{age}} you may enter."),
        "again": ask("Anything else?", "more"),
        "no": end("Sorry"),
    }
    edges = (
        "start > ask, ask.success > check, ask.failure > no, check.senior > no, check.adult > adults, "
        "check.baby > no, check.default > no, adults > again, again.success > no, again.failure > no"
    )
    return flow(nodes, edges)


def why(talks: Talks, bot: Bot, text: str) -> Json:
    """The reasons of the message with this text."""
    message = next(each for each in bot.out() if each["messageContent"] == text)
    answer: Json = ok(talks.owner(bot).get(f"/api/bots/{bot.bot_id}/messages/{message['_id']}/why")).json
    return answer


@pytest.fixture(scope="module")
def adult(talks: Talks) -> Bot:
    """A conversation of somebody aged 42, whose log keeps no values."""
    bot = talks.world.bot(ages(), variables={"limit": 18})
    person = bot.person()
    for text, sent in (("hi", 1), ("abc", 2), ("42", 4)):
        bot.say(person, text)
        bot.wait_for(person, sent)
    bot.drain()
    forget_values(talks, bot)
    return bot


def forget_values(talks: Talks, bot: Bot) -> None:
    """The log as a production worker writes it."""
    logs = talks.world.store.database["execution_logs"]
    for step in bot.find("execution_logs"):
        change: dict[str, Any] = {"$unset": {"outputVariables": "", "deletedVariables": ""}}
        if "detail" in step:
            change["$set"] = {"detail": json.dumps(without_values(json.loads(step["detail"])))}
        logs.update_one({"_id": step["_id"]}, change)
    assert logs.count_documents({"botId": bot.bot_id, "detail": {"$regex": "saw"}}) == 0


def test_from_the_message_to_the_customers_words(talks: Talks, adult: Bot) -> None:
    answer = why(talks, adult, "At 42 you may enter.")
    assert (answer["isComplete"], answer["missing"]) == (True, None)
    assert (answer["event"]["kind"], answer["event"]["text"], answer["heard"]) == ("MESSAGE", "42", None)
    assert [(step["nodeId"], step["handle"]) for step in answer["steps"]] == [
        ("ask", "success"), ("check", "adult"), ("adults", "output"),
    ]  # fmt: skip
    checked = answer["steps"][1]
    assert {each["place"]: each["value"] for each in checked["saw"]} == {"age": 42, "limit": 18}
    assert [(each["label"], each["text"], each["held"]) for each in checked["conditions"]] == [
        ("Senior", "{{age}} >= 65", False), ("Adult", "{{age}} >= {{limit}}", True), ("Baby", "{{age}} < 1", None),
    ]  # fmt: skip
    flow_shown = answer["flow"]
    assert (flow_shown["name"], flow_shown["versionNumber"], flow_shown["isTest"]) == ("Flow", 1, False)
    node = answer["node"]
    assert (node["nodeId"], node["nodeType"], node["isSameText"]) == ("adults", "MESSAGE", True)
    assert [each["template"] for each in node["templates"]] == ["At {{age}} you may enter."]
    sent = answer["send"]
    assert (sent["status"], sent["attempts"], sent["isSimulated"]) == ("DELIVERED", 1, False)
    assert len(sent["attemptIds"]) == 1
    assert [each["status"] for each in sent["stages"]] == ["SENT", "DELIVERED"]


def test_it_can_be_read_out(talks: Talks, adult: Bot) -> None:
    sentences = why(talks, adult, "At 42 you may enter.")["sentences"]
    text = "\n".join(sentences)
    for words in (
        "the customer wrote “42”",
        "“check” looked at age = “42”, limit = “18”.",
        "“Senior” ({{age}} >= 65) did not hold",
        "“Adult” ({{age}} >= {{limit}}) held",
        "“adults” of the flow “Flow” (version 1) said “At 42 you may enter.”.",
        "It comes from its text “At {{age}} you may enter.”.",
        "It was given to WhatsApp once",
        "WhatsApp delivered it at",
    ):
        assert words in text, text
    assert "Baby" not in text
    assert "None" not in text


def test_nothing_more_is_stored_by_asking(talks: Talks, adult: Bot) -> None:
    before = adult.find("execution_logs"), adult.find("messages"), adult.find("sessions")
    why(talks, adult, "At 42 you may enter.")
    assert (adult.find("execution_logs"), adult.find("messages"), adult.find("sessions")) == before


def test_the_same_node_twice_in_a_turn_is_told_apart(talks: Talks) -> None:
    nodes = {"loop": ("LOOP", {"loopType": "COUNT_BASED", "iterationCount": 3}), "n": count(), "say": say("round {{n}}"),
             "bye": end()}  # fmt: skip
    bot = talks.world.bot(flow(nodes, "start > loop, loop.body > n, n > say, loop.exit > bye, say > loop"))
    person = bot.person()
    bot.say(person, "hi")
    bot.drain()
    assert bot.texts(person) == ["round 1", "round 2", "round 3"]
    for number in (1, 2, 3):
        answer = why(talks, bot, f"round {number}")
        said = [step for step in answer["steps"] if step["nodeId"] == "say"]
        assert len(said) == number
        assert answer["steps"][-1]["nodeId"] == "say"
        assert answer["node"]["isSameText"] is True


def test_a_timer_and_a_calls_answer_lead_back_to_what_was_said(talks: Talks) -> None:
    nodes = {
        "moment": say("wait"),
        "wait": wait(0.3),
        "call": call(talks.world.crm("echo")),
        "done": end("done {{apiResponse.body.from}}"),
        "failed": end("failed"),
    }
    edges = "start > moment, moment > wait, wait > call, call.success > done, call.failure > failed"
    bot = talks.world.bot(flow(nodes, edges))
    person = bot.person()
    bot.say(person, "go!")
    bot.wait_for(person, 2)
    bot.drain()
    answer = why(talks, bot, f"done {person}")
    event = answer["event"]
    assert (event["kind"], event["waitingNode"], event["call"]["http"]["status"]) == ("ANSWER", "call", 200)
    assert event["call"]["http"]["body"] is None, "it is a real customer's"
    assert (answer["heard"]["kind"], answer["heard"]["text"]) == ("MESSAGE", "go!")
    assert answer["sentences"][0].endswith("the customer wrote “go!”.")
    assert answer["sentences"][1].endswith("the call that “call” had made was answered with status 200.")


def test_a_log_that_is_not_kept_any_more_says_so(talks: Talks) -> None:
    bot = talks.world.bot(ages(), variables={"limit": 18})
    person = bot.person()
    for text, sent in (("hi", 1), ("42", 3)):
        bot.say(person, text)
        bot.wait_for(person, sent)
    bot.drain()
    forget_values(talks, bot)
    logs = talks.world.store.database["execution_logs"]
    (session,) = bot.find("sessions")
    logs.delete_many({"sessionId": session["_id"], "turn": 1})
    partly = why(talks, bot, "At 42 you may enter.")
    assert not partly["isComplete"]
    assert "from its beginning" in partly["missing"]
    assert partly["event"]["text"] == "42"
    assert [step["saw"] for step in partly["steps"]] == [None, None, None]
    assert partly["steps"][1]["conditions"][1]["held"] is True, "the exit that was taken tells it"
    assert "what it saw is not known any more" in "\n".join(partly["sentences"])
    logs.delete_many({"sessionId": session["_id"]})
    gone = why(talks, bot, "At 42 you may enter.")
    assert (gone["isComplete"], gone["event"], gone["steps"]) == (False, None, [])
    assert gone["send"]["status"] == "DELIVERED"
    assert gone["sentences"][-1] == gone["missing"]
    assert "not kept any more" in gone["missing"]


def test_a_log_that_says_something_else_than_the_flow_is_not_believed(talks: Talks) -> None:
    """Values that another way would have led to must not be shown as if they were true."""
    bot = talks.world.bot(ages(), variables={"limit": 18})
    person = bot.person()
    for text, sent in (("hi", 1), ("42", 3)):
        bot.say(person, text)
        bot.wait_for(person, sent)
    bot.drain()
    logs = talks.world.store.database["execution_logs"]
    (step,) = bot.find("execution_logs", nodeId="check")
    logs.update_one({"_id": step["_id"]}, {"$set": {"handle": "senior"}})
    answer = why(talks, bot, "At 42 you may enter.")
    assert "another way" in answer["missing"]
    assert answer["node"]["isSameText"] is None


def test_a_message_of_a_test_and_a_deleted_flow(talks: Talks) -> None:
    bot = talks.world.bot(ages(), variables={"limit": 18})
    tester = talks.tester(bot, ages())
    tester.say("hi")
    tester.wait_for("Your age?")
    (message,) = [each for each in tester.messages() if each["direction"] == "OUT"]
    path = f"/api/bots/{bot.bot_id}/messages/{message['_id']}/why"
    answer = ok(talks.owner(bot).get(path)).json
    assert answer["flow"]["name"] is None
    assert answer["send"]["isSimulated"]
    assert any("simulator" in sentence for sentence in answer["sentences"])
    assert any("a draft" in sentence for sentence in answer["sentences"])


def test_the_sends_and_what_was_decided_are_told(talks: Talks, adult: Bot) -> None:
    """What the outbox and the statuses wrote down, as it is read."""
    message = next(each for each in adult.out() if each["messageContent"] == "Anything else?")
    messages = talks.world.store.database["messages"]
    later = message["createdAt"] + timedelta(seconds=5)
    told: dict[str, tuple[Json, list[str]]] = {
        "resent": (
            {"status": "ACCEPTED", "attempts": 2, "attemptIds": ["a", "b"], "sendingAt": later, "acceptedAt": later,
             "lastError": "no status within the grace period (AUTO)"},
            ["It was given to WhatsApp 2 times, last at", "An earlier try did not count: no status within the grace"],
        ),
        "unknown": (
            {"status": "UNKNOWN", "attempts": 1, "attemptIds": ["a"]},
            ["Whether WhatsApp took it is not known; it was not sent again"],
        ),
        "failed": (
            {"status": "FAILED", "attempts": 1, "error": {"code": 131047, "message": "Re-engagement message"}},
            ["It failed: Re-engagement message (131047)."],
        ),
        "waits": ({"status": "QUEUED", "attempts": 0, "open": True}, ["It waits to be sent."]),
    }  # fmt: skip
    bare = {
        key: value
        for key, value in message.items()
        if key not in ("reachedAt", "acceptedAt", "error", "wamid", "attemptIds")
    }
    try:
        for name, (fields, words) in told.items():
            messages.replace_one({"_id": message["_id"]}, bare | fields)
            text = "\n".join(why(talks, adult, "Anything else?")["sentences"])
            assert all(each in text for each in words), (name, text)
    finally:
        messages.replace_one({"_id": message["_id"]}, message)


def test_only_the_bots_own_messages_have_reasons(talks: Talks, adult: Bot) -> None:
    owner = talks.owner(adult)
    heard = adult.find("messages", direction="IN")[0]
    said = adult.out()[0]
    prefix = f"/api/bots/{adult.bot_id}/messages"
    assert owner.get(f"{prefix}/{heard['_id'].rpartition(':')[0]}:1/why").code == "not_found"
    assert owner.get(f"{prefix}/nothing:1:0/why").code == "not_found"
    stranger = talks.owner(talks.world.bot(ages()))
    assert stranger.get(f"{prefix}/{said['_id']}/why").code == "not_found"
    assert talks.admin().get(f"{prefix}/{said['_id']}/why").status == 403
    (session,) = sessions_of(owner, adult)
    assert ok(owner.get(at(adult, session))).json["id"] == said["sessionId"]
