"""Running a logged conversation again: across versions, over restarts, and never further than the log leads."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from common.flow.definition import Flow, load_flow
from common.flow.executor import run
from common.flow.replay import LoggedTurn, log_turn
from common.flow.restart import Restart, prepare, taken_up
from common.flow.retrace import CannotRetrace, LoggedRun, RanTurn, retrace
from common.flow.turn import Surroundings, Turn
from common.model.control import Control, ControlAction
from common.model.events import Event, InboundMessage, MessageKind, MessageReceived
from common.model.session import Session, SessionStatus
from tests.support.flows import ask, count, end, flow

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
NEW = Session("s", "bot", "contact", "")


def compiled(version: str, question: str = "Name?", policy: str = "RESTART") -> Flow:
    nodes = {
        "count": count(),
        "ask": ask(f"{question} {{{{n}}}}", "name"),
        "bye": end("Bye {{name}}, {{shop}}", "KEEP_ACTIVE"),
    }
    data = flow(nodes, "start > count, count > ask, ask.success > bye, ask.failure > bye")
    data["settings"] = {"restartPolicy": policy}
    loaded = load_flow(data, version)
    assert loaded.flow is not None, loaded.issues
    return loaded.flow


class Talk:
    """A conversation as a worker runs and logs it."""

    def __init__(self, flow_version: Flow) -> None:
        self.flow = flow_version
        self.session = replace(NEW, flow_version_id=flow_version.version_id)
        self.log: list[LoggedRun] = []
        self.turns: list[Turn] = []

    def hear(self, text: str, how: Restart | None = None) -> None:
        message = InboundMessage(f"wamid.{len(self.log)}", MessageKind.TEXT, text, NOW)
        if how is not None:
            self.session = taken_up(self.session, self.flow, how)
        self.take(MessageReceived(message), how)

    def take(self, event: Event, how: Restart | None = None) -> None:
        told = Surroundings(now=NOW + timedelta(seconds=len(self.log)), bot_variables={"shop": "Ducks"})
        turn = run(self.flow, self.session, event, told)
        entry = LoggedTurn.from_json(json.loads(json.dumps(log_turn(turn, event, how).to_json())))
        way = tuple((step.node_id, step.handle) for step in turn.steps)
        self.log.append(LoggedRun(entry, self.flow.version_id, way))
        self.turns.append(turn)
        self.session = turn.session


def again(talk: Talk, *flows: Flow, log: list[LoggedRun] | None = None) -> list[RanTurn]:
    known = {each.version_id: each for each in flows or (talk.flow,)}
    return retrace(NEW, talk.log if log is None else log, known.get)


def told(talk: Talk) -> Talk:
    for text in ("hi", "Ada"):
        talk.hear(text)
    return talk


def test_values_that_nobody_kept_are_there_again() -> None:
    talk = told(Talk(compiled("v1")))
    first, second = again(talk)
    assert first.before.variables == {}
    assert second.before.variables == {"n": 1}
    assert second.turn is not None
    assert [message.text for message in second.turn.messages] == ["Bye Ada, Ducks"]
    assert [step.sent for step in second.turn.steps] == [0, 1]
    assert second.after.variables == talk.session.variables == {"n": 1, "name": "Ada"}


def test_a_restart_on_another_version_is_followed() -> None:
    """The log says that it was taken up anew, and on which version."""
    old, new = compiled("v1"), compiled("v2", "And now?")
    talk = told(Talk(old))
    talk.flow = new
    talk.hear("again", Restart())
    talk.hear("Bob")
    *_, third, fourth = again(talk, old, new)
    assert third.turn is not None
    assert [message.text for message in third.turn.messages] == ["And now? 2"]
    assert fourth.after.variables == {"n": 2, "name": "Bob"}


def test_logs_without_that_word_follow_the_flows_own_policy() -> None:
    for policy, text in (("RESTART", "Name? 2"), ("RESUME_LAST_NODE", "Bye again, Ducks")):
        version = compiled("v1", policy=policy)
        talk = told(Talk(version))
        assert again(talk)[-1].after.status is SessionStatus.COMPLETED
        talk.session = prepare(talk.session, version)  # as the worker does
        talk.hear("again")
        last = again(talk)[-1]
        assert last.turn is not None
        assert [message.text for message in last.turn.messages] == [text]


def test_a_persons_control_is_a_turn_like_any_other() -> None:
    talk = Talk(compiled("v1"))
    talk.hear("hi")
    talk.take(Control(ControlAction.SET_VARIABLE, arguments={"name": "n", "value": 41}))
    talk.take(Control(ControlAction.CLOSE))
    ran = again(talk)
    assert [turn.after.variables for turn in ran] == [{"n": 1}, {"n": 41}, {"n": 41}]
    assert ran[-1].after.status is SessionStatus.CLOSED


def test_a_turn_that_we_ended_ourselves_ends_it_here_too() -> None:
    talk = told(Talk(compiled("v1")))
    cut = replace(talk.log[1], is_cut_off=True, way=(("ask", None),))
    ran = again(talk, log=[talk.log[0], cut])
    assert ran[1].turn is None
    assert ran[1].after.status is SessionStatus.FAILED
    assert ran[1].after.turn == 2


CASES: dict[str, tuple[Any, str]] = {
    "the beginning is gone": (lambda log: log[1:], "from its beginning"),
    "a hole": (lambda log: [log[0], log[0]], "from its beginning"),
    "the version is gone": (lambda log: [replace(log[0], version_id="gone")], "version"),
    "another way": (lambda log: [replace(log[0], way=(("start", "output"),))], "another way"),
    "another exit": (
        lambda log: [log[0], replace(log[1], way=(("ask", "failure"), ("bye", None)))], "another way",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_leads_no_further_than_the_log(name: str) -> None:
    change, words = CASES[name]
    talk = told(Talk(compiled("v1")))
    with pytest.raises(CannotRetrace, match=words):
        again(talk, log=change(talk.log))


def test_an_event_that_does_not_fit_is_no_way() -> None:
    """A stale event would have been ignored, and never logged."""
    talk = told(Talk(compiled("v1")))
    stale = replace(talk.log[1].told, event=Control(ControlAction.STEP))
    with pytest.raises(CannotRetrace):
        again(talk, log=[talk.log[0], replace(talk.log[1], told=stale)])
