"""What the engine does with events that are early, late, wrong or many, and with state that makes no sense."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.flow.definition import Flow, load_flow
from common.flow.executor import STEP_BUDGET, run
from common.flow.message_limits import TEXT_MAX, units
from common.flow.restart import prepare, restart
from common.flow.turn import Surroundings, Turn
from common.model.calls import CallFailed, ChatAnswer, ChatMessage, HttpAnswer, HttpRequest
from common.model.events import (
    EffectAnswered,
    Event,
    InboundMessage,
    MessageKind,
    MessageReceived,
    TimerFired,
)
from common.model.session import Session, SessionStatus, Wait, WaitKind
from common.model.session_json import session_from_json, session_to_json
from tests.conversations.scripts import expand

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
AROUND = Surroundings(NOW)


def flow_of(nodes: dict[str, Any], edges: list[list[str]] | None = None, version_id: str = "v1") -> Flow:
    flow = load_flow(expand({"nodes": nodes, "edges": edges or []}), version_id).flow
    assert flow is not None
    return flow


def start(next_id: str) -> dict[str, Any]:
    return {"nodeType": "START", "nextNodeId": next_id}


ASK = {
    "start": start("ask"),
    "ask": {
        "nodeType": "INPUT",
        "promptMessage": "Name?",
        "variableName": "name",
        "successNextNodeId": "end",
        "retryConfig": {"failureNextNodeId": "end"},
        "noReplyTimeout": {"duration": 5, "nextNodeId": "end"},
    },
    "end": {"nodeType": "END"},
}
CALL = {
    "start": start("call"),
    "call": {
        "nodeType": "API",
        "url": "https://api.test/{{lastMessage}}",
        "storeEntireResponse": True,
        "successNextNodeId": "end",
        "failureNextNodeId": "end",
    },
    "end": {"nodeType": "END"},
}


def session() -> Session:
    return Session("s1", "b1", "c1", "v1")


def says(
    text: str = "hi", kind: MessageKind = MessageKind.TEXT, button_id: str | None = None
) -> MessageReceived:
    return MessageReceived(InboundMessage("m1", kind, text, NOW, button_id))


def begun(flow: Flow) -> Turn:
    return run(flow, session(), says(), AROUND)


def test_the_old_session_is_left_as_it_was() -> None:
    flow = flow_of(ASK)
    waiting = begun(flow).session
    before = json.dumps(session_to_json(waiting))
    after = run(flow, waiting, says("Ada"), AROUND).session
    assert json.dumps(session_to_json(waiting)) == before
    assert after.variables == {"name": "Ada"}
    assert after.turn == waiting.turn + 1


def test_a_wait_is_numbered_by_the_turn_that_began_it() -> None:
    waiting = begun(flow_of(ASK)).session
    assert waiting.wait == Wait(WaitKind.REPLY, 1, NOW + timedelta(minutes=5), {"refused": 0})
    assert waiting.status is SessionStatus.PAUSED
    assert waiting.last_reply_node_id == "ask"


@pytest.mark.parametrize(
    "event",
    [
        TimerFired(0),
        TimerFired(2),
        EffectAnswered("s1:1", HttpAnswer(200)),
        EffectAnswered("", HttpAnswer(200)),
    ],
)
def test_an_event_for_another_wait_is_ignored(event: Event) -> None:
    flow = flow_of(ASK)
    waiting = begun(flow).session
    turn = run(flow, waiting, event, AROUND)
    assert turn.ignored
    assert turn.session is waiting
    assert not turn.steps


def test_a_timer_without_a_wait_for_a_time_is_ignored() -> None:
    nodes = {**ASK, "ask": {key: value for key, value in ASK["ask"].items() if key != "noReplyTimeout"}}
    flow = flow_of(nodes)
    assert run(flow, begun(flow).session, TimerFired(1), AROUND).ignored


@pytest.mark.parametrize("event", [TimerFired(0), EffectAnswered("s1:0", HttpAnswer(200))])
def test_a_conversation_that_has_not_begun_only_hears_messages(event: Event) -> None:
    assert run(flow_of(ASK), session(), event, AROUND).ignored


def test_an_effect_is_named_by_session_and_turn_and_waits_for_its_answer() -> None:
    flow = flow_of(CALL)
    turn = begun(flow)
    assert turn.effect is not None
    assert turn.effect.effect_id == "s1:1"
    assert isinstance(turn.effect.request, HttpRequest)
    assert turn.session.status is SessionStatus.ACTIVE
    assert turn.session.wait is not None
    assert turn.session.wait.kind is WaitKind.EFFECT
    assert turn.session.wait.request is not None
    assert turn.session.wait.request["url"] == "https://api.test/hi"
    stored = session_from_json(json.loads(json.dumps(session_to_json(turn.session))))
    answered = run(flow, stored, EffectAnswered("s1:1", HttpAnswer(200, body="ok")), AROUND)
    assert answered.session.variables == {"apiResponse": "ok"}
    assert run(flow, answered.session, EffectAnswered("s1:1", HttpAnswer(200)), AROUND).ignored


def test_a_message_during_a_call_is_recorded_and_the_call_still_counts() -> None:
    flow = flow_of(CALL)
    asked = begun(flow)
    recorded = run(flow, asked.session, says("hello?"), AROUND)
    assert recorded.recorded_as == "during_call"
    assert recorded.session.wait == asked.session.wait
    assert recorded.session.last_message == "hi"
    assert recorded.effect is None
    done = run(
        flow, recorded.session, EffectAnswered("s1:1", CallFailed("http.timeout", "Too slow.")), AROUND
    )
    assert done.session.status is SessionStatus.CLOSED


@pytest.mark.parametrize("node", ["API", "AI"])
def test_a_call_that_is_answered_by_another_kind_of_answer_fails(node: str) -> None:
    ai = {**CALL["call"], "nodeType": "AI", "userPrompt": "x", "storeResponseIn": "a", "fallback": "Sorry"}
    flow = flow_of({**CALL, "call": ai} if node == "AI" else CALL)
    answer = HttpAnswer(200) if node == "AI" else ChatAnswer("x", "gpt-4")
    turn = run(flow, begun(flow).session, EffectAnswered("s1:1", answer), AROUND)
    assert turn.steps[0].handle == "failure"
    assert turn.steps[0].error == f"{node.lower()}.wrong_answer"


@pytest.mark.parametrize("status", [SessionStatus.CLOSED, SessionStatus.FAILED, SessionStatus.COMPLETED])
def test_a_message_to_a_session_that_has_ended_is_recorded(status: SessionStatus) -> None:
    ended = replace(session(), status=status, node_id="end")
    turn = run(flow_of(ASK), ended, says(), AROUND)
    assert turn.recorded_as == status.lower()
    assert turn.session.status is status
    assert not turn.messages


def test_a_node_that_the_flow_does_not_have_fails_the_session() -> None:
    lost = replace(session(), status=SessionStatus.PAUSED, node_id="gone", wait=Wait(WaitKind.REPLY, 0))
    turn = run(flow_of(ASK), lost, says(), AROUND)
    assert turn.session.status is SessionStatus.FAILED
    assert turn.session.wait is None
    assert [(step.node_id, step.error) for step in turn.steps] == [("gone", "flow.node_missing")]


def test_a_session_in_the_middle_of_nothing_fails() -> None:
    lost = replace(session(), node_id="ask")
    turn = run(flow_of(ASK), lost, says(), AROUND)
    assert turn.session.status is SessionStatus.FAILED
    assert turn.steps[0].error == "session.lost"


def test_an_exit_that_leads_nowhere_fails_the_session_after_what_was_said() -> None:
    flow = flow_of({"start": start("say"), "say": {"nodeType": "MESSAGE", "messageContent": "Hello"}})
    turn = begun(flow)
    assert [message.text for message in turn.messages] == ["Hello"]
    assert turn.session.status is SessionStatus.FAILED
    assert turn.session.node_id == "say"
    assert turn.steps[-1].error == "flow.open_exit"
    assert turn.steps[-1].message == 'The exit "output" of "say" leads nowhere.'


def test_the_step_budget_is_exact() -> None:
    def circle(rounds: int) -> Turn:
        loop = {"nodeType": "LOOP", "iterationCount": rounds, "maxIterations": 1000, "exitNextNodeId": "end"}
        return begun(
            flow_of(
                {"start": start("loop"), "loop": loop, "end": {"nodeType": "END"}},
                [["loop", "body", "loop", "continue"]],
            )
        )

    assert STEP_BUDGET == 200
    fits = circle(STEP_BUDGET - 3)  # with START, the loop's last look, and END
    assert len(fits.steps) == STEP_BUDGET
    assert fits.session.status is SessionStatus.CLOSED
    over = circle(STEP_BUDGET - 2)
    assert len(over.steps) == STEP_BUDGET
    assert over.session.status is SessionStatus.FAILED
    assert over.steps[-1].error == "turn.too_many_steps"


def test_a_passive_message_before_the_beginning_leaves_a_step_and_nothing_else() -> None:
    turn = run(flow_of(ASK), session(), says("", MessageKind.PASSIVE), AROUND)
    assert turn.recorded_as == "passive"
    assert turn.session == replace(session(), turn=1)
    assert len(turn.steps) == 1


def test_button_ids_carry_version_node_and_button() -> None:
    menu = {
        "nodeType": "BUTTON",
        "messageText": "x",
        "buttons": [{"buttonId": "b" * 64, "label": "B", "nextNodeId": "end"}],
        "fallback": {"nextNodeId": "n" * 64},
    }
    nodes = {"start": start("n" * 64), "n" * 64: menu, "end": {"nodeType": "END"}}
    for version_id in ("v1", "65f1c0ffee65f1c0ffee0001", "x" * 500, "a:b"):
        flow = flow_of(nodes, version_id=version_id)
        shown = begun(flow)
        (button,) = shown.messages[0].buttons
        assert len(button.button_id) <= 256
        assert button.button_id.startswith(version_id[:100]) or len(version_id) > 100
        tapped = run(flow, shown.session, says("B", MessageKind.BUTTON, button.button_id), AROUND)
        assert tapped.recorded_as is None
        assert tapped.steps[0].detail["button"] == "b" * 64


def test_a_long_text_is_sent_in_pieces_that_fit_and_lose_nothing() -> None:
    words = " ".join(f"word{number}🙂" for number in range(1500))
    flow = flow_of(
        {
            "start": start("say"),
            "say": {"nodeType": "MESSAGE", "messageContent": "{{long}}", "nextNodeId": "end"},
            "end": {"nodeType": "END"},
        }
    )
    turn = run(flow, replace(session(), variables={"long": words}), says(), AROUND)
    assert len(turn.messages) == 4
    assert all(units(message.text) <= TEXT_MAX for message in turn.messages)
    assert " ".join(message.text for message in turn.messages) == words
    assert "sent in 4 messages" in turn.steps[1].notes[0]


def test_a_text_too_long_for_buttons_goes_ahead_of_them() -> None:
    text = "First paragraph.\n\n" + "x " * 700 + "\n\nChoose:"
    menu = {"nodeType": "BUTTON", "messageText": "{{long}}", "buttons": [{"label": "A", "nextNodeId": "end"}]}
    flow = flow_of(
        {
            "start": start("menu"),
            "menu": {**menu, "fallback": {"nextNodeId": "end"}},
            "end": {"nodeType": "END"},
        }
    )
    turn = run(flow, replace(session(), variables={"long": text}), says(), AROUND)
    assert [message.text for message in turn.messages] == [text.rsplit("\n\n", 1)[0].rstrip(), "Choose:"]
    assert [bool(message.buttons) for message in turn.messages] == [False, True]


def test_lone_surrogates_are_never_sent() -> None:
    flow = flow_of(
        {"start": start("end"), "end": {"nodeType": "END", "finalMessage": "{{lastMessage}}\ud83d"}}
    )
    turn = run(flow, session(), says("a\ud800b\0"), AROUND)
    turn.messages[0].text.encode()
    assert turn.messages[0].text == "a\ufffdb\ufffd\ufffd"


def test_only_the_bot_variables_that_were_read_are_noted() -> None:
    flow = flow_of({"start": start("end"), "end": {"nodeType": "END", "finalMessage": "{{a}} {{b}} {{c}}"}})
    around = replace(AROUND, bot_variables={"a": 1, "b": 2, "unread": 3})
    turn = run(flow, replace(session(), variables={"b": "mine"}), says(), around)
    assert turn.messages[0].text == "1 mine "
    assert turn.bot_variables_read == {"a": 1}


def test_steps_last_as_long_as_the_stopwatch_says() -> None:
    ticks = iter(range(100))
    turn = run(flow_of(ASK), session(), says(), replace(AROUND, stopwatch=lambda: next(ticks) / 1000))
    assert [step.duration_ms for step in turn.steps] == pytest.approx([1.0, 1.0])


def test_history_is_kept_as_far_back_as_it_is_needed() -> None:
    assert begun(flow_of(ASK)).session.history == []
    talk = {
        "start": start("ai"),
        "ai": {
            "nodeType": "AI",
            "userPrompt": "x",
            "storeResponseIn": "a",
            "includeHistory": True,
            "historyLength": 2,
            "successNextNodeId": "ask",
            "failureNextNodeId": "ask",
        },
        "ask": {**ASK["ask"], "successNextNodeId": "ai"},
        "end": {"nodeType": "END"},
    }
    flow = flow_of(talk)
    turn = begun(flow)
    for number in range(1, 9):
        event: Event = (
            says(f"m{number}") if number % 2 == 0 else EffectAnswered(f"s1:{number}", ChatAnswer("ok", "m"))
        )
        turn = run(flow, turn.session, event, AROUND)
        assert len(turn.session.history) == 3


def test_a_restarted_session_keeps_its_variables_and_history_and_nothing_else() -> None:
    flow = flow_of(ASK, version_id="v2")
    ended = replace(
        begun(flow_of(ASK)).session,
        status=SessionStatus.COMPLETED,
        loops={"loop": 3},
        variables={"a": 1},
        history=[ChatMessage("user", "hi")],
    )
    again = restart(ended, flow)
    assert again == replace(
        session(),
        flow_version_id="v2",
        turn=1,
        variables={"a": 1},
        history=[ChatMessage("user", "hi")],
        last_message="hi",
    )
    assert [message.text for message in run(flow, again, says(), AROUND).messages] == ["Name?"]


EXAMPLES = {
    path.stem: load_flow(json.loads(path.read_text(encoding="utf-8")), path.stem).flow
    for path in sorted((Path(__file__).parents[2] / "docs/examples").glob("*.json"))
}
TEXTS = st.text(max_size=30) | st.sampled_from(
    ["1", "2", "ada@example.com", "{{a}}", "person", "Prices", "12"]
)
EVENTS = st.one_of(
    st.builds(says, TEXTS, st.sampled_from(list(MessageKind)), st.none() | st.text(max_size=20)),
    st.just("timer"),
    st.just("ok"),
    st.just("fail"),
)


@settings(max_examples=150)
@given(st.sampled_from(sorted(EXAMPLES)), st.lists(EVENTS, max_size=12))
def test_no_conversation_raises_and_every_state_survives_storage(name: str, events: list[Any]) -> None:
    flow, state = EXAMPLES[name], session()
    assert flow is not None
    for event in events:
        wait_id = state.wait.wait_id if state.wait else 0
        answer = HttpAnswer(200, body={"id": 1}) if event == "ok" else CallFailed("x", "y")
        if event == "timer":
            event = TimerFired(wait_id)  # noqa: PLW2901 - the event for the wait as it stands now
        elif isinstance(event, str):
            event = EffectAnswered(f"s1:{wait_id}", answer)  # noqa: PLW2901 - as above
        turn = run(flow, prepare(state, flow), event, AROUND)
        assert all(message.text and len(message.buttons) <= 3 for message in turn.messages)
        stored = json.dumps(session_to_json(turn.session))
        state = session_from_json(json.loads(stored))
        assert json.dumps(session_to_json(state)) == stored
