"""What real workers count is what happened: every figure is counted again from the log and the messages."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from common.clock import utc_now
from common.model.periods import period
from common.store.analytics import of_bot, of_version
from tests.support.flows import ask, call, count, echo, end, flow, say, wait
from tests.support.history import Allowed
from tests.support.recount import counted, recounted
from tests.support.waiting import wait_until
from tests.support.world import Bot, World

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def _nothing_is_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process dies here, so all is counted without anybody looking for it later."""

    def refuse(*_: object) -> int:
        raise AssertionError("a message was not counted in time")

    monkeypatch.setattr("common.store.deliveries.Deliveries.sweep", refuse)


@pytest.fixture(scope="module")
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("figures")) as world:
        world.start(workers=2)
        yield world


def figures(bot: Bot, version_id: str | None = None) -> Counter[str]:
    """The sums that a reader of the store gets."""
    now = utc_now()
    subject = of_version(bot.bot_id, version_id) if version_id else of_bot(bot.bot_id)
    span = period(now - timedelta(hours=1), now, now)
    return Counter(bot.world.store.analytics.totals(subject, span, in_detail=True))


def test_a_conversation_is_counted_as_it_was(world: World) -> None:
    """Answers refused and accepted, a call that works, one that fails, an end, a second conversation."""
    nodes = {
        "age": ask("Age?", inputType="NUMBER", retryConfig={"maxRetries": 1}),
        "good": call(world.crm("echo")),
        "bad": call(world.crm("status/500")),
        "sorry": say("Sorry"),
        "bye": end("Bye"),
        "given_up": ("END", {"endType": "ERROR", "finalMessage": "No", "sessionAction": "CLOSE_SESSION"}),
    }
    edges = (
        "start > age, age.success > good, age.failure > given_up, good.success > bad, good.failure > bye, "
        "bad.success > bye, bad.failure > sorry, sorry > bye"
    )
    bot = world.bot(flow(nodes, edges))
    person, other = bot.person(), bot.person()
    for texts in (["hi", "old", "42"], ["hi", "old", "older"]):
        who = person if texts[-1] == "42" else other
        for number, text in enumerate(texts, 1):
            bot.say(who, text)
            bot.wait_for(who, number)
    bot.wait_for(person, 4)
    bot.drain()
    wait_until(lambda: figures(bot)["n.delivered"] == 7, "every delivery is counted")
    bot.check()
    found = figures(bot, bot.version_id)
    wanted = {
        "n.sessions": 2, "n.starts": 2, "n.completed": 1, "n.endedInError": 1, "n.apiCalls": 2, "n.apiFailures": 1,
        "n.messagesIn": 6, "n.queued": 7, "n.accepted": 7, "n.sent": 7, "n.delivered": 7, "n.durations": 2,
        "nodes.age.v": 2, "nodes.age.x.success": 1, "nodes.age.x.failure": 1, "nodes.age.e.input%2Erefused": 3,
        "nodes.bad.x.failure": 1, "nodes.bye.d": 1, "nodes.given_up.d": 1,
    }  # fmt: skip
    assert {name: found[name] for name in wanted} == wanted
    assert found["n.read"] == found["n.sendFailed"] == found["n.failed"] == 0


def test_conversations_that_go_on_after_their_end(world: World) -> None:
    nodes = {"ask": ask("More?"), "end": end("Fine", "KEEP_ACTIVE")}
    edges = "start > ask, ask.success > end, ask.failure > end"
    for policy in ("RESTART", "RESUME_LAST_NODE"):
        bot = world.bot({**flow(nodes, edges), "settings": {"restartPolicy": policy}})
        person = bot.person()
        for number, text in enumerate(["hi", "one", "two", "three"], 1):
            bot.say(person, text)
            bot.wait_for(person, number)
        bot.check()
        found = figures(bot)
        begun = (found["n.sessions"], found["n.starts"], found["n.resumed"], found["n.completed"])
        assert begun == ((1, 2, 0, 2) if policy == "RESTART" else (1, 1, 2, 3))


def test_a_flow_that_fails_and_messages_that_nobody_answers(world: World) -> None:
    circle = flow({"a": count("a"), "b": count("b"), "end": end()}, "start > a, a > b, b > a")
    bot = world.bot(circle)
    job = bot.say(bot.person(), "hi")
    wait_until(lambda: [j for j in bot.find("jobs", _id=job) if j["state"] == "DONE"], "the turn")
    silent = world.bot(echo())
    world.store.database["bots"].update_one(
        {"_id": silent.bot_id}, {"$unset": {"activeFlowId": ""}, "$inc": {"configRevision": 1}}
    )
    silent.say(silent.person(), "anybody there?")
    bot.check()
    silent.check()
    found = figures(bot)
    assert (found["n.starts"], found["n.failed"], found["e.turn%2Etoo_many_steps"]) == (1, 1, 1)
    assert figures(silent) == Counter({"n.messagesIn": 1})


def test_each_run_and_each_visit_has_one_end_or_stands_somewhere(world: World) -> None:
    """The two sums that docs/analytics.md promises."""
    nodes = {"wait": wait(1), "ask": ask("Name?"), "call": call(world.crm("echo")), "end": end("Bye")}
    edges = "start > wait, wait > ask, ask.success > call, ask.failure > end, call.success > end, call.failure > end"
    bot = world.bot(flow(nodes, edges))
    people = [bot.person() for _ in range(6)]
    for person in people:
        bot.say(person, "hi")
    for person in people:
        bot.wait_for(person, 1)
    for person in people[:4]:
        bot.say(person, "Ada")
        bot.wait_for(person, 2)
    bot.check()
    found = figures(bot, bot.version_id)
    active = world.store.analytics.active([bot.bot_id])
    ends = ("completed", "endedInError", "failed", "closed", "restarted")
    assert found["n.starts"] + found["n.resumed"] == sum(found[f"n.{end}"] for end in ends) + active == 6
    now = utc_now()
    standing = world.store.analytics.standing(bot.bot_id, bot.version_id, period(now, now, now), now)
    for node in ("start", *nodes):
        ways = sum(n for name, n in found.items() if name.startswith(f"nodes.{node}.x."))
        left = ways + sum(found[f"nodes.{node}.{mark}"] for mark in "dfcrj")
        waiting = standing[node].waiting if node in standing else 0
        assert found[f"nodes.{node}.v"] == left + waiting, node
    assert standing["ask"].waiting == active == 2


def test_a_send_that_fails_is_counted_as_one(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    fault = {"do": "graph_error", "endpoint": "graph", "code": 131026, "times": 1, "to": person}
    world.peers.control("POST", "faults", fault)
    bot.say(person, "one")
    wait_until(lambda: bot.out(status="FAILED"), "a message fails")
    bot.check(Allowed(unsent=True))
    found = figures(bot)
    assert (found["n.queued"], found["n.sendFailed"], found["n.accepted"]) == (1, 1, 0)


@pytest.mark.parametrize("damage", ["turns", "nodes", "sent"])
def test_the_recount_finds_a_figure_that_is_wrong(world: World, damage: str) -> None:
    """The check itself: with one amount changed the two differ."""
    bot = world.bot(echo())
    bot.say(bot.person(), "one")
    wait_until(lambda: figures(bot)["n.delivered"] == 1, "the delivery")
    bot.drain()
    database = bot.history().database
    assert recounted(database) == counted(bot.find("counters"), bot.find_days())
    path = {"turns": "n.turns", "nodes": "nodes.ask.v", "sent": "n.sent"}[damage]
    world.store.database["counters"].update_one(
        {"botId": bot.bot_id, path: {"$exists": True}}, {"$inc": {path: 1}}
    )
    assert recounted(database) != counted(bot.find("counters"), bot.find_days())
    assert json.loads(database["execution_logs"][0]["cause"])
