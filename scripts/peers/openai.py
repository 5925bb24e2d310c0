"""An OpenAI-compatible API: chat completions and models, strict about keys and bodies, deterministic in its answers."""

from __future__ import annotations

import hashlib
from typing import Any

from scripts.peers.calls import Calls
from scripts.peers.clock import PeerClock
from scripts.peers.faults import Effects
from scripts.peers.json_text import BadJsonError, json_answer, read_json
from scripts.peers.openai_request import MODELS, OTHER_MODELS, Asked, OpenAIError, read_asked
from scripts.peers.openai_script import Script
from scripts.peers.wire import Answer, Request

SAMPLE_KEY = "sk-local-peer-key"
BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
CREATED_AT = 1_700_000_000
SHOWN_IN_PART = 20  # characters; of a shorter key, its beginning and end would be nearly all
STATUS_KINDS = {
    429: ("rate_limit_exceeded", "requests"),
    500: (None, "server_error"),
    503: (None, "server_error"),
}


class OpenAI:
    """Everything below /openai/."""

    def __init__(self, clock: PeerClock, keys: frozenset[str] = frozenset({SAMPLE_KEY})) -> None:
        self.calls = Calls()
        self.script = Script()
        self.keys = set(keys)
        self.restricted: set[str] = set()  # keys that may complete, but not list models
        self._clock = clock

    @staticmethod
    def endpoint(request: Request) -> str:
        """The name by which faults address this request."""
        return "openai.chat" if request.path.endswith("/chat/completions") else "openai.models"

    @staticmethod
    def error(status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        """An HTTP error in OpenAI's shape."""
        code, kind = STATUS_KINDS.get(status, (None, "invalid_request_error"))
        return OpenAIError(message, status=status, kind=kind, code=code).answer(headers)

    def handle(self, request: Request, effects: Effects | None) -> Answer:  # noqa: ARG002 - the peers' common signature
        """Answer one request and write it down."""
        try:
            answer = self._route(request)
        except OpenAIError as error:
            answer = error.answer()
        except BadJsonError as error:
            answer = OpenAIError(f"We could not parse the JSON body of your request. ({error})").answer()
        self.calls.add(request, answer)
        return answer

    def _route(self, request: Request) -> Answer:
        self._check_key(request)
        match request.method, request.path.removeprefix("/openai/").split("/"):
            case "POST", ["v1", "chat", "completions"]:
                return json_answer(self._complete(read_asked(read_json(request.body)), request.body))
            case "GET", ["v1", "models", *_] if self._key(request) in self.restricted:
                text = "You have insufficient permissions for this operation. Missing scopes: api.model.read."
                raise OpenAIError(text, status=403)
            case "GET", ["v1", "models"]:
                return json_answer(
                    {"object": "list", "data": [_model(name) for name in (*MODELS, *OTHER_MODELS)]}
                )
            case "GET", ["v1", "models", name] if name in MODELS:
                return json_answer(_model(name))
            case "GET", ["v1", "models", name]:
                text = f"The model '{name[:100]}' does not exist"
                raise OpenAIError(text, status=404, param="model", code="model_not_found")
        raise OpenAIError(f"Invalid URL ({request.method} {request.path[:200]})", status=404)

    def _check_key(self, request: Request) -> None:
        key = self._key(request)
        if not key:
            text = (
                "You didn't provide an API key. You need to provide your API key in an Authorization header using "
                "Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
            )
            raise OpenAIError(text, status=401)
        if key not in self.keys:
            shown = f"{key[:7]}{'*' * 16}{key[-4:]}" if len(key) >= SHOWN_IN_PART else f"{key[:3]}***"
            text = f"Incorrect API key provided: {shown}. Check it on your account's API keys page."
            raise OpenAIError(text, status=401, code="invalid_api_key")

    @staticmethod
    def _key(request: Request) -> str:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return key.strip() if scheme.lower() == "bearer" else ""

    def _complete(self, asked: Asked, body: bytes) -> dict[str, Any]:
        question = next((text for role, text in reversed(asked.messages) if role == "user"), "")
        text, reason = _cut(self.script.reply(question), asked.max_tokens)
        prompt_tokens = sum(TOKENS_PER_MESSAGE + count_tokens(part) for _, part in asked.messages)
        completion_tokens = count_tokens(text)
        return {
            "id": "chatcmpl-" + hashlib.sha256(body).hexdigest()[:29],
            "object": "chat.completion",
            "created": int(self._clock.now()),
            "model": asked.model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text, "refusal": None},
                    "logprobs": None,
                    "finish_reason": reason,
                }
            ],
            "usage": {
                "prompt_tokens": prompt_tokens,
                "completion_tokens": completion_tokens,
                "total_tokens": prompt_tokens + completion_tokens,
            },
            "system_fingerprint": "fp_local",
        }

    def reset(self) -> None:
        """Forget calls and script."""
        self.calls.clear()
        self.script = Script()


def count_tokens(text: str) -> int:
    """A token is about four bytes: near enough for budgets and cost estimates."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // BYTES_PER_TOKEN)


def _cut(text: str, max_tokens: int | None) -> tuple[str, str]:
    if max_tokens is None or count_tokens(text) <= max_tokens:
        return text, "stop"
    raw = text.encode("utf-8", "surrogatepass")[: max_tokens * BYTES_PER_TOKEN]
    return raw.decode("utf-8", "ignore"), "length"


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": CREATED_AT, "owned_by": "local-peer"}
