"""Deploys under way with real workers: they follow within a second, and conversations finish or begin again as chosen."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import pytest

from common.model.flow_settings import FlowSettings, RestartPolicy, Trigger
from tests.support.controls import Tester, done
from tests.support.deploys import (
    BY,
    FINISH,
    RESTART,
    add_flow,
    beginnings,
    check_replays,
    deploy,
    flow_id_of,
    followed,
    roll_back,
    session_of,
)
from tests.support.flows import Json, ask, call, count, end, flow, say, wait
from tests.support.world import Bot, World


@pytest.fixture(scope="module")
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("deploys")) as world:
        world.start(workers=2)
        yield world


def chat(name: str, *, action: str = "CLOSE_SESSION") -> Json:
    """Counts its beginnings, asks twice, ends; every text names the version."""
    nodes = {
        "count": count(),
        "first": ask(f"{name}: {{{{n}}}} first? {{{{lastMessage}}}}", "one"),
        "second": ask(f"{name}: second? {{{{one}}}}", "two"),
        "end": end(f"{name}: bye {{{{two}}}}", action),
    }
    edges = (
        "start > count, count > first, first.success > second, first.failure > end, "
        "second.success > end, second.failure > end"
    )
    return flow(nodes, edges)


def delayed(name: str, seconds: float) -> Json:
    nodes = {
        "hold": say(f"{name}: hold on"),
        "wait": wait(seconds),
        "done": ask(f"{name}: done"),
        "end": end(),
    }
    return flow(nodes, "start > hold, hold > wait, wait > done, done.success > end, done.failure > end")


def begin(bot: Bot, text: str = "hi") -> str:
    """Somebody who has been asked the first question."""
    person = bot.person()
    bot.say(person, text)
    bot.wait_for(person, 1)
    return person


def say_and_hear(bot: Bot, person: str, text: str, answers: int = 1) -> list[str]:
    """What the bot answers."""
    known = len(bot.texts(person))
    bot.say(person, text)
    return bot.wait_for(person, known + answers)[known:]


def judged(bot: Bot) -> None:
    bot.check()
    check_replays(bot)


def test_every_worker_follows_within_a_second(world: World) -> None:
    """Both workers know the bot; a second after a deploy nobody is given the old version any more."""
    bot = world.bot(chat("v1"))
    for name in ("v2", "v3"):
        for person in [bot.person() for _ in range(20)]:
            bot.say(person, "warm")
        bot.drain()
        deploy(bot, chat(name))
        followed()
        people = [bot.person() for _ in range(30)]
        for person in people:
            bot.say(person, "hi")
        for person in people:
            bot.wait_for(person, 1)
        assert {bot.texts(person)[0].partition(":")[0] for person in people} == {name}
    judged(bot)


def test_a_conversation_finishes_on_the_version_that_it_began_on(world: World) -> None:
    bot = world.bot(chat("v1"))
    old = begin(bot)
    deploy(bot, chat("v2"), FINISH)
    followed()
    new = begin(bot)
    assert say_and_hear(bot, old, "a") == ["v1: second? a"]
    assert say_and_hear(bot, old, "b") == ["v1: bye b"]
    assert bot.texts(new) == ["v2: 1 first? hi"]
    assert say_and_hear(bot, old, "again") == ["v2: 1 first? again"], "the next conversation is a new one"
    assert beginnings(bot, new) == []
    judged(bot)


def test_a_conversation_begins_again_with_the_next_message(world: World) -> None:
    bot = world.bot(chat("v1"))
    person = begin(bot)
    assert say_and_hear(bot, person, "a") == ["v1: second? a"]
    version = deploy(bot, chat("v2"), RESTART)
    followed()
    # That message is what the new version begins with; what is known of the customer stays known.
    assert say_and_hear(bot, person, "b") == ["v2: 2 first? b"]
    assert beginnings(bot, person) == [
        ("DEPLOY", f"Restarted on version {version['versionNumber']} after a deploy.")
    ]
    assert say_and_hear(bot, person, "c") == ["v2: second? c"]
    assert len(bot.find("sessions")) == 1
    assert session_of(bot, person)["flowVersionId"] == version["_id"]
    judged(bot)


def test_a_chain_of_deploys(world: World) -> None:
    """FINISH then RESTART: all old ones begin again. RESTART then FINISH: those that were told to still do."""
    bot = world.bot(chat("v1"))
    on_1 = begin(bot)
    deploy(bot, chat("v2"), FINISH)
    followed()
    on_2 = begin(bot)
    deploy(bot, chat("v3"), RESTART)
    followed()
    on_3 = begin(bot)
    later_on_1, later_on_2 = on_1, on_2
    deploy(bot, chat("v4"), FINISH)
    followed()
    assert say_and_hear(bot, later_on_1, "a") == ["v4: 2 first? a"]
    assert say_and_hear(bot, later_on_2, "b") == ["v4: 2 first? b"]
    assert say_and_hear(bot, on_3, "c") == ["v3: second? c"]
    assert [len(beginnings(bot, person)) for person in (on_1, on_2, on_3)] == [1, 1, 0]
    judged(bot)


def test_a_rollback_moves_conversations_as_a_deploy_does(world: World) -> None:
    bot = world.bot(chat("v1"))
    deploy(bot, chat("v2"), FINISH)
    followed()
    person = begin(bot)
    back = roll_back(bot, RESTART)
    followed()
    assert say_and_hear(bot, person, "a") == ["v1: 2 first? a"]
    assert session_of(bot, person)["flowVersionId"] == back["_id"]
    assert say_and_hear(bot, person, "b") == ["v1: second? b"], "it begins again once"
    judged(bot)


def test_a_delay_that_is_over_begins_the_new_version(world: World) -> None:
    bot = world.bot(delayed("v1", 2.5))
    person = bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    deploy(bot, chat("v2"), RESTART)
    assert bot.wait_for(person, 2) == ["v1: hold on", "v2: 1 first? hi"]
    ((why, _),) = beginnings(bot, person)
    assert why == "DEPLOY"
    assert say_and_hear(bot, person, "a") == ["v2: second? a"]
    assert session_of(bot, person)["turn"] == 3
    judged(bot)


def test_a_message_during_a_delay_begins_the_new_version_and_the_delay_is_forgotten(world: World) -> None:
    bot = world.bot(delayed("v1", 2))
    person = bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    deploy(bot, chat("v2"), RESTART)
    followed()
    assert say_and_hear(bot, person, "hurry") == ["v2: 1 first? hurry"]
    assert not bot.find("sessions", resumeAt={"$exists": True}), "no timer is left to come"
    judged(bot)
    assert bot.find("jobs", kind="TIMER") == []


def test_the_answer_of_a_call_begins_the_new_version(world: World) -> None:
    """The lane is held all through the call: its worker looks at the bot again before it goes on."""
    nodes = {
        "moment": say("v1: moment"),
        "call": call(world.crm("echo")),
        "done": end("v1: done"),
        "no": end("no"),
    }
    bot = world.bot(flow(nodes, "start > moment, moment > call, call.success > done, call.failure > no"))
    person = bot.person()
    world.peers.fault("latency", endpoint="crm.echo", seconds=2.5, times=1)
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    deploy(bot, chat("v2"), RESTART)
    assert bot.wait_for(person, 2) == ["v1: moment", "v2: 1 first? hi"]
    ((why, _),) = beginnings(bot, person)
    assert why == "DEPLOY"
    world.peers.control("DELETE", "faults")
    judged(bot)


def test_a_test_in_the_simulator_is_never_moved(world: World) -> None:
    bot = world.bot(chat("v1"))
    tester = Tester(bot, chat("draft"), flow_id=flow_id_of(bot))
    tester.say("hi")
    tester.wait_for("draft: 1 first? hi")
    deploy(bot, chat("v2"), RESTART)
    followed()
    tester.say("a")
    tester.wait_for("draft: 1 first? hi", "draft: second? a")


# Ended conversations, and flows that are offline


def test_an_ended_conversation_is_not_resumed_on_a_version_that_was_replaced(world: World) -> None:
    bot = world.bot(chat("v1", action="KEEP_ACTIVE"))
    _set(bot, RestartPolicy.RESUME_LAST_NODE)
    person = begin(bot)
    say_and_hear(bot, person, "a")
    assert say_and_hear(bot, person, "b") == ["v1: bye b"]
    assert say_and_hear(bot, person, "c") == ["v1: bye c"], "it resumes its last question"
    deploy(bot, chat("v2", action="KEEP_ACTIVE"), RESTART)
    followed()
    assert say_and_hear(bot, person, "d") == ["v2: 2 first? d"]
    judged(bot)


def _set(bot: Bot, policy: RestartPolicy, fallback: str | None = None, *triggers: Trigger) -> None:
    """Change the settings of the bot's first flow."""
    store, flow_id = bot.world.store, flow_id_of(bot)
    flow_ = store.flows.find(bot.bot_id, flow_id)
    assert flow_ is not None
    store.flow_settings.change(
        bot.bot_id,
        flow_id,
        revision=flow_.get("revision", 0),
        by=BY,
        settings=FlowSettings(policy, fallback),
        triggers=triggers,
    )


def test_settings_take_effect_without_a_deploy_and_the_log_still_replays(world: World) -> None:
    bot = world.bot({**chat("v1", action="KEEP_ACTIVE"), "settings": {"restartPolicy": "RESTART"}})
    feedback = add_flow(bot, "Feedback", chat("feedback"))
    person = begin(bot)
    say_and_hear(bot, person, "a")
    assert say_and_hear(bot, person, "b") == ["v1: bye b"]
    _set(bot, RestartPolicy.RESUME_LAST_NODE)
    followed()
    assert say_and_hear(bot, person, "c") == ["v1: bye c"]
    _set(bot, RestartPolicy.RESTART)
    followed()
    assert say_and_hear(bot, person, "d") == ["v1: 2 first? d"]
    say_and_hear(bot, person, "e")
    say_and_hear(bot, person, "f")
    _set(bot, RestartPolicy.FALLBACK_FLOW, feedback)
    followed()
    assert say_and_hear(bot, person, "g") == ["feedback: 3 first? g"]
    judged(bot)


def test_a_flow_that_goes_offline_lets_conversations_end_and_begins_none(world: World) -> None:
    bot = world.bot(chat("v1", action="KEEP_ACTIVE"))
    person, ended = begin(bot), begin(bot)
    say_and_hear(bot, ended, "a")
    say_and_hear(bot, ended, "b")
    world.store.deployments.undeploy(bot.bot_id, flow_id_of(bot), by=BY)
    followed()
    assert say_and_hear(bot, person, "a") == ["v1: second? a"]
    for silent in (bot.person(), ended):
        assert done(world.store, bot.say(silent, "anybody there?"))["state"] == "DONE"
    assert bot.texts(ended) == ["v1: 1 first? hi", "v1: second? a", "v1: bye b"]
    judged(bot)
    other = add_flow(bot, "Other", chat("other"))
    world.store.flow_settings.set_default(bot.bot_id, other)
    followed()
    assert say_and_hear(bot, ended, "now?") == ["other: 2 first? now?"]
    bot.drain()
    check_replays(bot)


# Keywords


def test_a_keyword_interrupts_only_where_it_says_so(world: World) -> None:
    bot = world.bot(chat("main"))
    add_flow(bot, "Help", chat("help"), [{"text": "help", "match": "EXACT", "interrupts": True}])
    add_flow(bot, "Orders", chat("orders"), [{"text": "order", "match": "CONTAINS", "interrupts": False}])
    followed()
    person = begin(bot)
    assert say_and_hear(bot, person, "my order") == ["main: second? my order"], "an answer like any other"
    assert say_and_hear(bot, person, " HELP ") == ["help: 2 first?  HELP "]
    assert beginnings(bot, person) == [("KEYWORD", 'The keyword "help" started the flow "Help".')]
    assert say_and_hear(bot, person, "help") == ["help: 3 first? help"], "also within its own flow"
    starter = bot.person()
    assert say_and_hear(bot, starter, "an order, please") == ["orders: 1 first? an order, please"]
    judged(bot)


def test_a_keyword_ends_a_delay_and_wakes_an_ended_conversation(world: World) -> None:
    bot = world.bot(delayed("v1", 30))
    add_flow(
        bot,
        "Stop",
        chat("stop", action="KEEP_ACTIVE"),
        [{"text": "stop", "match": "EXACT", "interrupts": True}],
    )
    followed()
    person = begin(bot)
    assert say_and_hear(bot, person, "stop") == ["stop: 1 first? stop"]
    say_and_hear(bot, person, "a")
    assert say_and_hear(bot, person, "b") == ["stop: bye b"]
    assert say_and_hear(bot, person, "stop") == ["stop: 2 first? stop"]
    assert not bot.find("sessions", resumeAt={"$exists": True})
    judged(bot)


# Under load


def test_every_turn_runs_on_one_version_whatever_is_deployed_meanwhile(world: World) -> None:
    bot = world.bot(chat("v1"))
    people = [bot.person() for _ in range(12)]
    for round_ in range(8):
        for person in people:
            bot.say(person, f"round {round_}")
        running = RESTART if round_ % 3 == 2 else FINISH
        _ = roll_back(bot, running) if round_ % 4 == 3 else deploy(bot, chat(f"v{round_ + 2}"), running)
    bot.drain(60)
    numbers = {
        v["_id"]: v["versionNumber"]
        for v in world.store.database["flow_versions"].find({"botId": bot.bot_id})
    }
    assert len(bot.find("flow_versions", isProduction=True)) == 1
    for session in bot.find("sessions"):
        steps = world.store.execution_logs.steps(session["_id"])
        for _, turn in groupby(steps, key=lambda step: step["turn"]):
            assert len({step["flowVersionId"] for step in turn}) == 1
        moved = [numbers[step["flowVersionId"]] for step in steps]
        assert moved == sorted(moved), "never back to a version with a smaller number"
    judged(bot)
