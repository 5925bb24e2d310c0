"""What cannot be run is put aside with its reason, and costs nobody else anything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from common.clock import utc_now
from common.model.jobs import JobKind, NewJob
from tests.support.flows import echo, echoes
from tests.support.history import Allowed
from tests.support.waiting import wait_until
from tests.support.world import Bot, World

ATTEMPTS = 3


@pytest.fixture(scope="module")
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("failures"), JOB_MAX_ATTEMPTS=str(ATTEMPTS)) as world:
        world.start(timers=0)
        yield world


def damage_version(bot: Bot, change: dict[str, object]) -> None:
    """Something happened to the bot's live version in the database."""
    bot.world.store.database["flow_versions"].update_one({"_id": bot.version_id}, change)


def chat(bot: Bot) -> None:
    """Somebody else is served as ever."""
    person = bot.person()
    bot.say(person, "x")
    bot.wait_for(person, 1)


def test_a_flow_that_cannot_be_read_fails_the_session_with_its_reason(world: World) -> None:
    bot = world.bot(echo())
    damage_version(bot, {"$set": {"flowData": {"nodes": "none"}}})
    person = bot.person()
    bot.say(person, "one")
    (session,) = wait_until(lambda: bot.find("sessions"), "the session is there")
    bot.check()
    assert session["status"] == "FAILED"
    (entry,) = bot.find("execution_logs")
    assert entry["error"] == "flow.unusable"


def test_a_job_that_breaks_the_engine_dies_can_be_seen_and_gets_another_try(world: World) -> None:
    bot, healthy = world.bot(echo()), world.bot(echo())
    (version,) = world.store.database["flow_versions"].find({"_id": bot.version_id})
    damage_version(bot, {"$unset": {"flowData": ""}})
    person, other = bot.person(), bot.person()
    first, second = bot.say(person, "one"), bot.say(person, "two")
    third = bot.say(other, "three")
    chat(healthy)
    wait_until(lambda: len(bot.find("jobs", state="DEAD")) == 3, "all three are dead")
    bot.drain()
    chat(healthy)
    assert [job["attempts"] for job in bot.find("jobs")] == [ATTEMPTS] * 3
    assert bot.find("sessions") == []

    listed = world.stack.run("jobs", "list")
    assert all(job_id in listed.stdout for job_id in (first, second, third)), listed.stderr
    shown = world.stack.run("jobs", "show", first)
    assert '"body": "one"' in shown.stdout
    assert "flowData" in shown.stdout  # the reason

    damage_version(bot, {"$set": {"flowData": version["flowData"]}})
    assert "1 of 1" in world.stack.run("jobs", "drop", third).stdout
    assert "1 of 1" in world.stack.run("jobs", "requeue", second).stdout
    bot.wait_for(person, 1)
    assert "1 of 1" in world.stack.run("jobs", "requeue", first).stdout
    bot.wait_for(person, 2)
    assert bot.texts(person) == echoes(["two", "one"])  # each at the end of its lane
    assert "No dead jobs" in world.stack.run("jobs", "list").stdout
    bot.said = [said for said in bot.said if said.job_id == first]
    bot.check()
    healthy.check()


@pytest.mark.parametrize("kind", [JobKind.MESSAGE, JobKind.STATUS, JobKind.TIMER])
def test_a_damaged_job_dies_alone(world: World, kind: JobKind) -> None:
    """One that nobody can even read must not take its worker along, nor the jobs that are claimed with it."""
    bot, healthy = world.bot(echo()), world.bot(echo())
    person = bot.person()
    bot.say(person, "one")
    bot.wait_for(person, 1)
    bot.drain()
    lane = {
        JobKind.MESSAGE: "wa:000000000000000000000000",
        JobKind.STATUS: f"st:{bot.number}:0",
        JobKind.TIMER: bot.find("sessions")[0]["lane"],
    }[kind]
    bad = NewJob(f"bad:{bot.number}", kind, lane, "{not json", "request", bot.bot_id, bot.number)
    world.store.jobs.insert([bad], utc_now())
    world.store.lanes.wake([lane])
    chat(healthy)
    wait_until(lambda: bot.find("jobs", state="DEAD"), "the damaged job is dead")
    bot.say(person, "two")
    bot.wait_for(person, 2)
    chat(healthy)
    bot.check(Allowed(dead=True))
    (dead,) = bot.find("jobs", state="DEAD")
    assert dead["_id"] == bad.job_id
    assert "JSONDecodeError" in dead["reason"]
    assert all(process.is_running for process in world.stack.processes)


def test_a_conversation_too_large_to_store_fails_and_says_so(world: World) -> None:
    bot, healthy = world.bot(echo()), world.bot(echo())
    person = bot.person()
    bot.say(person, "one")
    bot.wait_for(person, 1)
    bot.drain()
    # MongoDB takes 16 MiB: a session just below grows above with the next message.
    filler = {"nodeId": "x" * (16 * 1024 * 1024 - 30_000), "count": 1}
    world.store.database["sessions"].update_one({"botId": bot.bot_id}, {"$push": {"loops": filler}})
    bot.say(person, "y" * 40_000)
    chat(healthy)
    wait_until(lambda: bot.find("sessions", status="FAILED"), "the session failed")
    bot.say(person, "three")
    bot.wait_for(person, 2)
    world.store.database["sessions"].update_many({"botId": bot.bot_id}, {"$set": {"loops": []}})
    bot.check()
    assert bot.texts(person) == ["1:one", "1:three"]  # a new conversation
    errors = [entry["error"] for entry in bot.find("execution_logs") if "error" in entry]
    assert errors == ["session.too_large"]


def test_a_worker_that_dies_of_a_job_again_and_again_gives_it_up(
    mongo_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with World(
        mongo_uri, tmp_path_factory.mktemp("deadly"), LEASE_SECONDS="1", JOB_MAX_ATTEMPTS="2"
    ) as world:
        world.stack.start_web()
        bot = world.bot(echo())
        person = bot.person()
        deadly = bot.say(person, "one")
        for _ in range(3):
            worker = world.stack.start_worker(CRASHPOINT="K2")
            assert worker.wait(20) == -9
            if bot.find("jobs", state="DEAD"):
                break
        world.stack.start_worker()
        wait_until(lambda: bot.find("jobs", state="DEAD"), "the job is given up")
        bot.say(person, "two")
        bot.wait_for(person, 1)
        bot.check(Allowed(dead=True))
        (job,) = bot.find("jobs", state="DEAD")
        assert job["_id"] == deadly
        assert "died" in job["reason"]
        assert bot.texts(person) == echoes(["two"])
