"""The API and AI calls of a session: what was asked, what came back, what it cost.

Of a test all is shown, secrets masked. Of a real customer's conversation only what says nothing of them: where the
call went and how it ended; for a chat model the tokens and their price.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from api.history.masking import mask_pairs, mask_text, mask_url, mask_value
from api.history.record import SessionRecord, read_json
from common.flow.registry import node_types
from common.model.calls import (
    Answer,
    CallFailed,
    ChatAnswer,
    ChatRequest,
    HttpAnswer,
    HttpRequest,
    Request,
)
from common.model.events import EffectAnswered, event_from_json
from common.model.session import WaitKind
from common.redaction import place_of
from common.store.database import Document
from common.store.paging import Page

MOST_CHARACTERS: Final = 200_000  # of a body or a text; the rest is cut and said to be
_LOOK_AHEAD: Final = 200


@dataclass(frozen=True, slots=True)
class _Call:
    """`request` is None where the call cannot be run again; `step` is the one that asked."""

    step: Document
    request: Request | None
    answered: Document | None
    answer: Answer | None


def calls_page(record: SessionRecord, *, limit: int, cursor: str | None) -> Page:
    """Calls in the order in which they were made. Raises BadCursor."""
    asking = _asking(record, limit + 1, cursor)
    asked = asking[:limit]
    last = asked[-1] if len(asking) > limit else None
    next_cursor = f"{last['turn']}.{last['place']}" if last else None
    return Page([_shown(record, call) for call in _with_answers(record, asked)], next_cursor)


def calls_of(record: SessionRecord, steps: list[Document]) -> dict[int, Document]:
    """The calls that these steps asked for, by the number of the turn."""
    asked = [step for step in steps if step.get("nodeType") in _calling_types() and _asks(step)]
    return {call.step["turn"]: _shown(record, call) for call in _with_answers(record, asked)}


def _calling_types() -> list[str]:
    return [kind for kind, known in node_types().items() if known.waits_for is WaitKind.EFFECT]


def _asks(step: Document) -> bool:
    detail = read_json(step, "detail")
    return isinstance(detail, dict) and "request" in detail


def _asking(record: SessionRecord, wanted: int, cursor: str | None) -> list[Document]:
    found: list[Document] = []
    while len(found) < wanted:
        steps = record.store.execution_logs.of_types(
            record.session_id, _calling_types(), after=cursor, most=_LOOK_AHEAD
        )
        found += [step for step in steps if _asks(step)]
        if len(steps) < _LOOK_AHEAD:
            break
        cursor = f"{steps[-1]['turn']}.{steps[-1]['place']}"
    return found[:wanted]


def _with_answers(record: SessionRecord, asked: list[Document]) -> list[_Call]:
    if not asked:
        return []
    nodes = list({step["nodeId"] for step in asked})
    heard = record.store.execution_logs.answers(
        record.session_id, nodes, after_turn=asked[0]["turn"], most=len(asked)
    )
    answers: dict[str, tuple[Document, Answer]] = {}
    for step in heard:
        event = _event(step)
        if isinstance(event, EffectAnswered):
            answers[event.effect_id] = (step, event.answer)
    again = record.run_again(asked[-1]["turn"])[0] if record.session["isTest"] else {}
    calls = []
    for step in asked:
        answered, answer = answers.get(f"{record.session_id}:{step['turn']}", (None, None))
        ran = again.get(step["turn"])
        effect = ran.turn.effect if ran is not None and ran.turn is not None else None
        calls.append(_Call(step, effect.request if effect else None, answered, answer))
    return calls


def _event(step: Document) -> Any:
    try:
        return event_from_json(json.loads(step["cause"])["event"])
    except (KeyError, TypeError, ValueError):
        return None


def _shown(record: SessionRecord, call: _Call) -> Document:
    step, answer = call.step, call.answer
    failed = answer if isinstance(answer, CallFailed) else None
    detail = read_json(step, "detail")["request"]
    is_chat = isinstance(call.request, ChatRequest) or "model" in detail
    shows_all = bool(record.session["isTest"])
    state = "WAITING" if answer is None else "FAILED" if failed else "ANSWERED"
    if answer is None and not record.session["isOpen"]:
        state = "ABANDONED"
    return {
        "_id": f"{record.session_id}:{step['turn']}",
        "kind": "CHAT" if is_chat else "HTTP",
        "turn": step["turn"],
        "nodeId": step["nodeId"],
        "nodeLabel": record.label(step),
        "state": state,
        "askedAt": step["executedAt"],
        "answeredAt": call.answered["executedAt"] if call.answered else None,
        "durationMs": answer.duration_ms if answer else None,
        "attempts": answer.attempts if answer else None,
        "error": {"code": failed.code, "message": mask_text(failed.message)} if failed else None,
        "isComplete": shows_all and call.request is not None,
        "http": None if is_chat else _http(call, detail, shows_all=shows_all),
        "chat": _chat(call, detail, shows_all=shows_all) if is_chat else None,
    }


def _http(call: _Call, detail: dict[str, Any], *, shows_all: bool) -> Document:
    request = call.request if isinstance(call.request, HttpRequest) else None
    answer = call.answer if isinstance(call.answer, HttpAnswer | CallFailed) else None
    body = answer.body if answer else None
    url = str(detail.get("url", ""))
    return {
        "method": str(detail.get("method", "")),
        "url": mask_url(url) if shows_all else place_of(url),
        "query": mask_pairs(request.query) if shows_all and request else None,
        "headers": mask_pairs(request.headers) if shows_all and request else None,
        "body": _bounded(request.body) if shows_all and request else None,
        "status": answer.status if answer else None,
        "responseHeaders": mask_pairs(answer.headers)
        if shows_all and isinstance(answer, HttpAnswer)
        else None,
        "responseBody": _bounded(body) if shows_all else None,
    }


def _chat(call: _Call, detail: dict[str, Any], *, shows_all: bool) -> Document:
    request = call.request if isinstance(call.request, ChatRequest) else None
    answer = call.answer if isinstance(call.answer, ChatAnswer) else None
    said = request.messages if shows_all and request else None
    return {
        "model": answer.model if answer else str(detail.get("model", "")),
        "messages": None
        if said is None
        else [{"role": each.role, "text": _bounded(each.text)} for each in said],
        "temperature": request.temperature if request else None,
        "maxTokens": request.max_tokens if request else None,
        "answer": _bounded(answer.text) if shows_all and answer else None,
        "promptTokens": answer.prompt_tokens if answer else None,
        "completionTokens": answer.completion_tokens if answer else None,
        "costUsd": answer.cost_usd if answer else None,
    }


def _bounded(value: Any) -> Any:
    """The value without secrets; a very large one as the beginning of its text."""
    masked = mask_value(value)
    text = masked if isinstance(masked, str) else json.dumps(masked, ensure_ascii=False)
    if len(text) <= MOST_CHARACTERS:
        return masked
    return f"{text[:MOST_CHARACTERS]}… (cut: {len(text):,} characters)"
