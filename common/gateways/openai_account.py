"""Whether OpenAI takes a key, and which models it opens: asked when somebody saves one, not during conversations."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from common.gateways.answer_body import clean_text
from common.gateways.json_api import JsonAnswer, JsonApi, Unreachable
from common.gateways.openai_models import options_for
from common.gateways.scrub import scrub

if TYPE_CHECKING:
    import ssl

CALL_SECONDS = 10.0  # a person waits for it
MOST_MODELS = 200
_MODEL = re.compile(r"[\w.:/@\-]{1,100}", re.ASCII)
# What OpenAI lists beside the models that hold a conversation.
_NO_CHAT = re.compile(
    r"(?:^|[-/:])(?:text-embedding|embedding|whisper|dall-e|tts|davinci|babbage|sora|moderation)"
    r"|-(?:image|audio|realtime|transcribe|tts|search|instruct|moderation|embedding|codex)(?:-|$)|^gpt-image"
)
_NO_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
# The key was recognised, but may not list models, or the server has no such list: try what bots do with it.
_NO_LIST = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})


class OpenAIRefused(Exception):  # noqa: N818 - what happened
    """The key is no good; the message is OpenAI's own, without the key."""


class OpenAIAccess:
    """OpenAI, or a server that speaks its API. Thread-safe. Methods raise OpenAIRefused or Unreachable."""

    def __init__(self, base_url: str, *, timeout_seconds: float, tls: ssl.SSLContext | None = None) -> None:
        self._api = JsonApi(base_url, timeout_seconds=min(CALL_SECONDS, timeout_seconds), tls=tls)

    def check(self, api_key: str, model: str) -> list[str]:
        """Return the models that this key opens; none where it may not list them but does answer with `model`."""
        answer = self._api.call("GET", "models", token=api_key)
        if answer.status in _NO_LIST:
            self._complete(api_key, model)
            return []
        if self._is_usable(answer, api_key):
            return _chat_models(answer.data)
        return []

    def close(self) -> None:
        """Close idle connections."""
        self._api.close()

    def _complete(self, api_key: str, model: str) -> None:
        body: dict[str, Any] = {"model": model, "messages": [{"role": "user", "content": "Hi"}]}
        body |= options_for(model, temperature=0, max_tokens=1)
        answer = self._api.call("POST", "chat/completions", token=api_key, body=body)
        if answer.status == HTTPStatus.FORBIDDEN:
            raise OpenAIRefused(_words(answer, api_key))
        self._is_usable(answer, api_key)

    @staticmethod
    def _is_usable(answer: JsonAnswer, api_key: str) -> bool:
        """Whether the answer itself says something; a key that is good but cannot pay is good."""
        if answer.is_success:
            return True
        if answer.status == HTTPStatus.UNAUTHORIZED:
            raise OpenAIRefused(_words(answer, api_key))
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS and _error(answer).get("code") in _NO_CREDIT:
            return False
        if (
            answer.status == HTTPStatus.TOO_MANY_REQUESTS
            or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
            or answer.status < HTTPStatus.BAD_REQUEST
        ):
            raise Unreachable(
                f"OpenAI has trouble (status {answer.status}). {_words(answer, api_key)}".strip()
            )
        return False  # the model is unknown there, or a parameter: not the key's fault


def _error(answer: JsonAnswer) -> dict[str, Any]:
    error = answer.data.get("error")
    return error if isinstance(error, dict) else {}


def _words(answer: JsonAnswer, api_key: str) -> str:
    return scrub(_error(answer).get("message"), [api_key]) or f"status {answer.status} without a reason"


def _chat_models(data: dict[str, Any]) -> list[str]:
    rows = data.get("data")
    names = {row.get("id") for row in rows if isinstance(row, dict)} if isinstance(rows, list) else set()
    chat = (
        clean_text(name)
        for name in names
        if isinstance(name, str) and _MODEL.fullmatch(name) and not _NO_CHAT.search(name)
    )
    return sorted(chat)[:MOST_MODELS]
