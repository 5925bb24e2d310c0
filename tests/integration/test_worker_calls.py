"""API and AI nodes: what is said before a call is sent before it, and a slow one costs nobody else anything."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import pytest

from tests.support.figures import note
from tests.support.flows import Json, ask, call, echo, end, flow, say
from tests.support.history import Allowed
from tests.support.waiting import wait_until
from tests.support.world import Bot, World

SLOW_SECONDS = 2.0


@pytest.fixture(scope="module")
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("calls")) as world:
        world.start(timers=0)
        yield world


@pytest.fixture(autouse=True)
def _no_faults_left(world: World) -> Iterator[None]:
    yield
    world.peers.control("DELETE", "faults")


def calling(url: str, **more: object) -> Json:
    """Says "one moment", calls, says how it went."""
    nodes = {
        "moment": say("one moment"),
        "call": call(url, **more),
        "done": end("done"),
        "failed": end("failed"),
    }
    return flow(nodes, "start > moment, moment > call, call.success > done, call.failure > failed")


def asking() -> Json:
    """Asks the AI, says what it answers."""
    ai = {"model": "gpt-4", "userPrompt": "{{lastMessage}}", "storeResponseIn": "said"}
    nodes = {"ai": ("AI", ai), "done": end("done"), "failed": end("failed")}
    return flow(nodes, "start > ai, ai.success > done, ai.failure > failed")


def test_one_moment_is_sent_before_the_call_is_answered(world: World) -> None:
    bot = world.bot(calling(world.crm("echo")))
    person = bot.person()
    world.peers.fault("latency", endpoint="crm.echo", seconds=SLOW_SECONDS, times=1)
    bot.say(person, "hi")
    bot.wait_for(person, 2)
    bot.check()
    moment, done = bot.sends(person)
    assert done["at"] - moment["at"] > SLOW_SECONDS * 0.9


def test_a_message_that_arrives_during_a_call_waits_its_turn(world: World) -> None:
    nodes = {
        "ask": ask("ready"),
        "moment": say("moment {{answer}}"),
        "call": call(world.crm("echo")),
        "done": say("done {{answer}}"),
        "end": end(),
    }
    edges = (
        "start > ask, ask.success > moment, ask.failure > end, moment > call, "
        "call.success > done, call.failure > end, done > ask"
    )
    bot = world.bot(flow(nodes, edges))
    person = bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    world.peers.fault("latency", endpoint="crm.echo", seconds=1, times=1)
    bot.say(person, "a")
    bot.wait_for(person, 2)
    bot.say(person, "b")
    bot.wait_for(person, 7)
    bot.check()
    assert bot.texts(person) == ["ready", "moment a", "done a", "ready", "moment b", "done b", "ready"]


@pytest.mark.parametrize(("failures", "outcome"), [(2, "done"), (3, "failed")])
def test_a_call_is_tried_again_with_the_same_key_then_fails_in_the_flow(
    world: World, failures: int, outcome: str
) -> None:
    retry = {"max": 2, "delay": 0.05, "timeout": 5}
    path = f"flaky?fail={failures}&key={outcome}"
    bot = world.bot(calling(world.crm(path), retry=retry))
    person = bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 2)
    bot.check(Allowed(calls_per_key=3))
    assert bot.texts(person) == ["one moment", outcome]
    calls = [c for c in bot.history().calls if c["query"].get("key") == outcome]
    keys = {c["headers"]["idempotency-key"] for c in calls}
    (session,) = bot.find("sessions")
    assert len(calls) == 3
    assert len(keys) == 1
    assert keys.pop().startswith(session["_id"])


def test_an_api_that_may_not_be_reached_is_the_flows_own_failure(world: World) -> None:
    bot = world.bot(calling("http://169.254.169.254/latest/meta-data"))
    person = bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 2)
    bot.check()
    assert bot.texts(person) == ["one moment", "failed"]
    assert _errors(bot) != []


def test_the_ai_answers_and_without_a_key_it_says_clearly_why_not(world: World) -> None:
    bot, keyless = world.bot(asking()), world.bot(asking(), openai_key=None)
    person, poor = bot.person(), keyless.person()
    bot.say(person, "what are your opening hours?")
    keyless.say(poor, "what are your opening hours?")
    bot.wait_for(person, 2)
    keyless.wait_for(poor, 1)
    bot.check()
    keyless.check()
    assert bot.texts(person) == ["We are open Monday to Friday, 9:00 to 18:00.", "done"]
    assert keyless.texts(poor) == ["failed"]
    (error,) = _errors(keyless)
    assert "key" in error.lower()


def _errors(bot: Bot) -> list[str]:
    return [entry["errorMessage"] for entry in bot.find("execution_logs", error={"$exists": True})]


def test_twenty_slow_calls_do_not_slow_down_chats(world: World) -> None:
    slow, bot = world.bot(calling(world.crm("echo"))), world.bot(echo())
    callers, person = [slow.person() for _ in range(20)], bot.person()
    bot.say(person, "warm up")
    bot.wait_for(person, 1)
    before = [_answer_time(bot, person) for _ in range(15)]
    world.peers.fault("latency", endpoint="crm.echo", seconds=5)
    for caller in callers:
        slow.say(caller, "go")
    wait_until(lambda: len(slow.sends()) == 20, "all have been told to wait")
    meanwhile = [_answer_time(bot, person) for _ in range(15)]
    assert [text for caller in callers for text in slow.texts(caller)] == ["one moment"] * 20
    world.peers.control("DELETE", "faults")
    ratio = statistics.median(meanwhile) / statistics.median(before)
    note("slowed_down_by", ratio)
    assert ratio < 3
    assert max(meanwhile) < 2
    for caller in callers:
        slow.wait_for(caller, 2, 20)
    slow.check()


def _answer_time(bot: Bot, person: str) -> float:
    known = len(bot.sends(person))
    begun_at = time.monotonic()
    bot.say(person, "hi")
    bot.wait_for(person, known + 1)
    return time.monotonic() - begun_at
