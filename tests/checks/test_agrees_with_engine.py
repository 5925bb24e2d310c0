"""What the checks say beforehand is what the engine does: random flows are checked, then played at random.

Wherever a run comes, each variable is as the analysis said it could be; a branch that is never taken is not taken;
a conversation that was not warned of does not run in a circle or speak after 24 hours.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from common.flow.comparisons import is_nothing
from common.flow.definition import Flow, Node, load_flow
from common.flow.executor import run
from common.flow.facts import as_text
from common.flow.message_limits import units
from common.flow.restart import prepare
from common.flow.turn import Surroundings, Turn
from common.flow.validation.context import CheckContext
from common.flow.validation.validate import validate_loaded
from common.flow.validation.verdict import Validation
from common.flow.validation.view import FlowView
from common.flow.variables import to_text
from common.model.calls import Answer, CallFailed, ChatAnswer, HttpAnswer
from common.model.events import (
    EffectAnswered,
    Event,
    InboundMessage,
    MessageKind,
    MessageReceived,
    TimerFired,
)
from common.model.session import Session, WaitKind
from common.model.values import Value, VariableType, type_of
from scripts.bench.large_flow import Drawing

NAMES = ("a", "b", "c")
TEXTS = ("5", "12", "hello there", "ann@example.com", "Yes", "true", "x", "hi", "this", "", "+49 151 1234567")
CONDITIONS = (
    "{{a}} > 5",
    "{{a}} > 10",
    "{{a}} <= 5",
    "{{a}}",
    "NOT {{a}}",
    "{{a}} == 'x'",
    "{{a}} != 'x'",
    "{{a}} == {{b}}",
    "{{b}} contains 'el'",
    "{{b}} starts with 'x'",
    "{{c}} == true",
    "{{c}} == 'yes' OR {{c}} == 'no'",
    "{{c}} == 'one'",
    "{{a}} > 5 AND {{a}} < 3",
    "{{a}} > 5 AND {{b}} == 'x'",
    "{{a.k}} == 'x'",
    "1 == 1",
    "1 == 2",
    "{{lastMessage}} ends with 'x'",
)
VALUES: tuple[Value, ...] = ("x", 7, True, None, [1], {"l": 2})
SEEDS = range(240)


class Spy:
    """A node type that tells what it finds when it is entered or goes on."""

    def __init__(self, node: Node, seen: Callable[[Node, Turn], None]) -> None:
        self._node, self._seen = node, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node.type, name)

    def enter(self, settings: Any, turn: Turn) -> Any:
        self._seen(self._node, turn)
        return self._node.type.enter(settings, turn)


class Play:
    """One random conversation through one checked flow."""

    def __init__(self, flow: Flow, view: FlowView, verdict: Validation, chance: random.Random) -> None:
        self.view, self.chance = view, chance
        spies: dict[str, Node] = {
            node.node_id: replace(node, type=cast("Any", Spy(node, self.look)))
            for node in flow.nodes.values()
        }
        self.flow = replace(flow, nodes=spies)
        self.issues = {(issue.code, issue.node_id, issue.field) for issue in verdict.issues}
        self.codes = {issue.code for issue in verdict.issues}
        self.now = self.heard_at = datetime(2026, 1, 5, tzinfo=UTC)
        self.entered = 0
        self.empty: set[str] = set()  # nodes that found nothing where they expect a type: that never fails

    def look(self, node: Node, turn: Turn) -> None:
        """Compare what is there with what was said to be possible."""
        self.entered += 1
        wanted = node.type.expects(node.settings)
        self.empty |= {node.node_id for name in wanted if is_nothing(turn.session.variables.get(name))}
        for name in NAMES:
            known = self.view.variables.at(node.node_id, name)
            if name not in turn.session.variables:
                assert known.is_maybe_unset, (node.node_id, name)
                continue
            value = turn.session.variables[name]
            assert known.fact is not None, (node.node_id, name, value)
            if value is None:
                continue  # null is nothing, in every type
            assert type_of(value) in known.fact.types, (node.node_id, name, value)
            longest = as_text(known.fact).longest
            assert longest is None or units(to_text(value)) <= longest, (node.node_id, name, value)
            if known.fact.is_known_text and known.fact.texts is not None:
                assert value in known.fact.texts
        silent = (self.now - self.heard_at).total_seconds()
        if silent >= 24 * 3600 and any(not said.is_answer for said in self.view.says(node)):
            assert self.codes & {"window.closed", "window.at_risk"}, node.node_id

    def go(self) -> None:
        session = Session("s", "b", "c", self.flow.version_id)
        for _ in range(30):
            session = prepare(session, self.flow)
            turn = run(self.flow, session, self.happens(session), Surroundings(self.now, user_name="Ann"))
            session = turn.session
            self.judge(turn)
            if not session.status.is_open:
                return

    def happens(self, session: Session) -> Event:
        wait = session.wait
        if wait is not None and wait.kind is WaitKind.EFFECT:
            value: Value = self.chance.choice(VALUES)
            answers: list[Answer] = [
                CallFailed("call.failed", "It failed."),
                HttpAnswer(200, (), {"k": value}),
                ChatAnswer(self.chance.choice(["x", "12", "a long answer"]), "gpt-4", 1, 1, 0.0),
            ]
            return EffectAnswered(f"{session.session_id}:{wait.wait_id}", self.chance.choice(answers))
        if wait is not None and wait.at is not None and self.chance.random() < 0.5:
            self.now = max(self.now, wait.at)
            return TimerFired(wait.wait_id)
        if wait is None or wait.at is None:
            self.now += timedelta(hours=self.chance.choice([0, 1, 30]))
        else:
            self.now += (wait.at - self.now) * self.chance.random()
        if wait is None or wait.kind is WaitKind.REPLY:
            self.heard_at = (
                self.now
            )  # what is written during a delay may not count: it opens the window all the same
        button = None
        if session.node_id is not None and self.chance.random() < 0.5:
            button = f"{self.flow.wire_prefix}:{session.node_id}:{self.chance.choice(['yes', 'no'])}"
        kind = MessageKind.TEXT if button is None else MessageKind.BUTTON
        return MessageReceived(InboundMessage("m", kind, self.chance.choice(TEXTS), self.now, button))

    def judge(self, turn: Turn) -> None:
        last = turn.steps[-1] if turn.steps else None
        if last is not None and last.error == "turn.too_many_steps":
            assert self.codes & {"flow.endless_circle", "flow.too_many_steps", "flow.many_steps"}
        for step in turn.steps:
            for place, branch in enumerate(("x", "y", "z")):
                if step.node_type == "CONDITION" and step.handle == branch:
                    field = f"branches[{place}].expression"
                    for code in ("branch.never", "branch.covered", "branch.repeated"):
                        assert (code, step.node_id, field) not in self.issues, (code, step)
                    for earlier in range(place):
                        always = ("branch.always", step.node_id, f"branches[{earlier}].expression")
                        assert always not in self.issues, step
            is_named = ("type.not_a_number", step.node_id, None) in self.issues
            failing = is_named and step.node_id not in self.empty
            assert not (failing and step.handle), ("was to fail", step)


def random_flow(chance: random.Random) -> dict[str, Any]:
    drawing = Drawing()
    names = [f"n{number}" for number in range(chance.randint(2, 9))]
    for name in names:
        kind, config, handles = random_node(chance)
        drawing.node(name, kind, **config)
        for handle in handles:
            drawing.edge(name, handle, chance.choice([*names, "end"]))
    drawing.edge("start", "output", names[0])
    drawing.node("end", "END", sessionAction=chance.choice(["KEEP_ACTIVE", "CLOSE_SESSION"]))
    flow = drawing.flow()
    flow["settings"] = {"restartPolicy": chance.choice(["RESTART", "RESUME_LAST_NODE"])}
    if chance.random() < 0.4:
        declared = chance.choice([kind.value for kind in VariableType])
        flow["variables"] = {"session": [{"name": chance.choice(NAMES), "type": declared}]}
    return flow


Made = tuple[str, dict[str, Any], list[str]]


def random_node(chance: random.Random) -> Made:
    return chance.choice(MAKERS)(chance, chance.choice(NAMES))


def say(_: random.Random, name: str) -> Made:
    return "MESSAGE", {"messageContent": f"Hi {{{{{name}}}}}"}, ["output"]


def keep(chance: random.Random, name: str) -> Made:
    return "SET_VARIABLE", random_setting(chance, name), ["output"]


def random_timeout(chance: random.Random) -> tuple[dict[str, Any], list[str]]:
    if chance.random() < 0.5:
        return {}, []
    return {"noReplyTimeout": {"duration": chance.choice([1, 20, 40]), "unit": "HOURS"}}, ["timeout"]


def ask(chance: random.Random, name: str) -> Made:
    kind = chance.choice(["TEXT", "NUMBER", "EMAIL", "PHONE"])
    timeout, exits = random_timeout(chance)
    config: dict[str, Any] = {"promptMessage": "?", "inputType": kind, "variableName": name, **timeout}
    if chance.random() < 0.5 and kind != "NUMBER":
        config["validation"] = {"maxLength": chance.choice([3, 20])}
    config["retryConfig"] = {"maxRetries": chance.choice([0, 1])}
    return "INPUT", config, ["success", "failure", *exits]


def offer(chance: random.Random, _: str) -> Made:
    buttons = [
        {"buttonId": word, "label": word, "storeIn": chance.choice([*NAMES, ""])} for word in ("yes", "no")
    ]
    timeout, exits = random_timeout(chance)
    config: dict[str, Any] = {"messageText": "?", "buttons": buttons, **timeout}
    return "BUTTON", config, ["yes", "no", "fallback", *exits]


def choose(chance: random.Random, _: str) -> Made:
    tests = [(word, chance.choice(CONDITIONS)) for word in ("x", "y", "z")]
    branches = [{"branchId": word, "label": word, "expression": test} for word, test in tests]
    return "CONDITION", {"branches": branches}, ["x", "y", "z", "default"]


def rest(chance: random.Random, _: str) -> Made:
    duration, reaction = chance.choice([1, 13, 24]), chance.choice(["KEEP_WAITING", "CONTINUE"])
    return "DELAY", {"delayDuration": duration, "delayUnit": "HOURS", "onMessage": reaction}, ["output"]


def repeat(chance: random.Random, name: str) -> Made:
    config: dict[str, Any] = {"maxIterations": 190, "iterationVariable": name}
    if chance.random() < 0.3:
        condition = chance.choice(CONDITIONS)
        return "LOOP", {"loopType": "CONDITION_BASED", "exitCondition": condition, **config}, ["body", "exit"]
    return "LOOP", {"iterationCount": chance.choice([1, 3, 190]), **config}, ["body", "exit"]


def call(_: random.Random, name: str) -> Made:
    mapping = [{"jsonPath": "k", "variableName": name}]
    return "API", {"url": "https://example.com", "responseMapping": mapping}, ["success", "failure"]


def think(_: random.Random, name: str) -> Made:
    return "AI", {"userPrompt": "?", "storeResponseIn": name}, ["success", "failure"]


MAKERS = (say, keep, keep, keep, ask, ask, offer, choose, choose, rest, repeat, repeat, call, think)


def random_setting(chance: random.Random, name: str) -> dict[str, Any]:
    other = chance.choice(NAMES)
    value_type, value = chance.choice(
        [
            ("STRING", "x"),
            ("STRING", "yes"),
            ("STRING", f"{{{{{other}}}}}"),
            ("STRING", f"{{{{{other} || 'none'}}}}"),
            ("STRING", f"{{{{{other}}}}} and {{{{{name}}}}}"),
            ("NUMBER", "7"),
            ("NUMBER", f"{{{{{other}}}}}"),
            ("BOOLEAN", "true"),
            ("OBJECT", {"k": f"{{{{{other}}}}}"}),
            ("ARRAY", [1, "x"]),
        ]
    )
    match chance.choice(["SET", "SET", "UPDATE", "DELETE", "INCREMENT"]):
        case "DELETE":
            return {"operation": "DELETE", "variableName": name}
        case "INCREMENT":
            return {"operation": "INCREMENT", "variableName": name, "amount": chance.choice([1, 0.5])}
        case operation:
            return {"operation": operation, "variableName": name, "valueType": value_type, "value": value}


def play(seed: int, conversations: int = 12) -> int:
    """The number of nodes entered."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    data = random_flow(chance)
    loaded = load_flow(data, "v1")
    assert loaded.flow is not None
    assert not loaded.errors, loaded.errors
    context = CheckContext()
    verdict = validate_loaded(loaded, data, context)
    view, entered = FlowView(loaded.flow, data, context), 0
    for _ in range(conversations):
        one = Play(loaded.flow, view, verdict, chance)
        one.go()
        entered += one.entered
    return entered


@pytest.mark.parametrize("part", range(8))
def test_the_engine_does_nothing_that_was_said_to_be_impossible(part: int) -> None:
    entered = sum(play(seed) for seed in SEEDS if seed % 8 == part)
    assert entered > 2000


def test_what_is_played_has_findings_of_many_kinds() -> None:
    """Otherwise the test above would prove little."""
    found: set[str] = set()
    for seed in SEEDS:
        data = random_flow(random.Random(seed))  # noqa: S311 - as above
        found |= {issue.code for issue in validate_loaded(load_flow(data, "v1"), data).issues}
    wanted = {
        "branch.never",
        "branch.covered",
        "branch.repeated",
        "branch.always",
        "variable.sometimes_unset",
    }
    wanted |= {"variable.unset", "window.at_risk", "window.closed", "flow.endless_circle"}
    assert wanted <= found, wanted - found
