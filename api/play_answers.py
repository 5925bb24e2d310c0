"""Answers to calls as a person types them, for a flow that is played without the outside world."""

from __future__ import annotations

import json
from typing import Any

from common.model.calls import Answer, CallFailed, ChatAnswer, ChatRequest, HttpAnswer, HttpRequest, Request

HELP = (
    'An HTTP answer is a status and JSON, as in: 201 {"id": 7}. "fail" or "fail some.code" is a failed call.'
)
_OK = range(200, 300)


def read_answer(request: Request, typed: str) -> tuple[Answer, Any]:
    """The answer, and how a case file writes it. Raises ValueError with a sentence."""
    typed = typed.strip()
    word, _, rest = typed.partition(" ")
    if word == "fail":
        code = rest.strip() or "call.failed"
        return CallFailed(code, "The call failed."), {"fails": code}
    if isinstance(request, ChatRequest):
        return ChatAnswer(typed, request.model), typed
    return _read_http_answer(word, rest.strip())


def _read_http_answer(word: str, rest: str) -> tuple[Answer, Any]:
    if word.startswith(("{", "[")) or not word:
        word, rest = "200", f"{word} {rest}".strip()
    if not (word.isdecimal() and len(word) == 3):  # noqa: PLR2004 - an HTTP status
        raise ValueError(HELP)
    try:
        body = json.loads(rest) if rest else None
    except ValueError as wrong:
        raise ValueError(f"This is not JSON: {wrong}. {HELP}") from wrong
    status = int(word)
    written = {"status": status} | ({} if body is None else {"body": body})
    if status not in _OK:
        return CallFailed("http.status", f"HTTP {status}.", status, body), written
    return HttpAnswer(status, body=body), written


def write_call(request: Request) -> dict[str, Any]:
    """The call as a case file writes it, without its answer."""
    if isinstance(request, ChatRequest):
        said = [{message.role: message.text} for message in request.messages]
        return {"chat": request.model, "messages": said}
    return {request.method: request.url} | _parts(request)


def _parts(request: HttpRequest) -> dict[str, Any]:
    parts = {"headers": dict(request.headers), "query": dict(request.query)}
    return {name: part for name, part in parts.items() if part} | (
        {} if request.body is None else {"body": request.body}
    )
