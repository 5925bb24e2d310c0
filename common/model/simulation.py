"""What is set for a test conversation: its clock, its breakpoints, and how its calls are answered."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from common.model.calls import Answer, CallFailed, ChatAnswer, ChatRequest, HttpAnswer, Request
from common.model.control import CallMode

_SUCCESSES = range(200, 300)
NO_STAND_IN = "call.no_stand_in"


@dataclass(frozen=True, slots=True)
class TestSettings:
    """Kept with the tester's contact: breakpoints and calls outlast a reset, the clock does not."""

    __test__ = False  # pytest takes everything called Test… for one

    clock_offset_seconds: float = 0.0
    breakpoints: tuple[str, ...] = ()
    stops_at_each_node: bool = False
    calls: CallMode = CallMode.REAL

    @property
    def clock_offset(self) -> timedelta:
        """How far this conversation's clock is ahead."""
        return timedelta(seconds=self.clock_offset_seconds)


@dataclass(frozen=True, slots=True)
class StandIn:
    """What answers the calls of a node in a test. `kind`: HTTP or CHAT.

    `answer` is {status, headers, body} of an HTTP response, {text} of a completion, or {failure: {code, message}}.
    """

    node_id: str
    kind: str
    answer: dict[str, Any]

    def answer_to(self, request: Request) -> Answer:
        """The answer as the outside world would have given it."""
        if self.kind != kind_of(request):
            return no_stand_in(self.node_id)
        failure = self.answer.get("failure")
        if failure is not None:
            return CallFailed(str(failure.get("code", "call.failed")), str(failure.get("message", "")))
        if isinstance(request, ChatRequest):
            return ChatAnswer(str(self.answer.get("text", "")), request.model)
        status, body = int(self.answer.get("status", 200)), self.answer.get("body")
        if status not in _SUCCESSES:
            return CallFailed("api.bad_status", f"The server answered {status}.", status, body)
        headers = tuple((str(name), str(value)) for name, value in self.answer.get("headers", {}).items())
        return HttpAnswer(status, headers, body)


def kind_of(request: Request) -> str:
    """HTTP or CHAT."""
    return "CHAT" if isinstance(request, ChatRequest) else "HTTP"


def no_stand_in(node_id: str) -> CallFailed:
    """The answer to a call that nothing stands in for."""
    return CallFailed(
        NO_STAND_IN, f'This test makes no real calls, and nothing stands in for the one of "{node_id}".'
    )


def is_no_answer(answer: Answer) -> bool:
    """Whether nobody was asked: there was no stand-in."""
    return isinstance(answer, CallFailed) and answer.code == NO_STAND_IN


def recorded(node_id: str, answer: Answer) -> StandIn:
    """A stand-in that says what was really answered."""
    match answer:
        case HttpAnswer():
            body = {"status": answer.status, "headers": dict(answer.headers), "body": answer.body}
            return StandIn(node_id, "HTTP", body)
        case ChatAnswer():
            return StandIn(node_id, "CHAT", {"text": answer.text})
        case CallFailed(status=int(status)):
            return StandIn(node_id, "HTTP", {"status": status, "headers": {}, "body": answer.body})
        case CallFailed():
            kind = "CHAT" if answer.code.startswith("ai.") else "HTTP"
            return StandIn(node_id, kind, {"failure": {"code": answer.code, "message": answer.message}})
