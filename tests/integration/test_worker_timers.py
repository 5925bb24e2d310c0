"""A wait ends once, not early and hardly late, however many timers there are and whatever happens to them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.figures import note
from tests.support.flows import ask, end, flow, say, wait
from tests.support.waiting import wait_until
from tests.support.world import Bot, World

_EARLY_SECONDS = 0.05


@pytest.fixture(scope="module")
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("timers")) as world:
        world.start(timers=2)
        yield world


def delayed(seconds: float, **more: object) -> dict[str, object]:
    nodes = {"begin": say("wait"), "wait": wait(seconds, **more), "done": end("done {{lastMessage}}")}
    return flow(nodes, "start > begin, begin > wait, wait > done")


def lateness(bot: Bot, seconds: float) -> list[float]:
    """By how much each "done" came after its time."""
    begun = {
        entry["lane"]: entry["executedAt"] + timedelta(seconds=seconds)
        for entry in bot.find("execution_logs", nodeType="DELAY", handle=None)
    }
    lanes = {attempt: m["lane"] for m in bot.out() for attempt in m["attemptIds"]}
    done = {lanes[sent["opaque"]]: sent["at"] for sent in bot.sends() if sent["body"].startswith("done")}
    return [done[lane] - due_at.timestamp() for lane, due_at in begun.items()]


def test_delays_end_once_and_on_time_with_two_timers(world: World) -> None:
    bot = world.bot(delayed(1))
    people = [bot.person() for _ in range(30)]
    for person in people:
        bot.say(person, "hi")
    for person in people:
        bot.wait_for(person, 2)
    bot.check()
    assert all(bot.texts(person) == ["wait", "done hi"] for person in people)
    assert len(bot.find("jobs", kind="TIMER")) == len(people)
    late = lateness(bot, 1)
    note("lateness_median_ms", statistics.median(late) * 1000)
    note("lateness_max_ms", max(late) * 1000)
    assert len(late) == len(people)
    assert min(late) > -_EARLY_SECONDS
    assert statistics.median(late) < 0.5
    assert max(late) < 2


def test_a_message_during_a_delay_is_kept_and_does_not_cut_it_short(world: World) -> None:
    bot = world.bot(delayed(1))
    person = bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    job_id = bot.say(person, "hurry")
    bot.wait_for(person, 2)
    bot.check()
    assert min(lateness(bot, 1)) > -_EARLY_SECONDS
    assert bot.texts(person) == ["wait", "done hi"]
    (kept,) = bot.find("messages", _id=job_id)
    assert (kept["messageContent"], kept["note"]) == ("hurry", "during_delay")


def test_a_message_ends_a_delay_that_says_so(world: World) -> None:
    bot = world.bot(delayed(60, onMessage="CONTINUE"))
    person = bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    bot.say(person, "go on")
    bot.wait_for(person, 2, 5)
    bot.check()
    assert bot.texts(person) == ["wait", "done go on"]
    assert bot.find("jobs", kind="TIMER") == []


def test_who_does_not_answer_is_told_so_once_and_who_does_is_not(world: World) -> None:
    question = ask("well?", noReplyTimeout={"duration": 1, "unit": "SECONDS"})
    nodes = {"ask": question, "late": end("too late"), "thanks": ask("thanks", "more"), "end": end()}
    edges = (
        "start > ask, ask.success > thanks, ask.failure > end, ask.timeout > late, "
        "thanks.success > end, thanks.failure > end"
    )
    bot = world.bot(flow(nodes, edges))
    silent, quick = bot.person(), bot.person()
    bot.say(silent, "hi")
    bot.say(quick, "hi")
    bot.wait_for(quick, 1)
    bot.say(quick, "yes")
    bot.wait_for(silent, 2)
    wait_until(lambda: not bot.find("sessions", resumeAt={"$exists": True}), "no timer is left")
    bot.check()
    assert bot.texts(silent) == ["well?", "too late"]
    assert bot.texts(quick) == ["well?", "thanks"]


def test_a_delay_that_ended_while_everything_was_down_is_made_up_for_once(
    mongo_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with World(mongo_uri, tmp_path_factory.mktemp("down")) as world:
        world.start()
        bot = world.bot(delayed(1))
        person = bot.person()
        bot.say(person, "hi")
        bot.wait_for(person, 1)
        for process in world.stack.processes:
            process.kill()
        (session,) = bot.find("sessions")
        wait_until(lambda: time.time() > session["resumeAt"].timestamp() + 0.2, "the delay is over")
        assert bot.texts(person) == ["wait"]
        world.start(timers=2)
        bot.wait_for(person, 2)
        bot.check()
        assert bot.texts(person) == ["wait", "done hi"]
