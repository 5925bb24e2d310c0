"""Calls to the outside world as values: what a flow asks for, and what came back.

A node asks with a request; the worker makes the call outside any transaction; the answer comes back to the
node as an event. Both are JSON-able (`to_json`/`request_from_json`/`answer_from_json`), since a request waits
in the session and an answer stands in the log.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from common.model.values import Value


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """An HTTP call. Everything is filled in already; `body` is JSON (None: no body)."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    body: Value = None
    max_retries: int = 3
    retry_delay_seconds: float = 2.0
    timeout_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn of a conversation as a chat model reads it."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A chat completion."""

    model: str
    messages: tuple[ChatMessage, ...]
    temperature: float = 0.7
    max_tokens: int = 500


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A response with a 2xx status. `body` is parsed JSON, or the text where it is not JSON."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: Value = None
    duration_ms: float = 0.0
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """A completion. Tokens as the provider counted them; cost in US dollars, None where the price is unknown."""

    text: str
    model: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None
    duration_ms: float = 0.0
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class CallFailed:
    """The call failed for good. `code` is a stable dotted name, `message` a sentence without secrets."""

    code: str
    message: str
    status: int | None = None
    body: Value = None
    duration_ms: float = 0.0
    attempts: int = 1


Request = HttpRequest | ChatRequest
Answer = HttpAnswer | ChatAnswer | CallFailed

_KINDS: dict[str, type[Request | Answer]] = {
    "http": HttpRequest,
    "chat": ChatRequest,
    "httpAnswer": HttpAnswer,
    "chatAnswer": ChatAnswer,
    "failed": CallFailed,
}
_NAMES = {cls: name for name, cls in _KINDS.items()}


def to_json(call: Request | Answer) -> dict[str, Any]:
    """A request or an answer as a JSON object with its `kind`."""
    return {"kind": _NAMES[type(call)], **asdict(call)}


def _from_json(data: dict[str, Any]) -> Request | Answer:
    cls = _KINDS[data["kind"]]
    fields = {key: value for key, value in data.items() if key != "kind"}
    for key in ("headers", "query"):
        if key in fields:
            fields[key] = tuple((name, value) for name, value in fields[key])
    if "messages" in fields:
        fields["messages"] = tuple(ChatMessage(**message) for message in fields["messages"])
    return cls(**fields)


def request_from_json(data: dict[str, Any]) -> Request:
    """The request that `to_json` wrote. Raises ValueError for anything else."""
    call = _from_json(data)
    if not isinstance(call, Request):
        raise ValueError(f"not a request: {data['kind']}")  # noqa: TRY004 - a wrong document, not a wrong type
    return call


def answer_from_json(data: dict[str, Any]) -> Answer:
    """The answer that `to_json` wrote. Raises ValueError for anything else."""
    call = _from_json(data)
    if not isinstance(call, Answer):
        raise ValueError(f"not an answer: {data['kind']}")  # noqa: TRY004 - a wrong document, not a wrong type
    return call


@dataclass(frozen=True, slots=True)
class Effect:
    """A call that a turn asks for. `effect_id` is `<sessionId>:<turn>`, sent as Idempotency-Key."""

    effect_id: str
    node_id: str
    request: Request = field(kw_only=True)
