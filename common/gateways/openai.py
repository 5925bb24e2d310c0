"""Chat completions from OpenAI, or from a server that speaks its API, with each user's own key."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from common.gateways.answer_body import clean_text
from common.gateways.deadline import finish_before, seconds_left
from common.gateways.openai_failure import Failure, read_failure
from common.gateways.openai_models import cost_usd, options_for
from common.model.calls import CallFailed, ChatAnswer, ChatRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from openai import OpenAI

MAX_TRIES = 3
BACKOFF_SECONDS = 1.0  # before the second try, doubled before the third, plus jitter
JITTER_SHARE = 0.25
MAX_RETRY_AFTER_SECONDS = 20.0  # a customer is waiting: rather the node's fallback than a longer silence
CONNECT_SECONDS = 5.0  # so that a server that is away leaves time for another try
MAX_CLIENTS = 32  # keys whose client is kept; all share their connections
_KEY = re.compile(r"[\x21-\x7e]{1,512}")  # it becomes a header


class ChatGateway:
    """Thread-safe. The `openai` package is loaded by the first call: it takes 30 MB, and many bots have no AI."""

    def __init__(
        self,
        base_url: str,
        timeout_seconds: float,
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._base_url = base_url
        self._timeout_seconds = timeout_seconds
        self._sleep = sleep
        self._jitter = jitter
        self._clients: OrderedDict[str, OpenAI] = OrderedDict()
        self._first_client: OpenAI | None = None
        self._lock = threading.Lock()

    def complete(
        self, api_key: str | None, request: ChatRequest, idempotency_key: str
    ) -> ChatAnswer | CallFailed:
        """A completion, after up to MAX_TRIES tries that together take at most the time-out. Never raises.

        Codes: ai.no_key, ai.bad_key, ai.rate_limited, ai.timeout, ai.refused (the request, or the answer by
        the model's rules), ai.unavailable, ai.bad_answer.
        """
        if not api_key:
            return CallFailed(
                "ai.no_key", "No OpenAI API key is stored for the owner of this bot.", attempts=0
            )
        if not _KEY.fullmatch(api_key):
            return CallFailed("ai.bad_key", "The stored OpenAI API key is malformed.", attempts=0)
        started_at = time.monotonic()
        outcome, attempts = self._retry(api_key, request, idempotency_key, started_at + self._timeout_seconds)
        duration_ms = round((time.monotonic() - started_at) * 1000, 1)
        return replace(outcome, attempts=attempts, duration_ms=duration_ms)

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        with self._lock:
            client, self._first_client = self._first_client, None
            self._clients.clear()
        if client is not None:
            client.close()

    def _retry(
        self, api_key: str, request: ChatRequest, idempotency_key: str, deadline_at: float
    ) -> tuple[ChatAnswer | CallFailed, int]:
        attempt = 0
        while True:
            attempt += 1
            outcome = self._try(api_key, request, idempotency_key, deadline_at)
            if isinstance(outcome, ChatAnswer):
                return outcome, attempt
            delay = self._delay(outcome, attempt)
            if delay is None or time.monotonic() + delay >= deadline_at:
                return outcome.failed, attempt
            self._sleep(delay)

    def _delay(self, failure: Failure, attempt: int) -> float | None:
        if not failure.may_pass or attempt >= MAX_TRIES:
            return None
        wish = failure.retry_after_seconds or 0.0
        if wish > MAX_RETRY_AFTER_SECONDS:
            return None
        backoff = BACKOFF_SECONDS * 2.0 ** (attempt - 1) * (1 + JITTER_SHARE * self._jitter())
        return max(wish, backoff)

    def _try(
        self, api_key: str, request: ChatRequest, idempotency_key: str, deadline_at: float
    ) -> ChatAnswer | Failure:
        """One call. The deadline holds for the whole of it: the package's own is for each single read."""
        from openai import OpenAIError  # noqa: PLC0415 - loaded on first use, see the class

        try:
            left = seconds_left(deadline_at)
            client = self._client(api_key)
            completion = finish_before(deadline_at, lambda: _create(client, request, idempotency_key, left))
        except (OpenAIError, TimeoutError, OSError, ValueError, TypeError, RecursionError) as error:
            return read_failure(error, api_key)
        return _read_completion(completion, request)

    def _client(self, api_key: str) -> OpenAI:
        from openai import DefaultHttpxClient, OpenAI  # noqa: PLC0415 - loaded on first use, see the class

        with self._lock:
            if self._first_client is None:
                # Neither proxies nor credentials from the environment: the key is the user's, not the host's.
                http_client = DefaultHttpxClient(trust_env=False, follow_redirects=False)
                self._first_client = OpenAI(
                    api_key=api_key, base_url=self._base_url, max_retries=0, http_client=http_client
                )
            client = self._clients.pop(api_key, None) or self._first_client.with_options(api_key=api_key)
            self._clients[api_key] = client
            while len(self._clients) > MAX_CLIENTS:
                self._clients.popitem(last=False)
            return client


def _create(client: OpenAI, request: ChatRequest, idempotency_key: str, left: float) -> Any:
    from openai import Timeout, omit  # noqa: PLC0415 - loaded on first use

    messages: Any = [
        {"role": message.role, "content": clean_text(message.text)} for message in request.messages
    ]
    return client.chat.completions.create(
        model=request.model,
        messages=messages,
        extra_headers={
            "Idempotency-Key": idempotency_key,
            "OpenAI-Organization": omit,
            "OpenAI-Project": omit,
        },
        timeout=Timeout(left, connect=min(CONNECT_SECONDS, left)),
        **options_for(request.model, temperature=request.temperature, max_tokens=request.max_tokens),
    )


def _read_completion(completion: Any, request: ChatRequest) -> ChatAnswer | Failure:
    """The text. The package checks no types, so nothing about the answer is certain."""
    choices = getattr(completion, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = getattr(choice, "message", None)
    text = getattr(message, "content", None)
    reason = getattr(choice, "finish_reason", None)
    if reason == "content_filter" or (isinstance(getattr(message, "refusal", None), str) and not text):
        return Failure(CallFailed("ai.refused", "The model refused to answer."))
    if not isinstance(text, str) or not text.strip():
        why = (
            "The model used up its tokens before it answered."
            if reason == "length"
            else "The answer has no text."
        )
        return Failure(CallFailed("ai.bad_answer", why))
    usage = getattr(completion, "usage", None)
    prompt_tokens = _count(getattr(usage, "prompt_tokens", 0))
    completion_tokens = _count(getattr(usage, "completion_tokens", 0))
    model = getattr(completion, "model", None)
    return ChatAnswer(
        text=clean_text(text),
        model=clean_text(model) if isinstance(model, str) and model else request.model,
        prompt_tokens=prompt_tokens,
        completion_tokens=completion_tokens,
        cost_usd=cost_usd(request.model, prompt_tokens, completion_tokens) if usage else None,
    )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**31 else 0
