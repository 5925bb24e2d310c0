"""No input makes a reader raise anything but the refusal that it declares."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scripts.peers.faults import FaultError, Faults
from scripts.peers.graph_errors import GraphError
from scripts.peers.graph_payload import read_mark, read_send
from scripts.peers.json_text import BadJsonError, read_json
from scripts.peers.openai_request import OpenAIError, read_asked

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8)
KEYS = st.sampled_from(
    ["type", "text", "body", "reply", "id", "title", "buttons", "action", "role", "content", "x"]
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
SEND: dict[str, Any] = {"messaging_product": "whatsapp", "to": "+16505551234"}


@given(VALUES, st.sampled_from(["text", "interactive", "image"]))
def test_a_send(content: Any, kind: str) -> None:
    for payload in (SEND | {"type": kind, kind: content}, SEND | {"to": content}, SEND | {"type": content}):
        try:
            read_send(payload)
        except GraphError as error:
            assert error.answer().status in {400, 401}  # noqa: PT017 - most inputs are refused, some are not


@given(VALUES)
def test_a_read_mark(content: Any) -> None:
    try:
        read_mark(SEND | {"status": content, "message_id": content})
    except GraphError as error:
        assert error.code  # noqa: PT017 - as above


@given(st.dictionaries(st.sampled_from(["model", "messages", "temperature", "max_tokens", "stream"]), VALUES))
def test_a_completion(wish: dict[str, Any]) -> None:
    for body in (wish, {"model": "gpt-4"} | wish):
        try:
            read_asked(body)
        except OpenAIError as error:
            assert error.answer().status in {400, 404}  # noqa: PT017 - as above


@given(
    st.sampled_from(["latency", "status", "huge_body", "drop_statuses", "graph_error"]),
    KEYS | st.just("times"),
    VALUES,
)
def test_a_fault(do: str, name: str, value: Any) -> None:
    for wish in (
        {"do": do, name: value},
        {"do": value},
        {"do": do, "statuses": value},
        {"do": do, "seconds": value},
    ):
        try:
            Faults().add(wish)
        except FaultError as error:
            assert str(error)  # noqa: PT017 - as above


@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_json(body: bytes) -> None:
    try:
        read_json(body)
    except BadJsonError as error:
        assert str(error)  # noqa: PT017 - as above
