"""Plays a scripted conversation: stores and reloads the session between any two turns, replays it at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from common.flow.definition import Flow
from common.flow.executor import run
from common.flow.node import ExitPerRow
from common.flow.replay import LoggedTurn, log_turn, path_of, replay
from common.flow.restart import Resume, SwitchFlow, decide, restart, resume
from common.flow.turn import Surroundings, Turn
from common.model.calls import Answer, CallFailed, ChatAnswer, ChatRequest, HttpAnswer, HttpRequest, Request
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
from common.model.session import Session, SessionStatus
from common.model.session_json import session_from_json, session_to_json
from common.model.turn_records import OutboundMessage
from tests.conversations.scripts import Case, span

BEGIN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
_ENDS_KEYS = {"status", "variables", "path", "pathEnds", "loops"}
PASSIVE = {"reaction", "edit", "revoke", "system", "unsupported"}


@dataclass
class Segment:
    """Turns of one session in one flow, as they would be replayed."""

    flow: Flow
    before: dict[str, Any]
    log: list[str] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    messages: list[OutboundMessage] = field(default_factory=list)
    after: dict[str, Any] = field(default_factory=dict)


class Player:
    """One conversation under way."""

    def __init__(self, case: Case) -> None:
        self.case = case
        assert case.flow.flow is not None, case.flow.issues
        self.flow: Flow = case.flow.flow
        self.now = BEGIN
        self.sessions = 0
        self.received = 0
        self.stored = self.new_session(dict(case.given.get("session", {})))
        self.segments: list[Segment] = []
        self.turns: list[Turn] = []
        self.shown: list[OutboundMessage] = []

    # --- the session, as a store would keep it

    def new_session(self, variables: dict[str, Any]) -> str:
        self.sessions += 1
        session = Session(
            f"session{self.sessions}", "bot1", "contact1", self.flow.version_id, variables=variables
        )
        return json.dumps(session_to_json(session))

    @property
    def session(self) -> Session:
        return session_from_json(json.loads(self.stored))

    def take(self, event: Event) -> Turn:
        """One turn, from what is stored to what is stored."""
        event = event_from_json(json.loads(json.dumps(event_to_json(event))))
        before = self.stored
        turn = run(self.flow, self.session, event, self.surroundings())
        assert json.dumps(session_to_json(self.session)) == before
        if turn.ignored:
            assert not turn.steps
            assert not turn.messages
            return turn
        assert turn.steps, "a turn without a step would leave no log"
        assert turn.session.turn == self.session.turn + 1
        if not self.segments or self.segments[-1].flow is not self.flow:
            self.begin_segment(before)
        self.stored = json.dumps(session_to_json(turn.session))
        self.turns.append(turn)
        self.shown += turn.messages
        self.note_in_segment(turn, event)
        return turn

    def begin_segment(self, before: str) -> None:
        self.segments.append(Segment(self.flow, json.loads(before)))

    def note_in_segment(self, turn: Turn, event: Event) -> None:
        segment = self.segments[-1]
        segment.log.append(json.dumps(log_turn(turn, event).to_json()))
        segment.path += path_of(turn.steps)
        segment.messages += turn.messages
        segment.after = json.loads(self.stored)

    def surroundings(self) -> Surroundings:
        given = self.case.given
        return Surroundings(
            now=self.now,
            bot_variables=given.get("bot", {}),
            user_name=given.get("userName", "Ada"),
            user_phone=given.get("userPhone", "4915112345678"),
            message_id=f"wamid.{self.received}",
            user_id="user1",
        )

    # --- what happens

    def hear(self, said: Any) -> Turn:
        """A message, as the worker would handle it: closed sessions begin anew, ended ones by their policy."""
        session = self.session
        message = self.message(said)
        is_passive = message.kind is MessageKind.PASSIVE
        if not session.status.is_open and not is_passive:
            self.stored = self.new_session({})
            self.begin_segment(self.stored)
        elif session.status is SessionStatus.COMPLETED and not is_passive:
            self.restart(session)
        return self.take(MessageReceived(message))

    def restart(self, session: Session) -> None:
        match decide(session, self.flow):
            case Resume(node_id):
                session = resume(session, node_id)
            case SwitchFlow(flow_id):
                flow = self.case.flows[flow_id].flow
                assert flow is not None
                self.flow, session = flow, restart(session, flow)
            case _:
                session = restart(session, self.flow)
        self.stored = json.dumps(session_to_json(session))

    def message(self, said: Any) -> InboundMessage:
        self.received += 1
        message_id = f"wamid.{self.received}"
        if not isinstance(said, dict):
            return InboundMessage(message_id, MessageKind.TEXT, str(said), self.now)
        if "tap" in said:
            wire_id, title = self.find_button(said)
            return InboundMessage(message_id, MessageKind.BUTTON, title, self.now, wire_id, "interactive")
        kind = said["type"]
        if kind in PASSIVE:
            return InboundMessage(message_id, MessageKind.PASSIVE, "", self.now, None, kind)
        group = MessageKind.OTHER if kind in ("location", "contacts", "order") else MessageKind.MEDIA
        return InboundMessage(message_id, group, "", self.now, None, kind)

    def find_button(self, said: dict[str, Any]) -> tuple[str, str]:
        """The newest button of that title; or, with an `id`, any id at all."""
        if "id" in said:
            return said["id"], said["tap"]
        buttons = [button for message in reversed(self.shown) for button in message.buttons]
        found = next((button for button in buttons if button.title == said["tap"]), None)
        assert found is not None, f"no button {said['tap']!r} was ever shown"
        return found.button_id, found.title

    def let_pass(self, duration: timedelta) -> list[Turn]:
        """Time passes; timers that are due fire at their moment."""
        until, turns = self.now + duration, []
        while (wait := self.session.wait) is not None and wait.at is not None and wait.at <= until:
            self.now = max(self.now, wait.at)
            turns.append(self.take(TimerFired(wait.wait_id)))
        self.now = until
        return turns

    def stale_event(self, kind: str) -> Turn:
        """An event for a wait that is over (or never was)."""
        session = self.session
        if kind == "timer":
            return self.take(TimerFired(session.turn - 1))
        assert kind == "answer"
        answer = EffectAnswered(f"{session.session_id}:{session.turn - 1}", HttpAnswer(200))
        return self.take(answer)


def play(case: Case) -> Player:
    """Play the script, check all that it expects, replay it from its log."""
    player = Player(case)
    for number, step in enumerate(case.script, start=1):
        _play_step(player, step, f"{case.name}, step {number}")
    _check_end(player, case.ends, case.name)
    check_replay(player, case.name)
    return player


def _play_step(player: Player, step: dict[str, Any], where: str) -> None:
    turns: list[Turn] = []
    if "after" in step:
        turns += player.let_pass(span(step["after"]))
    if "user" in step:
        turns.append(player.hear(step["user"]))
    if "stale" in step:
        turns.append(player.stale_event(step["stale"]))
        assert turns[-1].ignored, f"{where}: a stale event was not ignored"
    calls = list(step.get("calls", []))
    while turns and turns[-1].effect is not None:
        assert calls, f"{where}: a call that nobody expects: {turns[-1].effect.request}"
        effect = turns[-1].effect
        answer = _answer(effect.request, calls.pop(0), where)
        turns.append(player.take(EffectAnswered(effect.effect_id, answer)))
    assert not calls, f"{where}: calls that were not made: {calls}"
    _check_step(player, turns, step, where)


def _check_step(player: Player, turns: list[Turn], step: dict[str, Any], where: str) -> None:
    said = [_shown(message) for turn in turns for message in turn.messages]
    assert said == step.get("bot", []), where
    recorded = [turn.recorded_as for turn in turns if turn.recorded_as]
    assert recorded == ([step["recorded"]] if "recorded" in step else []), where
    notes = [note for turn in turns for taken in turn.steps for note in taken.notes]
    assert len(notes) == len(step.get("notes", [])), f"{where}: {notes}"
    for expected, note in zip(step.get("notes", []), notes, strict=True):
        assert expected in note, where
    errors = [taken.error for turn in turns for taken in turn.steps if taken.error]
    assert errors == ([step["error"]] if "error" in step else []), where
    for taken in (taken for turn in turns for taken in turn.steps if taken.error):
        assert taken.message, f"{where}: an error without a sentence"
    if "status" in step:
        assert player.session.status == step["status"], where
    for name, value in step.get("variables", {}).items():
        assert player.session.variables.get(name) == value, f"{where}: {name}"


def _shown(message: OutboundMessage) -> Any:
    if not message.buttons:
        return message.text
    return {"text": message.text, "buttons": [button.title for button in message.buttons]}


def _answer(request: Request, call: dict[str, Any], where: str) -> Answer:
    match request:
        case HttpRequest():
            asked: dict[str, Any] = {request.method: request.url}
            given = {"headers": dict(request.headers), "query": dict(request.query)}
            asked |= {key: value for key, value in given.items() if value or key in call}
            if request.body is not None or "body" in call:
                asked["body"] = request.body
        case ChatRequest():
            asked = {"chat": request.model}
            if "messages" in call:
                asked["messages"] = [{message.role: message.text} for message in request.messages]
    retry = call.get("retry")
    if retry is not None and isinstance(request, HttpRequest):
        asked["retry"] = [request.max_retries, request.retry_delay_seconds, request.timeout_seconds]
    assert asked == {key: value for key, value in call.items() if key != "answer"}, where
    return _answer_of(request, call["answer"])


def _answer_of(request: Request, given: Any) -> Answer:
    if isinstance(given, dict) and "fails" in given:
        return CallFailed(given["fails"], "The call failed.", given.get("status"), attempts=4)
    if isinstance(request, ChatRequest):
        return ChatAnswer(str(given), request.model, 10, 5)
    if given["status"] >= 300:
        return CallFailed(
            "http.status", f"HTTP {given['status']}.", given["status"], given.get("body"), attempts=4
        )
    return HttpAnswer(given["status"], body=given.get("body"))


def _check_end(player: Player, ends: dict[str, Any], where: str) -> None:
    assert ends.keys() <= _ENDS_KEYS, f"unknown keys: {ends.keys() - _ENDS_KEYS}"
    session = player.session
    if "status" in ends:
        assert session.status == ends["status"], where
    if "variables" in ends:
        assert session.variables == ends["variables"], where
    path = [node for turn in player.turns for node in path_of(turn.steps)]
    if "path" in ends:
        assert path == ends["path"], where
    if "pathEnds" in ends:
        assert path[-len(ends["pathEnds"]) :] == ends["pathEnds"], where
    if "loops" in ends:
        assert session.loops == ends["loops"], where


def check_replay(player: Player, where: str) -> None:
    """Every session's turns, run again from their log, give the same."""
    for segment in player.segments:
        log = [LoggedTurn.from_json(json.loads(entry)) for entry in segment.log]
        replayed = replay(segment.flow, session_from_json(segment.before), log)
        assert replayed.path == segment.path, f"{where}: the replay took another path"
        assert replayed.messages == segment.messages, f"{where}: the replay said something else"
        assert replayed.variables == segment.after.get("variables", replayed.variables), where
        assert session_to_json(replayed.session) == segment.after, where


def exits_taken(player: Player) -> Iterator[tuple[str, str]]:
    """(node type, exit) of every exit that the conversation took; an exit per row counts as its rows."""
    for turn in player.turns:
        for step in turn.steps:
            if step.handle is not None and step.next_node_id is not None:
                places = turn.flow.nodes[step.node_id].type.exits
                rows = next((place.rows for place in places if isinstance(place, ExitPerRow)), None)
                fixed = {place.handle for place in places if not isinstance(place, ExitPerRow)}
                yield step.node_type, step.handle if step.handle in fixed else f"each of {rows}"
