"""A person closes a conversation, or takes it over: in order, once, and without losing what comes due meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from common.clock import utc_now
from common.ids import new_ulid
from common.model.control import Control, ControlAction
from common.model.conversation_jobs import control_job, conversation_with
from common.model.jobs import JobKind, NewJob
from tests.support.controls import control, done, give, put
from tests.support.flows import ask, call, echo, end, flow, say, wait
from tests.support.waiting import wait_until
from tests.support.world import Bot, Json, World

A = ControlAction


@pytest.fixture(scope="module")
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("control")) as world:
        world.start()
        yield world


@pytest.fixture(autouse=True)
def _no_faults_left(world: World) -> Iterator[None]:
    yield
    world.peers.control("DELETE", "faults")


def delayed(seconds: float) -> Json:
    nodes = {"begin": say("wait"), "wait": wait(seconds), "done": ask("done?"), "end": end()}
    edges = "start > begin, begin > wait, wait > done, done.success > end, done.failure > end"
    return flow(nodes, edges)


def calling(world: World) -> Json:
    nodes = {"moment": say("one moment"), "call": call(world.crm("echo")), "done": ask("done"), "end": end()}
    edges = (
        "start > moment, moment > call, call.success > done, call.failure > end, "
        "done.success > end, done.failure > end"
    )
    return flow(nodes, edges)


def contact_of(bot: Bot) -> Json:
    (contact,) = bot.find("contacts")
    return contact


def is_over_due(bot: Bot) -> bool:
    (session,) = bot.find("sessions")
    return bool(utc_now() > session["wait"]["at"] + timedelta(seconds=0.5))


def test_closing_ends_the_conversation_and_the_next_message_begins_anew(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    bot.say(person, "a")
    bot.wait_for(person, 1)
    assert control(bot, person, A.CLOSE) == "applied"
    (session,) = bot.find("sessions")
    assert (session["status"], session["isOpen"], session["wait"]) == ("CLOSED", False, None)
    assert world.store.database["session_variables"].count_documents({"sessionId": session["_id"]}) == 0
    last = world.store.execution_logs.steps(session["_id"])[-1]
    told = json.loads(last["detail"])["control"]
    assert (told["action"], told["by"], told["why"]) == ("CLOSE", "01USER", "because")
    assert control(bot, person, A.CLOSE) == "unchanged"
    bot.say(person, "b")
    bot.wait_for(person, 2)
    bot.check()
    assert bot.texts(person) == ["1:a", "1:b"]


def test_closing_means_the_session_that_it_names_and_no_later_one(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    bot.say(person, "a")
    bot.wait_for(person, 1)
    assert control(bot, person, A.CLOSE, sessionId=new_ulid()) == "unchanged"
    (session,) = bot.find("sessions")
    assert session["isOpen"]
    assert control(bot, person, A.RESET, sessionId=session["_id"]) == "applied"
    bot.check()


def test_closing_in_a_delay_leaves_no_timer(world: World) -> None:
    bot = world.bot(delayed(1))
    person = bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    assert control(bot, person, A.CLOSE) == "applied"
    assert bot.find("sessions", resumeAt={"$exists": True}) == []
    begun = utc_now()
    wait_until(lambda: utc_now() > begun + timedelta(seconds=1.5), "the delay would be over")
    bot.check()
    assert bot.texts(person) == ["wait"]


def test_closing_while_a_call_is_out_comes_before_its_answer(world: World) -> None:
    bot = world.bot(calling(world))
    person = bot.person()
    world.peers.fault("latency", endpoint="crm.echo", seconds=1, times=1)
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    assert control(bot, person, A.CLOSE) == "applied"
    bot.check()
    assert bot.texts(person) == ["one moment"]
    (session,) = bot.find("sessions")
    assert session["status"] == "CLOSED"


def test_a_pause_before_anything_was_said_creates_the_contact(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    assert control(bot, person, A.PAUSE) == "applied"
    contact = contact_of(bot)
    assert contact["aliases"] == [f"wa:{person}"]
    assert contact["botPausedBy"] == "01USER"
    job_id = bot.say(person, "hi")
    assert done(world.store, job_id)["outcome"] == "bot_paused"
    (message,) = bot.find("messages")
    assert (message["messageContent"], message["note"], message["sessionId"]) == ("hi", "bot_paused", None)
    assert control(bot, person, A.RESUME) == "applied"
    bot.say(person, "again")
    bot.wait_for(person, 1)
    bot.check()
    assert bot.texts(person) == ["1:again"]
    assert contact_of(bot)["lastInboundAt"] is not None


def test_a_person_known_by_another_id_as_well_is_paused_all_the_same(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    control(bot, person, A.PAUSE)
    job_id = bot.say(person, "hi", bsuid="US.13491208655302741918")
    assert done(world.store, job_id)["outcome"] == "bot_paused"
    assert set(contact_of(bot)["aliases"]) == {f"wa:{person}", "bsuid:US.13491208655302741918"}
    bot.check()


def test_two_pauses_are_one_and_one_resume_ends_them(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    bot.say(person, "a")
    bot.wait_for(person, 1)
    assert [control(bot, person, action) for action in (A.PAUSE, A.PAUSE)] == ["applied", "unchanged"]
    first = contact_of(bot)["botPausedAt"]
    until = (utc_now() + timedelta(hours=1)).isoformat()
    assert control(bot, person, A.PAUSE, until=until) == "applied"  # it ends at another time
    assert contact_of(bot)["botPausedAt"] == first
    assert [control(bot, person, action) for action in (A.RESUME, A.RESUME)] == ["applied", "unchanged"]
    assert contact_of(bot)["botPausedAt"] is None
    bot.say(person, "b")
    bot.wait_for(person, 2)
    bot.check()


def test_the_same_job_twice_pauses_once(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    where = conversation_with(bot.bot_id, person)
    job = control_job(where, Control(A.PAUSE, "u"), job_id=new_ulid(), request_id="r")
    for _ in range(2):
        put(world.store, job)
    done(world.store, job.job_id)
    control(bot, person, A.RESUME)
    put(world.store, job)
    bot.drain()
    assert contact_of(bot)["botPausedAt"] is None


def test_a_timer_that_comes_due_while_paused_fires_after_the_resume(world: World) -> None:
    bot = world.bot(delayed(1))
    person = bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    control(bot, person, A.PAUSE)
    wait_until(lambda: is_over_due(bot), "the delay is over")
    assert bot.texts(person) == ["wait"]
    control(bot, person, A.RESUME)
    bot.wait_for(person, 2)
    bot.check()
    assert bot.texts(person) == ["wait", "done?"]


def test_a_timer_that_was_queued_before_the_pause_is_not_lost(world: World) -> None:
    """Its job runs into the pause and ends; the resume sets the timer anew."""
    bot = world.bot(delayed(60))
    person = bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    control(bot, person, A.PAUSE)
    (session,) = bot.find("sessions")
    payload = {"sessionId": session["_id"], "waitId": session["wait"]["waitId"]}
    job_id = f"t:{session['_id']}:{session['wait']['waitId']}"
    lane = session["lane"]
    put(world.store, NewJob(job_id, JobKind.TIMER, lane, json.dumps(payload), "r", bot.bot_id))
    assert done(world.store, job_id)["outcome"] == "bot_paused"
    past = utc_now() - timedelta(seconds=1)
    world.store.database["sessions"].update_one({"_id": session["_id"]}, {"$set": {"wait.at": past}})
    control(bot, person, A.RESUME)
    bot.wait_for(person, 2)
    bot.check()
    assert bot.texts(person) == ["wait", "done?"]


def test_a_pause_that_ends_by_itself_lets_the_timer_fire_then(world: World) -> None:
    bot = world.bot(delayed(1))
    person = bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    until = utc_now() + timedelta(seconds=2)
    control(bot, person, A.PAUSE, until=until.isoformat())
    bot.wait_for(person, 2)
    assert utc_now() > until
    bot.check()
    assert contact_of(bot)["botPausedAt"] is None


def test_a_pause_that_ended_unnoticed_holds_back_no_message(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    until = utc_now() + timedelta(seconds=1)
    control(bot, person, A.PAUSE, until=until.isoformat())
    wait_until(lambda: utc_now() > until, "the pause is over")
    bot.say(person, "a")
    bot.wait_for(person, 1)
    bot.check()


def test_a_call_that_is_answered_while_paused_is_made_once_and_goes_on_after_the_resume(world: World) -> None:
    bot = world.bot(calling(world))
    person = bot.person()
    world.peers.fault("latency", endpoint="crm.echo", seconds=1, times=1)
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    assert control(bot, person, A.PAUSE) == "applied"
    (session,) = bot.find("sessions")
    assert session["wait"]["answer"]
    assert done(world.store, bot.say(person, "hello?"))["outcome"] == "bot_paused"
    assert bot.texts(person) == ["one moment"]
    control(bot, person, A.RESUME)
    bot.wait_for(person, 2)
    bot.check()
    assert bot.texts(person) == ["one moment", "done"]
    assert len(bot.history().calls) == 1


def test_a_pause_comes_before_the_messages_that_wait_behind_a_call(world: World) -> None:
    bot = world.bot(calling(world))
    person = bot.person()
    world.peers.fault("latency", endpoint="crm.echo", seconds=1, times=1)
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    job_id = bot.say(person, "impatient")
    wait_until(lambda: world.store.jobs.find(job_id), "the message is accepted")
    assert control(bot, person, A.PAUSE) == "applied"
    assert done(world.store, job_id)["outcome"] == "bot_paused"
    assert bot.texts(person) == ["one moment"]
    control(bot, person, A.RESUME)
    bot.wait_for(person, 2)
    bot.check()


def stop(bot: Bot) -> str:
    """Somebody has written to a bot whose token was revoked: the answer waits in their lane."""
    person = bot.person()
    bot.world.peers.fault("graph_error", code=190)
    bot.say(person, "one")
    wait_until(lambda: parked(bot, person) == "bot_stopped", "the answer waits")
    return person


def parked(bot: Bot, person: str) -> str | None:
    lane = bot.world.store.database["lanes"].find_one({"_id": conversation_with(bot.bot_id, person).lane})
    return lane.get("parkedFor") if lane else None


def reconnect(bot: Bot) -> None:
    bot.world.peers.control("DELETE", "faults")
    bot.world.store.resume_sending(bot.bot_id)


def test_a_pause_reaches_a_stopped_bot_and_holds_what_is_queued(world: World) -> None:
    bot = world.bot(echo())
    person = stop(bot)
    assert control(bot, person, A.PAUSE) == "applied"
    wait_until(lambda: parked(bot, person) == "bot_paused", "the answer is held")
    reconnect(bot)
    assert done(world.store, bot.say(person, "two"))["outcome"] == "bot_paused"
    wait_until(lambda: parked(bot, person) == "bot_paused", "the answer is held still")
    assert bot.sends() == []
    assert [message["status"] for message in bot.out()] == ["QUEUED"]
    assert control(bot, person, A.RESUME) == "applied"
    bot.wait_for(person, 1)
    bot.say(person, "three")
    bot.wait_for(person, 2)
    bot.check()
    assert bot.texts(person) == ["1:one", "2:three"]


def test_a_close_reaches_a_stopped_bot_and_sends_nothing(world: World) -> None:
    bot = world.bot(echo())
    person = stop(bot)
    assert control(bot, person, A.CLOSE) == "applied"
    (session,) = bot.find("sessions")
    assert (session["status"], bot.sends()) == ("CLOSED", [])
    wait_until(lambda: parked(bot, person) == "bot_stopped", "the answer waits on")
    reconnect(bot)
    bot.wait_for(person, 1)
    bot.check()
    assert bot.texts(person) == ["1:one"]


def test_a_pause_comes_before_what_is_sent_again_later(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    world.peers.fault("graph_error", code=131056, to=person)
    bot.say(person, "one")
    wait_until(lambda: parked(bot, person) == "retry_send", "it is sent again later")
    world.peers.control("DELETE", "faults")
    assert control(bot, person, A.PAUSE) == "applied"
    wait_until(lambda: parked(bot, person) == "bot_paused", "it is held")
    assert bot.sends() == []
    control(bot, person, A.RESUME)
    bot.wait_for(person, 1)
    bot.check()


def test_what_was_held_is_sent_when_the_pause_ends_by_itself(world: World) -> None:
    bot = world.bot(echo())
    person = stop(bot)
    until = utc_now() + timedelta(seconds=3)
    assert control(bot, person, A.PAUSE, until=until.isoformat()) == "applied"
    reconnect(bot)
    bot.wait_for(person, 1)
    assert utc_now() > until
    bot.check()


def test_a_close_does_not_overtake_a_message(world: World) -> None:
    bot = world.bot(calling(world))
    person = bot.person()
    world.peers.fault("latency", endpoint="crm.echo", seconds=1, times=1)
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    job_id = bot.say(person, "answer")
    wait_until(lambda: world.store.jobs.find(job_id), "the message is accepted")
    assert control(bot, person, A.CLOSE) == "unchanged"  # the message had ended the conversation by then
    bot.check()
    assert bot.texts(person) == ["one moment", "done"]


@pytest.mark.parametrize(
    ("action", "arguments"),
    [
        (A.ADVANCE_CLOCK, {"seconds": 60}),
        (A.SET_VARIABLE, {"name": "n", "value": 5}),
        (A.DELETE_VARIABLE, {"name": "n"}),
        (A.SET_BREAKPOINTS, {"nodeIds": ["ask"]}),
        (A.SET_CALLS, {"calls": "STAND_IN"}),
        (A.STEP, {}),
        (A.CONTINUE, {}),
    ],
)
def test_a_real_conversation_refuses_what_is_for_tests(world: World, action: A, arguments: Json) -> None:
    bot = world.bot(echo())
    person = bot.person()
    bot.say(person, "a")
    bot.wait_for(person, 1)
    bot.drain()
    names = ("sessions", "contacts", "session_variables", "execution_logs", "messages")
    before = {name: bot.find(name) for name in names}
    assert control(bot, person, action, **arguments) == "refused"
    assert {name: bot.find(name) for name in names} == before
    bot.check()


@pytest.mark.parametrize("until", ["soon", "2020-01-01T00:00:00Z", "9999-12-31T00:00:00Z"])
def test_a_pause_until_no_time_that_will_come_is_refused(world: World, until: str) -> None:
    bot = world.bot(echo())
    person = bot.person()
    assert control(bot, person, A.PAUSE, until=until) == "refused"
    assert bot.find("contacts") == []


def test_a_control_for_a_deleted_bot_ends_and_leaves_nothing(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    bot.say(person, "a")
    bot.wait_for(person, 1)
    bot.drain()
    world.store.database["bots"].delete_one({"_id": bot.bot_id})

    def has_ended() -> bool:
        """Within the second in which the worker still takes the bot for alive, controls are done as ever."""
        job_id = give(world.store, conversation_with(bot.bot_id, person), A.PAUSE)
        wait_until(lambda: (world.store.jobs.find(job_id) or {}).get("state") != "PENDING", "it ends")
        return (world.store.jobs.find(job_id) or {}).get("outcome") not in ("applied", "unchanged")

    wait_until(has_ended, "the worker learns that the bot is gone")
    assert bot.find("jobs", state={"$in": ["PENDING", "DEAD", "UNROUTED"]}) == []


def test_a_control_that_cannot_be_read_becomes_a_dead_letter_and_the_lane_goes_on(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    bot.say(person, "a")
    bot.wait_for(person, 1)
    lane = conversation_with(bot.bot_id, person).lane
    put(world.store, NewJob("c:bad", JobKind.CONTROL, lane, '{"action":"EXPLODE"}', "r", bot.bot_id))
    bot.say(person, "b")
    bot.wait_for(person, 2)
    assert done(world.store, "c:bad")["state"] == "DEAD"
    assert bot.texts(person) == ["1:a", "2:b"]


def test_controls_survive_a_worker_that_dies_at_the_commit(
    mongo_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Killed inside the transaction and right after it: the pause is there once, and nothing else is changed."""
    for point in ("K3", "K4"):
        with World(mongo_uri, tmp_path_factory.mktemp("dies")) as world:
            world.start(workers=0)
            bot = world.bot(delayed(1))
            person = bot.person()
            doomed = world.stack.start_worker(CRASHPOINT=f"{point}:2")
            bot.say(person, "hi")
            bot.wait_for(person, 1)
            job_id = give(world.store, conversation_with(bot.bot_id, person), A.PAUSE)
            wait_until(lambda: not doomed.is_running, "the worker dies")  # noqa: B023 - awaited here
            world.stack.start_worker()
            assert done(world.store, job_id)["outcome"] == "applied"
            (session,) = bot.find("sessions")
            assert session["turn"] == 2
            wait_until(lambda: is_over_due(bot), "the delay is over")  # noqa: B023 - awaited here
            control(bot, person, A.RESUME)
            bot.wait_for(person, 2)
            bot.check()
            assert bot.texts(person) == ["wait", "done?"]
