"""The OpenAI-compatible peer, also as the official client sees it."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from scripts.peers.openai import SAMPLE_KEY
from tests.peers.conftest import Caller


def ask(caller: Caller, text: str = "What are your opening hours?", **more: Any) -> dict[str, Any]:
    wish = {"model": "gpt-4", "messages": [{"role": "user", "content": text}]} | more
    body: dict[str, Any] = caller.openai("POST", "chat/completions", json=wish).json()
    return body


def test_a_completion_has_openais_shape_and_counts_tokens(caller: Caller) -> None:
    body = ask(caller)
    (choice,) = body["choices"]
    assert body["object"] == "chat.completion"
    assert body["id"].startswith("chatcmpl-")
    assert choice["message"]["role"] == "assistant"
    assert "open Monday to Friday" in choice["message"]["content"]
    assert choice["finish_reason"] == "stop"
    usage = body["usage"]
    assert usage["prompt_tokens"] == 4 + 7
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_the_same_question_gets_the_same_answer(caller: Caller) -> None:
    first, second = ask(caller, "What about tea?"), ask(caller, "What about tea?")
    assert first["choices"] == second["choices"]
    assert '"What about tea?"' in first["choices"][0]["message"]["content"]


def test_max_tokens_cuts(caller: Caller) -> None:
    body = ask(caller, max_tokens=2)
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 2


def test_the_script_can_be_changed(caller: Caller) -> None:
    script = {
        "answers": [{"when": "TEA", "answer": "Green."}],
        "otherwise": "No: {message}",
        "queue": ["First."],
    }
    caller.peers.control("PUT", "openai/script", script)
    said = [ask(caller, text)["choices"][0]["message"]["content"] for text in ("tea", "Which tea?", "milk")]
    assert said == ["First.", "Green.", "No: milk"]


def test_the_official_client_works(caller: Caller) -> None:
    with openai.OpenAI(api_key=SAMPLE_KEY, base_url=caller.peers.openai_url, max_retries=0) as client:
        answer = client.chat.completions.create(
            model="gpt-4",
            temperature=0.7,
            max_tokens=500,
            messages=[{"role": "user", "content": "thank you"}],
        )
        assert "welcome" in str(answer.choices[0].message.content)
        assert answer.usage is not None
        assert answer.usage.total_tokens > 0
        assert "gpt-4" in {model.id for model in client.models.list()}
    with openai.OpenAI(api_key="sk-wrong", base_url=caller.peers.openai_url, max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as refused:
            client.models.list()
        assert refused.value.code == "invalid_api_key"


@pytest.mark.parametrize(("key", "code"), [(None, None), ("sk-wrong", "invalid_api_key")])
def test_the_key_is_checked(caller: Caller, key: str | None, code: str | None) -> None:
    answer = caller.openai("POST", "chat/completions", key=key, json={})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (401, code, "invalid_request_error")
    assert "sk-wrong" not in error["message"]


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"model": None}, 400, None),
        ({"model": "gpt-99"}, 404, None),
        ({"messages": None}, 400, "messages"),
        ({"messages": []}, 400, "messages"),
        ({"messages": ["hi"]}, 400, "messages[0]"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, 400, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, 400, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, 400, "messages[0].content"),
        ({"temperature": 2.1}, 400, "temperature"),
        ({"temperature": "hot"}, 400, "temperature"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"max_tokens": 1.5}, 400, "max_tokens"),
        ({"stream": True}, 400, "stream"),
        ({"temprature": 1}, 400, None),
    ],
)
def test_bad_requests(caller: Caller, change: dict[str, object], status: int, param: str | None) -> None:
    wish = {"model": "gpt-4", "messages": [{"role": "user", "content": "hi"}]} | change
    answer = caller.openai("POST", "chat/completions", json=wish)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param), error
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 100_000, b"\xff"])
def test_broken_bodies(caller: Caller, body: bytes) -> None:
    answer = caller.openai("POST", "chat/completions", data=body)
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")


def test_models_and_unknown_addresses(caller: Caller) -> None:
    assert caller.openai("GET", "models/gpt-4").json()["id"] == "gpt-4"
    assert caller.openai("GET", "models/gpt-99").status_code == 404
    assert "Invalid URL" in caller.openai("GET", "unicorns").json()["error"]["message"]


def test_calls_are_recorded_without_the_key(caller: Caller) -> None:
    ask(caller, "remember me")
    call = caller.peers.control("GET", "openai/calls")["calls"][-1]
    assert call["body"]["messages"][0]["content"] == "remember me"
    assert (call["method"], call["path"], call["status"]) == ("POST", "/openai/v1/chat/completions", 200)
    assert SAMPLE_KEY not in str(call)


def test_keys_come_and_go_and_some_may_not_list_models(caller: Caller) -> None:
    key = "sk-restricted-key-1234567890"
    assert caller.openai("GET", "models", key=key).status_code == 401
    caller.peers.control("POST", "openai/keys", {"key": key, "is_restricted": True})
    refused = caller.openai("GET", "models", key=key)
    assert (refused.status_code, "Missing scopes" in refused.json()["error"]["message"]) == (403, True)
    wish = {"model": "gpt-4", "messages": [{"role": "user", "content": "hi"}]}
    assert caller.openai("POST", "chat/completions", key=key, json=wish).status_code == 200
    caller.peers.control("DELETE", "openai/keys", {"key": key})
    refused = caller.openai("POST", "chat/completions", key=key, json=wish)
    assert refused.status_code == 401
    assert f"{key[:7]}{'*' * 16}{key[-4:]}" in refused.json()["error"]["message"]  # as OpenAI shows it


def test_models_that_hold_no_conversation_are_listed_too(caller: Caller) -> None:
    names = {model["id"] for model in caller.openai("GET", "models").json()["data"]}
    assert {"gpt-4", "whisper-1", "text-embedding-3-small"} <= names
