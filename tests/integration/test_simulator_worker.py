"""Test conversations: the draft, a clock of their own, stand-ins for calls, breakpoints; and nothing is really sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.clock import utc_now
from common.flow.definition import load_flow
from common.flow.replay import LoggedTurn, replay
from common.model.control import ControlAction
from common.model.session import Session
from common.model.simulation import StandIn
from tests.support.controls import Tester, done
from tests.support.flows import ask, echo, end, flow, say, wait
from tests.support.waiting import wait_until
from tests.support.world import Bot, Json, World

A = ControlAction
DAY = 24 * 3600


@pytest.fixture(scope="module")
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("simulator")) as world:
        world.start()
        yield world


@pytest.fixture(scope="module")
def bot(world: World) -> Bot:
    """One bot for all; its live flow must never run in a test conversation."""
    return world.bot(flow({"live": end("the live flow")}, "start > live"), variables={"shop": "Ada's"})


def somebody(bot: Bot, flow_data: Json, **more: Any) -> Tester:
    return Tester(bot, flow_data, **more)


def delayed(seconds: float = 3 * 3600) -> Json:
    nodes = {"begin": say("wait"), "wait": wait(seconds), "done": ask("done {{lastMessage}}"), "end": end()}
    return flow(nodes, "start > begin, begin > wait, wait > done, done.success > end, done.failure > end")


def calling(url: str = "https://api.test/things") -> Json:
    nodes = {
        "call": ("API", {"method": "GET", "url": url, "responseMapping": [{"jsonPath": "$.name", "variableName": "name"}]}),
        "good": end("hello {{name}}"),
        "bad": end("it failed"),
    }  # fmt: skip
    return flow(nodes, "start > call, call.success > good, call.failure > bad")


def asking() -> Json:
    ai = {"model": "gpt-4", "userPrompt": "{{lastMessage}}", "storeResponseIn": "said"}
    nodes = {"ai": ("AI", ai), "good": end("done"), "bad": end("failed")}
    return flow(nodes, "start > ai, ai.success > good, ai.failure > bad")


def check_replay(someone: Tester) -> None:
    """The log alone gives the same path, messages and variables."""
    session = someone.session()
    loaded = load_flow(someone.flow_data, session["flowVersionId"]).flow
    assert loaded is not None
    begun = Session(session["_id"], session["botId"], session["contactId"], session["flowVersionId"])
    causes = someone.store.execution_logs.causes(session["_id"])
    replayed = replay(loaded, begun, [LoggedTurn.from_json(cause) for cause in causes])
    shown = [
        message["messageContent"]
        for message in someone.messages()
        if message["direction"] == "OUT" and message["sessionId"] == session["_id"]
    ]
    assert [message.text for message in replayed.messages] == shown
    assert replayed.session.status == session["status"]
    assert replayed.session.node_id == session["currentNodeId"]
    found = someone.store.database["session_variables"].find({"sessionId": session["_id"]})
    stored = {variable["variableName"]: variable["variableValue"] for variable in found}
    assert stored == (replayed.variables if session["isOpen"] else {})


def test_a_test_runs_the_draft_and_shows_its_messages_without_sending_them(bot: Bot) -> None:
    someone = somebody(bot, echo("{{userPhone}} {{userName}} "))
    someone.say("a")
    someone.wait_for("491701234567 Ada 1:a")
    someone.say("b")
    someone.wait_for("491701234567 Ada 1:a", "491701234567 Ada 2:b")
    (out, _) = (m for m in someone.messages() if m["direction"] == "OUT")
    assert (out["status"], "open" in out, "attemptIds" in out) == ("ACCEPTED", False, False)
    session = someone.session()
    assert session["isTest"]
    assert session["flowVersionId"] == f"draft:{someone.flow_id}:1"
    assert session["flowId"] == someone.flow_id
    assert bot.sends() == []
    check_replay(someone)


def test_a_conversation_under_way_stays_on_its_version_until_it_is_reset(bot: Bot) -> None:
    someone = somebody(bot, echo("one "))
    someone.say("a")
    someone.wait_for("one 1:a")
    someone.flow_data, someone.revision = echo("two "), 2
    someone.say("b")
    someone.wait_for("one 1:a", "one 2:b")
    assert someone.do(A.RESET)["outcome"] == "applied"
    someone.say("c")
    someone.wait_for("one 1:a", "one 2:b", "two 1:c")


def test_after_an_end_that_keeps_the_conversation_a_test_begins_its_own_version_again(bot: Bot) -> None:
    someone = somebody(bot, flow({"end": end("bye", "KEEP_ACTIVE")}, "start > end"))
    someone.say("a")
    someone.wait_for("bye")
    someone.say("b")
    someone.wait_for("bye", "bye")
    assert someone.session()["flowVersionId"] == f"draft:{someone.flow_id}:1"


def test_people_flows_and_testers_never_share_a_conversation(bot: Bot) -> None:
    first = somebody(bot, echo())
    others = [
        replace(first, digits="491700000000"),
        replace(first, user_id="02USER"),
        somebody(bot, echo()),  # another flow
    ]
    for someone in (first, *others):
        someone.say("hi")
    for someone in (first, *others):
        someone.wait_for("1:hi")
    assert len({someone.where.lane for someone in (first, *others)}) == 4


def test_a_real_customer_of_the_same_number_is_somebody_else(bot: Bot) -> None:
    person = bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    someone = somebody(bot, echo(), digits=person)
    someone.say("hi")
    someone.wait_for("1:hi")
    assert bot.texts(person) == ["the live flow"]
    real = next(c for c in bot.find("contacts") if f"wa:{person}" in c["aliases"])
    assert "test" not in real
    assert someone.contact()["aliases"] == [someone.where.alias]


def test_the_clock_goes_to_the_next_timer_which_fires_through_the_normal_path(bot: Bot) -> None:
    someone = somebody(bot, delayed())
    someone.say("hi")
    someone.wait_for("wait")
    begun = utc_now()
    assert someone.do(A.ADVANCE_CLOCK, toNextTimer=True)["outcome"] == "applied"
    someone.wait_for("wait", "done hi")
    assert utc_now() - begun < timedelta(seconds=10)
    jobs = bot.find("jobs", kind="TIMER", lane=someone.where.lane)
    assert len(jobs) == 1
    out = [m for m in someone.messages() if m["direction"] == "OUT"]
    assert timedelta(hours=3) <= out[1]["sentAt"] - out[0]["sentAt"] < timedelta(hours=3, seconds=20)
    steps = someone.steps()
    assert [s["turn"] for s in steps] == sorted(s["turn"] for s in steps)
    assert someone.do(A.ADVANCE_CLOCK, toNextTimer=True)["outcome"] == "refused"  # nothing waits any more
    check_replay(someone)


def test_hours_pass_and_what_is_not_due_yet_waits_on(bot: Bot) -> None:
    someone = somebody(bot, delayed())
    someone.say("hi")
    someone.wait_for("wait")
    before = someone.session()["resumeAt"]
    someone.do(A.ADVANCE_CLOCK, seconds=2 * 3600)
    session = someone.session()
    assert before - session["resumeAt"] == timedelta(hours=2)
    assert session["wait"]["at"] == before
    someone.say("still there?")
    someone.do(A.ADVANCE_CLOCK, seconds=3600)
    someone.wait_for("wait", "done hi")
    offset = someone.contact()["test"]["clockOffsetSeconds"]
    assert offset == 3 * 3600
    check_replay(someone)


def test_after_a_day_a_message_fails_with_metas_code_and_the_flow_goes_on(bot: Bot) -> None:
    someone = somebody(bot, delayed(23 * 3600))
    someone.say("hi")
    someone.wait_for("wait")
    someone.do(A.ADVANCE_CLOCK, seconds=25 * 3600)
    someone.wait_for("wait", "done hi")
    good, late = (m for m in someone.messages() if m["direction"] == "OUT")
    assert good["status"] == "ACCEPTED"
    assert (late["status"], late["error"]["code"]) == ("FAILED", 131047)
    step = next(s for s in someone.steps() if s["nodeId"] == "done")
    assert any("131047" in note for note in step["notes"])
    assert someone.session()["status"] == "PAUSED"
    someone.say("Ada")  # which opens the window again
    wait_until(lambda: not someone.session()["isOpen"], "the flow ends")


def test_a_message_within_the_day_is_shown(bot: Bot) -> None:
    someone = somebody(bot, delayed(23 * 3600))
    someone.say("hi")
    someone.wait_for("wait")
    someone.do(A.ADVANCE_CLOCK, toNextTimer=True)
    someone.wait_for("wait", "done hi")
    assert {m["status"] for m in someone.messages() if m["direction"] == "OUT"} == {"ACCEPTED"}


def test_a_reset_puts_the_clock_back_and_keeps_the_breakpoints(bot: Bot) -> None:
    someone = somebody(bot, delayed())
    someone.do(A.SET_BREAKPOINTS, nodeIds=["done"], stepMode=False)
    someone.say("hi")
    someone.wait_for("wait")
    someone.do(A.ADVANCE_CLOCK, seconds=40 * DAY)
    someone.do(A.RESET)
    contact = someone.contact()
    assert contact["test"]["clockOffsetSeconds"] == 0
    assert contact["test"]["breakpoints"] == ["done"]
    assert contact["lastInboundAt"] is None
    someone.say("again")
    wait_until(lambda: someone.texts()[-2:] == ["wait", "wait"], "it begins again")
    assert abs(someone.messages()[-1]["sentAt"] - datetime.now(UTC)) < timedelta(minutes=1)


def test_what_names_an_old_session_leaves_the_current_one_alone(bot: Bot) -> None:
    someone = somebody(bot, echo())
    someone.say("a")
    someone.wait_for("1:a")
    old = someone.session()["_id"]
    someone.do(A.RESET, sessionId=old)
    someone.say("b")
    someone.wait_for("1:a", "1:b")
    before = someone.session()
    assert before["_id"] != old
    assert someone.do(A.RESET, sessionId=old)["outcome"] == "unchanged"
    assert someone.do(A.SET_VARIABLE, name="n", value=5, sessionId=old)["outcome"] == "refused"
    assert someone.do(A.DELETE_VARIABLE, name="n", sessionId=old)["outcome"] == "refused"
    assert someone.session() == before
    someone.say("c")
    someone.wait_for("1:a", "1:b", "2:c")
    assert someone.do(A.SET_VARIABLE, name="n", value=7, sessionId=before["_id"])["outcome"] == "applied"


@pytest.mark.parametrize("seconds", [0, -5, "7", None, True, 10**12, 1e300])
def test_a_clock_only_goes_forward_and_not_for_ever(bot: Bot, seconds: object) -> None:
    someone = somebody(bot, echo())
    someone.say("a")
    someone.wait_for("1:a")
    before = someone.session()
    assert someone.do(A.ADVANCE_CLOCK, seconds=seconds)["outcome"] == "refused"
    assert someone.session() == before


def test_stand_ins_answer_instead_of_the_world_and_what_has_none_fails_clearly(bot: Bot) -> None:
    someone = somebody(bot, calling())
    someone.do(A.SET_CALLS, calls="STAND_IN")
    someone.say("hi")
    someone.wait_for("it failed")
    assert "call.no_stand_in" in {s.get("error") for s in someone.steps()}
    assert someone.store.stand_ins.from_log(someone.session()["_id"]) == {}  # nothing to record
    answers: list[tuple[Json, str]] = [
        ({"status": 200, "headers": {}, "body": {"name": "Ada"}}, "hello Ada"),
        ({"status": 503, "headers": {}, "body": None}, "it failed"),
        ({"failure": {"code": "api.timeout", "message": "Too slow."}}, "it failed"),
    ]
    for place, (answer, said) in enumerate(answers, start=2):
        someone.store.stand_ins.put(bot.bot_id, someone.flow_id, StandIn("call", "HTTP", answer))
        someone.say("again")
        wait_until(lambda: len(someone.texts()) == place, "an answer")  # noqa: B023 - awaited here
        assert someone.texts()[-1] == said
        check_replay(someone)
    assert {s.get("error") for s in someone.steps()} == {None, "api.timeout"}


def test_an_ai_is_stood_in_for_and_a_stand_in_of_another_kind_is_none(bot: Bot) -> None:
    someone = somebody(bot, asking())
    someone.do(A.SET_CALLS, calls="STAND_IN")
    put = someone.store.stand_ins.put
    put(bot.bot_id, someone.flow_id, StandIn("ai", "HTTP", {"status": 200, "body": {}}))
    someone.say("hi")
    someone.wait_for("failed")
    put(bot.bot_id, someone.flow_id, StandIn("ai", "CHAT", {"text": "we open at nine"}))
    someone.say("hi")
    someone.wait_for("failed", "we open at nine", "done")


def test_a_real_answer_becomes_a_stand_in(bot: Bot) -> None:
    someone = somebody(bot, calling(bot.world.crm("echo?name=x")))
    someone.say("hi")
    wait_until(someone.texts, "an answer")
    found = someone.store.stand_ins.from_log(someone.session()["_id"])
    assert found["call"].kind == "HTTP"
    assert found["call"].answer["status"] == 200
    someone.store.stand_ins.put(bot.bot_id, someone.flow_id, found["call"], is_recorded=True)
    someone.do(A.SET_CALLS, calls="STAND_IN")
    calls = len(bot.world.peers.control("GET", "crm/calls")["calls"])
    someone.say("hi")
    wait_until(lambda: len(someone.texts()) == 2, "an answer")
    assert someone.texts()[0] == someone.texts()[1]
    assert len(bot.world.peers.control("GET", "crm/calls")["calls"]) == calls


def test_a_breakpoint_holds_the_conversation_until_a_person_lets_it_go_on(bot: Bot) -> None:
    nodes = {"one": say("1"), "ask": ask("name?", "name"), "two": say("hi {{name}}"), "end": end()}
    edges = "start > one, one > ask, ask.success > two, ask.failure > end, two > end"
    someone = somebody(bot, flow(nodes, edges))
    someone.do(A.SET_BREAKPOINTS, nodeIds=["ask"], stepMode=False)
    assert someone.do(A.SET_BREAKPOINTS, nodeIds=["ask"], stepMode=False)["outcome"] == "unchanged"
    someone.say("hi")
    someone.wait_for("1")
    session = someone.session()
    assert (session["status"], session["wait"]["kind"]) == ("PAUSED", "BREAKPOINT")
    assert session["currentNodeId"] == "ask"
    early = someone.say("Ada")
    done(someone.store, early)
    (kept,) = (m for m in someone.messages() if m["_id"] == early)
    assert kept["note"] == "at_breakpoint"
    assert someone.do(A.SET_VARIABLE, name="x", value=1)["outcome"] == "applied"
    assert someone.session()["wait"]["kind"] == "BREAKPOINT"
    someone.do(A.STEP)
    someone.wait_for("1", "name?")
    assert someone.session()["currentNodeId"] == "two"  # the message that was kept answered the question
    check_replay(someone)
    someone.do(A.CONTINUE)
    someone.wait_for("1", "name?", "hi Ada")
    assert someone.do(A.CONTINUE)["outcome"] == "refused"
    assert someone.do(A.CONTINUE)["outcomeReason"]
    check_replay(someone)


def test_variables_of_a_test_are_edited_and_the_flow_sees_them(bot: Bot) -> None:
    someone = somebody(bot, echo())
    assert someone.do(A.SET_VARIABLE, name="n", value=1)["outcome"] == "refused"  # nothing is under way
    someone.say("a")
    someone.wait_for("1:a")
    assert someone.do(A.SET_VARIABLE, name="n", value="41", type="NUMBER")["outcome"] == "applied"
    someone.say("b")
    someone.wait_for("1:a", "42:b")
    assert someone.do(A.DELETE_VARIABLE, name="n")["outcome"] == "applied"
    assert someone.do(A.DELETE_VARIABLE, name="n")["outcome"] == "refused"
    someone.say("c")
    someone.wait_for("1:a", "42:b", "1:c")
    check_replay(someone)


def test_a_version_that_is_gone_ends_the_conversation_with_the_reason(bot: Bot) -> None:
    """As after three days; a version that this worker still has in memory would go on."""
    someone = somebody(bot, echo())
    someone.store.test_versions.keep(someone.flow_id, 1, bot.bot_id, {"nodes": []})
    someone.say("a")
    wait_until(lambda: someone.store.database["sessions"].find_one({"lane": someone.where.lane}), "a session")
    assert someone.session()["status"] == "FAILED"
    assert [s["error"] for s in someone.steps()] == ["flow.unusable"]
    assert someone.do(A.CLOSE)["outcome"] == "unchanged"


def test_a_test_that_waits_for_a_timer_can_be_paused_and_goes_on(bot: Bot) -> None:
    someone = somebody(bot, delayed())
    someone.say("hi")
    someone.wait_for("wait")
    someone.do(A.PAUSE)
    someone.do(A.ADVANCE_CLOCK, seconds=4 * 3600)
    assert "resumeAt" not in someone.session()
    assert someone.do(A.STEP)["outcome"] == "refused"
    someone.do(A.RESUME)
    someone.wait_for("wait", "done hi")
    check_replay(someone)


def test_a_test_survives_its_worker_and_timer_dying_in_the_middle(
    mongo_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with World(mongo_uri, tmp_path_factory.mktemp("dies")) as world:
        world.start(workers=0, timers=0)
        bot = world.bot(echo())
        someone = somebody(bot, delayed())
        doomed = world.stack.start_worker(CRASHPOINT="K3:3")
        timer = world.stack.start_timer(CRASHPOINT="T2")
        someone.say("hi")
        someone.wait_for("wait")
        someone.do(A.ADVANCE_CLOCK, toNextTimer=True)
        wait_until(lambda: not timer.is_running, "the timer dies")
        wait_until(lambda: not doomed.is_running, "the worker dies")
        world.start()
        someone.wait_for("wait", "done hi")
        bot.drain()
        assert len(bot.find("jobs", kind="TIMER")) == 1
        check_replay(someone)


def test_the_causes_in_the_log_are_json_a_person_can_read(bot: Bot) -> None:
    someone = somebody(bot, echo())
    someone.do(A.SET_BREAKPOINTS, nodeIds=["ask"], stepMode=True)
    someone.say("a")
    wait_until(lambda: someone.store.database["sessions"].find_one({"lane": someone.where.lane}), "a session")
    cause = json.loads(someone.steps()[0]["cause"])
    assert cause["breakpoints"] == ["ask"]
    assert cause["stopsAtEachNode"] is True
