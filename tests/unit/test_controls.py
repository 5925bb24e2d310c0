"""What a person does to a conversation, in the engine: closing, variables, breakpoints; and all of it replays."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from common.flow.definition import Flow, load_flow
from common.flow.executor import run
from common.flow.replay import LoggedTurn, log_turn, path_of, replay
from common.flow.turn import Surroundings, Turn
from common.model.calls import HttpAnswer
from common.model.control import Control, ControlAction
from common.model.events import (
    EffectAnswered,
    Event,
    InboundMessage,
    MessageKind,
    MessageReceived,
    TimerFired,
    event_from_json,
    event_to_json,
)
from common.model.session import Session, SessionStatus, WaitKind
from common.model.session_json import session_from_json, session_to_json
from tests.support.flows import ask, call, count, end, flow, say, wait

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
A = ControlAction


class Played:
    """A conversation that goes through JSON between any two turns, and is replayed from its log at the end."""

    def __init__(self, nodes: dict[str, Any], edges: str, *stops: str, each: bool = False) -> None:
        loaded = load_flow(flow(nodes, edges), "v1").flow
        assert loaded is not None
        self.flow: Flow = loaded
        self.around = Surroundings(NOW, breakpoints=frozenset(stops), stops_at_each_node=each)
        self.first = json.dumps(session_to_json(Session("s1", "b1", "c1", "v1")))
        self.stored = self.first
        self.log: list[str] = []
        self.turns: list[Turn] = []

    @property
    def session(self) -> Session:
        return session_from_json(json.loads(self.stored))

    def take(self, event: Event) -> Turn:
        event = event_from_json(json.loads(json.dumps(event_to_json(event))))
        turn = run(self.flow, self.session, event, self.around)
        if not turn.ignored:
            assert turn.steps
            self.stored = json.dumps(session_to_json(turn.session))
            self.log.append(json.dumps(log_turn(turn, event).to_json()))
            self.turns.append(turn)
        return turn

    def say(self, text: str) -> Turn:
        return self.take(MessageReceived(InboundMessage("m", MessageKind.TEXT, text, NOW)))

    def do(self, action: ControlAction, **arguments: Any) -> Turn:
        return self.take(Control(action, "user-1", "", arguments))

    def answer(self) -> Turn:
        number = self.session.wait.wait_id if self.session.wait else 0
        return self.take(EffectAnswered(f"s1:{number}", HttpAnswer(200, body={})))

    @property
    def texts(self) -> list[str]:
        return [message.text for turn in self.turns for message in turn.messages]

    @property
    def path(self) -> list[str]:
        return [node for turn in self.turns for node in path_of(turn.steps)]

    def stands_before(self, node_id: str) -> bool:
        session = self.session
        is_stopped = session.wait is not None and session.wait.kind is WaitKind.BREAKPOINT
        return is_stopped and session.node_id == node_id and session.status is SessionStatus.PAUSED

    def check_replay(self) -> None:
        log = [LoggedTurn.from_json(json.loads(entry)) for entry in self.log]
        replayed = replay(self.flow, session_from_json(json.loads(self.first)), log)
        assert replayed.path == self.path
        assert [message.text for message in replayed.messages] == self.texts
        assert session_to_json(replayed.session) == json.loads(self.stored)


NODES = {"one": say("1"), "ask": ask("name?", "name"), "two": say("hi {{name}}"), "end": end()}
EDGES = "start > one, one > ask, ask.success > two, ask.failure > end, two > end"


def test_it_stops_before_a_node_with_a_breakpoint_and_goes_on() -> None:
    played = Played(NODES, EDGES, "ask")
    played.say("hello")
    assert played.texts == ["1"]
    assert played.stands_before("ask")
    played.do(A.CONTINUE)
    assert played.texts == ["1", "name?"]
    played.say("Ada")
    assert played.texts == ["1", "name?", "hi Ada"]
    assert played.path == ["start", "one", "ask", "two", "end"]
    played.check_replay()


def test_a_step_runs_one_node_even_where_not_every_node_stops() -> None:
    played = Played(NODES, EDGES, "one")
    played.say("hello")
    assert played.texts == []
    played.do(A.STEP)
    assert played.texts == ["1"]
    assert played.stands_before("ask")
    played.do(A.STEP)
    assert played.texts == ["1", "name?"]
    played.say("Ada")  # the step lasts until the node is left
    assert played.stands_before("two")
    played.do(A.CONTINUE)
    assert played.texts[-1] == "hi Ada"
    assert played.path == ["start", "one", "ask", "two", "end"]
    played.check_replay()


def test_step_mode_stops_before_every_node_also_the_first() -> None:
    played = Played(NODES, EDGES, each=True)
    played.say("hello")
    for node_id in ("start", "one", "ask"):
        assert played.stands_before(node_id)
        played.do(A.STEP)
    assert played.path == ["start", "one", "ask"]
    assert played.texts == ["1", "name?"]
    played.check_replay()


def test_continue_in_step_mode_goes_to_the_next_question_then_stops_again() -> None:
    played = Played(NODES, EDGES, each=True)
    played.say("hello")
    played.do(A.CONTINUE)
    assert played.texts == ["1", "name?"]
    played.say("Ada")
    assert played.stands_before("two")
    played.check_replay()


def test_a_step_over_a_call_stops_after_its_answer_and_continue_does_not() -> None:
    nodes = {"call": call("https://api.test/"), "done": end("done"), "failed": end("failed")}
    edges = "start > call, call.success > done, call.failure > failed"
    stepping = Played(nodes, edges, "call")
    stepping.say("hi")
    assert stepping.do(A.STEP).effect is not None
    stepping.answer()
    assert stepping.stands_before("done")
    stepping.check_replay()
    going = Played(nodes, edges, "call", each=True)
    going.say("hi")
    going.do(A.STEP)
    going.do(A.CONTINUE)
    going.answer()
    assert going.texts == ["done"]
    going.check_replay()


def test_a_loop_goes_on_counting_over_a_breakpoint() -> None:
    nodes = {
        "loop": ("LOOP", {"iterationCount": 2, "iterationVariable": "i"}),
        "in": say("{{i}}"),
        "end": end(),
    }
    played = Played(nodes, "start > loop, loop.body > in, in > loop, loop.exit > end", "loop")
    played.say("hi")
    for _ in range(3):
        assert played.stands_before("loop")
        played.do(A.CONTINUE)
    assert played.texts == ["1", "2"]
    assert played.session.status is SessionStatus.CLOSED
    played.check_replay()


def test_messages_at_a_breakpoint_are_kept_and_answer_what_is_asked_afterwards() -> None:
    nodes = {"one": ask("a?", "a"), "two": ask("b?", "b"), "done": end("{{a}}{{b}}")}
    edges = "start > one, one.success > two, one.failure > done, two.success > done, two.failure > done"
    played = Played(nodes, edges, "one")
    played.say("hello")
    assert played.say("x").recorded_as == "at_breakpoint"
    played.say("y")
    played.do(A.CONTINUE)
    assert played.texts == ["a?", "b?", "xy"]
    assert played.session.held == []
    played.check_replay()


def test_only_so_many_messages_are_kept() -> None:
    played = Played(NODES, EDGES, "one")
    played.say("hello")
    recorded = [played.say(f"{number}").recorded_as for number in range(21)]
    assert recorded == ["at_breakpoint"] * 20 + ["too_many_at_breakpoint"]
    played.check_replay()


def test_messages_that_the_flow_never_asked_for_are_dropped_with_a_note() -> None:
    played = Played({"end": end("bye")}, "start > end", "end")
    played.say("hello")
    played.say("x")
    turn = played.do(A.CONTINUE)
    assert played.session.held == []
    assert any("not answered" in note for note in turn.steps[-1].notes)
    played.check_replay()


def test_kept_messages_wait_for_the_end_of_a_call() -> None:
    nodes = {"call": call("https://api.test/"), "ask": ask("name?", "name"), "end": end("hi {{name}}")}
    edges = "start > call, call.success > ask, call.failure > end, ask.success > end, ask.failure > end"
    played = Played(nodes, edges, "call")
    played.say("hello")
    played.say("Ada")
    played.do(A.CONTINUE)
    assert played.texts == []
    played.answer()
    assert played.texts == ["name?", "hi Ada"]
    played.check_replay()


@pytest.mark.parametrize("action", [A.STEP, A.CONTINUE])
def test_who_does_not_stand_at_a_breakpoint_cannot_go_on(action: ControlAction) -> None:
    played = Played(NODES, EDGES)
    played.say("hello")
    before = played.stored
    turn = played.do(action)
    assert turn.ignored
    assert turn.refused
    assert played.stored == before


def test_a_timer_does_not_end_a_breakpoint() -> None:
    played = Played(NODES, EDGES, "one")
    played.say("hello")
    assert played.take(TimerFired(1)).ignored


@pytest.mark.parametrize("action", [A.CLOSE, A.RESET])
def test_closing_ends_a_conversation_in_the_middle_of_a_delay(action: ControlAction) -> None:
    played = Played({"wait": wait(60), "end": end()}, "start > wait, wait > end")
    played.say("hello")
    turn = played.take(Control(action, "user-1", "spam"))
    assert played.session.status is SessionStatus.CLOSED
    assert played.session.wait is None
    assert turn.steps[0].node_id == "wait"
    assert turn.steps[0].detail["control"] == {"action": action, "by": "user-1", "why": "spam"}
    assert played.do(action).refused
    played.check_replay()


def test_variables_are_set_and_deleted_and_the_conversation_stays_where_it_is() -> None:
    played = Played({"count": count(), **NODES}, EDGES.replace("start > one", "start > count, count > one"))
    played.say("hello")
    where = replace(played.session, turn=0, variables={})
    played.do(A.SET_VARIABLE, name="age", value="7", type="NUMBER")
    played.do(A.DELETE_VARIABLE, name="n")
    assert played.session.variables == {"age": 7}
    assert replace(played.session, turn=0, variables={}) == where
    played.check_replay()


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "sessionId", "value": 1},
        {"name": "9", "value": 1},
        {"name": "a", "value": "x", "type": "NUMBER"},
        {"name": "a", "value": 1, "type": "INTEGER"},
        {"name": "a", "value": "x" * 300_000},
        {},
    ],
)
def test_what_a_variable_cannot_hold_is_refused_and_nothing_changes(arguments: dict[str, Any]) -> None:
    played = Played(NODES, EDGES)
    played.say("hello")
    before = played.stored
    turn = played.do(A.SET_VARIABLE, **arguments)
    assert turn.ignored
    assert turn.refused
    assert turn.steps == []
    assert played.stored == before
    assert played.do(A.DELETE_VARIABLE, name="nothing").refused


@pytest.mark.parametrize("action", [A.PAUSE, A.RESUME, A.ADVANCE_CLOCK])
def test_what_concerns_no_node_only_stands_in_the_log(action: ControlAction) -> None:
    played = Played(NODES, EDGES)
    played.say("hello")
    before = replace(played.session, turn=0)
    turn = played.do(action, seconds=5)
    assert replace(played.session, turn=0) == before
    assert turn.steps[0].detail["control"]["action"] == action
    played.check_replay()
