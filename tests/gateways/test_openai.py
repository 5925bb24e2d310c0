"""Completions over real sockets: answers, refusals, tries, and no secret in any message."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from common.gateways.openai import MAX_CLIENTS, ChatGateway
from common.gateways.openai_models import cost_usd
from common.model.calls import CallFailed, ChatAnswer, ChatMessage, ChatRequest
from tests.gateways.wire_server import Wire, WireServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = "sk-test-0123456789abcdef"
ASK = ChatRequest(
    "gpt-4",
    (ChatMessage("system", "You are helpful."), ChatMessage("user", "Hi \ud800")),
    temperature=0.2,
    max_tokens=50,
)


def completion(text: Any = "Hello!", reason: str = "stop", **more: Any) -> bytes:
    message = {"role": "assistant", "content": text, "refusal": None} | more.pop("message", {})
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4-0613",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
    }
    return json.dumps(body | more).encode()


def error(message: str = "no", **more: Any) -> bytes:
    return json.dumps(
        {"error": {"message": message, "type": "t", "param": None, "code": None} | more}
    ).encode()


def answers(*bodies: tuple[bytes, str] | tuple[bytes, str, str]) -> Callable[[WireServer, Wire], None]:
    """Answer one request after the other over however many connections; the last one again and again."""
    left = list(bodies)

    def script(server: WireServer, wire: Wire) -> None:
        while server.take(wire):
            body, status, *headers = left.pop(0) if len(left) > 1 else left[0]
            wire.answer(body, status, "Content-Type: application/json", *headers)

    return script


class Slept(list[float]):
    """The waits between tries, which a test does not wait."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def slept() -> Slept:
    return Slept()


@pytest.fixture
def ask(slept: Slept) -> Iterator[Callable[..., ChatAnswer | CallFailed]]:
    gateways: list[ChatGateway] = []

    def ask(
        server: WireServer, request: ChatRequest = ASK, *, timeout: float = 30
    ) -> ChatAnswer | CallFailed:
        gateways.append(ChatGateway(server.url + "/v1", timeout, sleep=slept, jitter=lambda: 0.0))
        return gateways[-1].complete(KEY, request, "s1:4")

    yield ask
    for gateway in gateways:
        gateway.close()


def test_a_completion(ask: Callable[..., ChatAnswer | CallFailed]) -> None:
    with WireServer(answers((completion(), "200 OK"))) as server:
        answer = ask(server)
    assert isinstance(answer, ChatAnswer)
    assert answer.duration_ms > 0
    assert replace(answer, duration_ms=0) == ChatAnswer("Hello!", "gpt-4-0613", 1000, 100, 0.036)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    assert lines[0] == "post /v1/chat/completions http/1.1"
    assert {f"authorization: bearer {KEY}", "idempotency-key: s1:4"} < set(lines)
    assert json.loads(body) == {
        "model": "gpt-4",
        "messages": [
            {"role": "system", "content": "You are helpful."},
            {"role": "user", "content": "Hi \ufffd"},
        ],
        "temperature": 0.2,
        "max_tokens": 50,
    }


def test_reasoning_models_take_other_options(ask: Callable[..., ChatAnswer | CallFailed]) -> None:
    with WireServer(answers((completion(), "200 OK"))) as server:
        for model in ("o3-mini", "gpt-5", "gpt-5-chat-latest"):
            ask(server, replace(ASK, model=model))
    options = [
        json.loads(request.partition(b"\r\n\r\n")[2]).keys() - {"model", "messages"}
        for request in server.requests
    ]
    assert options == [{"max_completion_tokens"}, {"max_completion_tokens"}, {"temperature", "max_tokens"}]


@pytest.mark.parametrize("key", [None, ""])
def test_no_key(key: str | None) -> None:
    failed = ChatGateway("http://127.0.0.1:9", 1).complete(key, ASK, "k")
    assert failed == CallFailed(
        "ai.no_key", "No OpenAI API key is stored for the owner of this bot.", attempts=0
    )


@pytest.mark.parametrize("key", ["a b", "a\r\nX: y", "clé", "x" * 600])
def test_keys_that_are_none(key: str) -> None:
    failed = ChatGateway("http://127.0.0.1:9", 1).complete(key, ASK, "k")
    assert isinstance(failed, CallFailed)
    assert failed.code == "ai.bad_key"


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (401, error(f"Incorrect API key provided: {KEY}", code="invalid_api_key"), "ai.bad_key"),
        (400, error("bad temperature"), "ai.refused"),
        (403, error("country"), "ai.refused"),
        (404, error("The model does not exist", code="model_not_found"), "ai.refused"),
        (422, b"<html>", "ai.refused"),
        (302, b"", "ai.refused"),
        (429, error("pay", code="insufficient_quota"), "ai.rate_limited"),
    ],
)
def test_what_is_not_tried_again(
    status: int, body: bytes, code: str, ask: Callable[..., ChatAnswer | CallFailed], slept: Slept
) -> None:
    with WireServer(answers((body, f"{status} No", "Location: http://127.0.0.1:9/"))) as server:
        failed = ask(server)
    assert isinstance(failed, CallFailed)
    assert (failed.code, failed.status, failed.attempts) == (code, status, 1)
    assert len(server.requests) == 1
    assert slept == []


def test_the_reason_is_told_without_the_key(ask: Callable[..., ChatAnswer | CallFailed]) -> None:
    text = f"Model x is not for {KEY} (sk-proj-abc***def) " + "x" * 1000
    with WireServer(answers((error(text), "404 Not Found"))) as server:
        failed = ask(server)
    assert isinstance(failed, CallFailed)
    assert failed.message.startswith(
        "OpenAI refused the request (status 404): Model x is not for [key] ([key]) xxx"
    )
    assert len(failed.message) < 400


@pytest.mark.parametrize(
    ("status", "code"),
    [(429, "ai.rate_limited"), (500, "ai.unavailable"), (503, "ai.unavailable"), (408, "ai.unavailable")],
)
def test_what_may_pass_is_tried_three_times(
    status: int, code: str, ask: Callable[..., ChatAnswer | CallFailed], slept: Slept
) -> None:
    with WireServer(answers((error(), f"{status} No"))) as server:
        failed = ask(server)
    assert isinstance(failed, CallFailed)
    assert (failed.code, failed.status, failed.attempts) == (code, status, 3)
    assert len(server.requests) == 3
    assert slept == [1.0, 2.0]
    assert {b"idempotency-key: s1:4" in request.lower() for request in server.requests} == {True}


def test_it_passes(ask: Callable[..., ChatAnswer | CallFailed], slept: Slept) -> None:
    script = answers((error(), "500 No"), (error(), "429 No", "Retry-After: 7"), (completion(), "200 OK"))
    with WireServer(script) as server:
        answer = ask(server)
    assert isinstance(answer, ChatAnswer)
    assert answer.attempts == 3
    assert slept == [1.0, 7.0]


def test_the_servers_wish_in_milliseconds(ask: Callable[..., ChatAnswer | CallFailed], slept: Slept) -> None:
    with WireServer(answers((error(), "429 No", "retry-after-ms: 3500"), (completion(), "200 OK"))) as server:
        assert isinstance(ask(server), ChatAnswer)
    assert slept == [3.5]


@pytest.mark.parametrize(("wish", "timeout"), [("21", 30), ("15", 10)])
def test_a_wish_that_is_too_long(
    wish: str, timeout: float, ask: Callable[..., ChatAnswer | CallFailed], slept: Slept
) -> None:
    with WireServer(answers((error(), "429 No", f"Retry-After: {wish}"))) as server:
        failed = ask(server, timeout=timeout)
    assert isinstance(failed, CallFailed)
    assert (failed.code, failed.attempts, slept) == ("ai.rate_limited", 1, [])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<html>", "ai.bad_answer"),
        (b"", "ai.bad_answer"),
        (b"[" * 100_000, "ai.bad_answer"),
        (b"null", "ai.bad_answer"),
        (b"[]", "ai.bad_answer"),
        (b"{}", "ai.bad_answer"),
        (b'{"choices":null}', "ai.bad_answer"),
        (b'{"choices":[]}', "ai.bad_answer"),
        (b'{"choices":[null]}', "ai.bad_answer"),
        (b'{"choices":[{"message":null}]}', "ai.bad_answer"),
        (b'{"choices":{"a":1}}', "ai.bad_answer"),
        (completion(None), "ai.bad_answer"),
        (completion(" \n"), "ai.bad_answer"),
        (completion(["a"]), "ai.bad_answer"),
        (completion("", reason="length"), "ai.bad_answer"),
        (completion(None, message={"refusal": "I cannot help with that."}), "ai.refused"),
        (completion("half an ans", reason="content_filter"), "ai.refused"),
    ],
)
def test_answers_that_are_none(body: bytes, code: str, ask: Callable[..., ChatAnswer | CallFailed]) -> None:
    with WireServer(answers((body, "200 OK"))) as server:
        failed = ask(server)
    assert isinstance(failed, CallFailed)
    assert (failed.code, len(server.requests)) == (code, 1)


@pytest.mark.parametrize(
    ("more", "tokens", "cost"),
    [
        ({"usage": None}, (0, 0), None),
        ({"usage": {}}, (0, 0), 0.0),
        ({"usage": {"prompt_tokens": "7", "completion_tokens": 5}}, (0, 5), 0.0003),
        ({"model": None}, (1000, 100), 0.036),
    ],
)
def test_odd_usage(
    more: dict[str, Any],
    tokens: tuple[int, int],
    cost: float | None,
    ask: Callable[..., ChatAnswer | CallFailed],
) -> None:
    with WireServer(answers((completion("a\ud800", **more), "200 OK"))) as server:
        answer = ask(server)
    assert isinstance(answer, ChatAnswer)
    assert answer.text == "a\ufffd"
    assert (answer.prompt_tokens, answer.completion_tokens) == tokens
    assert answer.cost_usd == pytest.approx(cost) if cost is not None else answer.cost_usd is None


def test_a_server_that_hangs_or_drips_runs_into_the_deadline(
    ask: Callable[..., ChatAnswer | CallFailed],
) -> None:
    def drip(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        wire.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
        while not wire.stopping.wait(0.05):
            wire.sock.sendall(b" ")

    def hang(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        wire.hang()

    for script in (drip, hang):
        with WireServer(script) as server:
            started_at = time.monotonic()
            failed = ask(server, timeout=0.6)
            assert time.monotonic() - started_at < 3
        assert isinstance(failed, CallFailed)
        assert failed.code == "ai.timeout"


def test_a_broken_connection_is_tried_again(
    ask: Callable[..., ChatAnswer | CallFailed], slept: Slept
) -> None:
    def breaks(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        wire.abort()

    with WireServer(breaks, answers((completion(), "200 OK"))) as server:
        answer = ask(server)
    assert isinstance(answer, ChatAnswer)
    assert answer.attempts == 2
    assert slept == [1.0]


def test_nobody_listens(slept: Slept) -> None:
    gateway = ChatGateway("http://127.0.0.1:1/v1", 30, sleep=slept, jitter=lambda: 0.0)
    failed = gateway.complete(KEY, ASK, "k")
    gateway.close()
    assert isinstance(failed, CallFailed)
    assert (failed.code, failed.attempts) == ("ai.unavailable", 3)


def test_nothing_comes_from_the_environment(
    ask: Callable[..., ChatAnswer | CallFailed], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-host")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-the-host")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-of-the-host")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with WireServer(answers((completion(), "200 OK"))) as server:
        assert isinstance(ask(server), ChatAnswer)
    assert b"of-the-host" not in server.requests[0]


def test_each_user_has_their_own_key_and_few_clients_are_kept() -> None:
    with WireServer(answers((completion(), "200 OK"))) as server:
        gateway = ChatGateway(server.url, 30)
        keys = [f"sk-{number}" for number in range(MAX_CLIENTS + 5)]
        for key in [*keys, keys[0]]:
            assert isinstance(gateway.complete(key, ASK, "k"), ChatAnswer)
        assert len(gateway._clients) == MAX_CLIENTS
        gateway.close()
    used = [
        line.partition(b" ")[2].decode().removeprefix("Bearer ")
        for request in server.requests
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"authorization:")
    ]
    assert used == [*keys, keys[0]]
    assert server.connections == 1


def test_prices() -> None:
    assert cost_usd("gpt-4", 1_000_000, 1_000_000) == 90
    assert cost_usd("gpt-4o-mini-2024-07-18", 1_000_000, 0) == 0.15
    assert cost_usd("gpt-4-1106-preview", 1, 1) is None
    assert cost_usd("llama3", 1, 1) is None


def test_the_package_is_loaded_on_first_use() -> None:
    code = "import sys, common.gateways.openai as o; o.ChatGateway('http://x', 1); print('openai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
