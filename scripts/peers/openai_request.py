"""Reads a chat-completion request as strictly as OpenAI does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scripts.peers.json_text import json_answer
from scripts.peers.wire import Answer

MODELS = ("gpt-4", "gpt-4-turbo", "gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-3.5-turbo")
OTHER_MODELS = (
    "text-embedding-3-small",
    "whisper-1",
    "dall-e-3",
    "gpt-4o-realtime-preview",
    "omni-moderation-latest",
)
ROLES = ("system", "developer", "user", "assistant", "tool")
NUMBERS = {
    "temperature": (0.0, 2.0),
    "top_p": (0.0, 1.0),
    "frequency_penalty": (-2.0, 2.0),
    "presence_penalty": (-2.0, 2.0),
}
WHOLE = ("max_tokens", "max_completion_tokens", "n", "seed")
KNOWN = {"model", "messages", "stream", "stop", "user", "metadata", "store", *NUMBERS, *WHOLE}


class OpenAIError(Exception):
    """A refusal as OpenAI words it."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "type": kind, "param": param, "code": code}

    def answer(self, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        """The error as an HTTP answer."""
        return json_answer({"error": self.error}, self.status, headers)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that OpenAI would take; `messages` as (role, text)."""

    model: str
    messages: tuple[tuple[str, str], ...]
    max_tokens: int | None


def read_asked(wish: object) -> Asked:
    """The request; raises OpenAIError for everything that OpenAI refuses."""
    if not isinstance(wish, dict):
        raise OpenAIError("We could not parse the JSON body of your request.")
    for name in sorted(wish.keys() - KNOWN):
        raise OpenAIError(f"Unrecognized request argument supplied: {name}")
    model = wish.get("model")
    if not isinstance(model, str) or not model:
        raise OpenAIError("you must provide a model parameter")
    if model not in MODELS:
        text = f"The model `{model[:100]}` does not exist or you do not have access to it."
        raise OpenAIError(text, status=404, code="model_not_found")
    for name, (least, most) in NUMBERS.items():
        _check_number(wish, name, least, most)
    for name in WHOLE:
        _check_whole(wish, name)
    if wish.get("stream"):
        raise OpenAIError("The local peer does not stream.", param="stream", code="unsupported_value")
    messages = wish.get("messages")
    if not isinstance(messages, list):
        raise OpenAIError(
            "Missing required parameter: 'messages'.", param="messages", code="missing_required_parameter"
        )
    if not messages:
        text = "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        raise OpenAIError(text, param="messages", code="empty_array")
    read = tuple(_message(item, place) for place, item in enumerate(messages))
    return Asked(model, read, wish.get("max_completion_tokens") or wish.get("max_tokens"))


def _message(item: object, place: int) -> tuple[str, str]:
    where = f"messages[{place}]"
    if not isinstance(item, dict):
        raise OpenAIError(
            f"Invalid type for '{where}': expected an object.", param=where, code="invalid_type"
        )
    role = item.get("role")
    if role not in ROLES:
        text = f"Invalid value: {str(role)[:50]!r}. Supported values are: {', '.join(map(repr, ROLES))}."
        raise OpenAIError(text, param=f"{where}.role", code="invalid_value")
    return str(role), _content(item.get("content"), f"{where}.content")


def _content(content: object, where: str) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and content:
        return "".join(_part(part, where) for part in content)
    text = f"Invalid type for '{where}': expected a string or a non-empty array of content parts."
    raise OpenAIError(text, param=where, code="invalid_type")


def _part(part: object, where: str) -> str:
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    raise OpenAIError(
        f"Invalid content part in '{where}': the local peer takes text.", param=where, code="invalid_value"
    )


def _check_number(wish: dict[str, Any], name: str, least: float, most: float) -> None:
    value = wish.get(name)
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise OpenAIError(f"Invalid type for '{name}': expected a decimal.", param=name, code="invalid_type")
    if not least <= value <= most:
        text = f"Invalid '{name}': decimal out of range. Expected a value from {least:g} to {most:g}, but got {value}."
        raise OpenAIError(text, param=name, code="decimal_out_of_range")


def _check_whole(wish: dict[str, Any], name: str) -> None:
    value = wish.get(name)
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        raise OpenAIError(f"Invalid type for '{name}': expected an integer.", param=name, code="invalid_type")
    if name != "seed" and value < 1:
        text = (
            f"Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {value} instead."
        )
        raise OpenAIError(text, param=name, code="integer_below_min_value")
