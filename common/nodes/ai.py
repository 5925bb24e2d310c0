"""Ask a chat model, keep and send what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.flow.facts import text_fact
from common.flow.forecast import Leaving, Said, Says
from common.flow.message_limits import is_blank
from common.flow.node import Exit, Go, Look, NodeType, WaitEffect
from common.flow.settings_fields import flag, next_node, number, text, whole
from common.flow.settings_groups import NodeSettings, settings_class
from common.flow.settings_language import template, variable
from common.flow.turn import VariableRefused
from common.model.calls import CallFailed, ChatAnswer, ChatMessage, ChatRequest
from common.model.events import EffectAnswered, Event
from common.model.session import WaitKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from common.flow.templates import Template
    from common.flow.turn import Turn

DEFAULT_MODEL = "gpt-4"
PROMPT_MAX = 16_384
HISTORY_MAX = 50


@settings_class
class AiSettings(NodeSettings):
    model: str = text(
        "Model", max_length=100, default=DEFAULT_MODEL, help="One from the list, or any other model's id."
    )
    temperature: float = number("Temperature", default=0.7, minimum=0, maximum=1)
    system_prompt: Template = template("Instructions", max_length=PROMPT_MAX)
    user_prompt: Template = template("Prompt", required=True, max_length=PROMPT_MAX)
    include_history: bool = flag("Include what was said before", default=False)
    history_length: int = whole("Messages to include", default=10, minimum=1, maximum=HISTORY_MAX)
    max_tokens: int = whole("Longest answer in tokens", default=500, minimum=1, maximum=32_000)
    store_response_in: str = variable("Keep the answer in", required=True)
    send_to_user: bool = flag("Send the answer to the customer", default=True)
    fallback: Template = template("If the model fails, say", widget="message", says=Says.MESSAGE)
    success_next_node_id: str | None = next_node("success", "If it answers")
    failure_next_node_id: str | None = next_node("failure", "If it fails")


class Ai(NodeType[AiSettings]):
    kind = "AI"
    look = Look("AI", icon="sparkles", tone="purple-gradient", category="Integration")
    description = "Asks an OpenAI model and keeps or sends its answer."
    exits = (Exit("success", "Success"), Exit("failure", "Failure"))
    waits_for = WaitKind.EFFECT
    settings = AiSettings

    def looks_back(self, settings: AiSettings) -> int:
        return settings.history_length + 1 if settings.include_history else 0

    def leaving(self, settings: AiSettings, handle: str) -> Leaving:
        return Leaving({settings.store_response_in: text_fact()} if handle == "success" else {})

    def says(self, settings: AiSettings) -> Iterator[Said]:
        yield from super().says(settings)
        if settings.send_to_user:
            yield Said("sendToUser", "Answer", Says.MESSAGE)

    def asks_model(self, settings: AiSettings) -> str:
        return settings.model.strip() or DEFAULT_MODEL

    def enter(self, settings: AiSettings, turn: Turn) -> WaitEffect:
        prompt = turn.fill(settings.user_prompt)
        messages = [ChatMessage("user", prompt)]
        if settings.include_history:
            messages = [*_history(settings, turn, prompt), *messages]
        system = turn.fill(settings.system_prompt)
        if not is_blank(system):
            messages = [ChatMessage("system", system), *messages]
        model = self.asks_model(settings)
        turn.step.detail["request"] = {"model": model, "messages": len(messages)}
        return WaitEffect(
            ChatRequest(model, tuple(messages), float(settings.temperature), settings.max_tokens)
        )

    def resume(self, settings: AiSettings, turn: Turn, event: Event) -> Go:
        match event:
            case EffectAnswered(answer=ChatAnswer() as answer) if not is_blank(answer.text):
                return _keep(settings, turn, answer)
            case EffectAnswered(answer=ChatAnswer()):
                return _fall_back(settings, turn, "ai.empty", "The model answered with nothing.")
            case EffectAnswered(answer=CallFailed() as failed):
                return _fall_back(settings, turn, failed.code, failed.message)
            case _:
                return _fall_back(
                    settings, turn, "ai.wrong_answer", "The call was answered by something else."
                )


def _history(settings: AiSettings, turn: Turn, prompt: str) -> list[ChatMessage]:
    """The last messages. If the prompt is or quotes the customer's last one, it is not said twice."""
    said = list(turn.session.history)
    if "lastMessage" in settings.user_prompt.names or prompt.strip() == turn.last_message.strip():
        latest = next((index for index in reversed(range(len(said))) if said[index].role == "user"), None)
        if latest is not None and said[latest].text == turn.last_message:
            del said[latest]
    return said[-settings.history_length :]


def _keep(settings: AiSettings, turn: Turn, answer: ChatAnswer) -> Go:
    turn.step.detail.update(
        model=answer.model,
        promptTokens=answer.prompt_tokens,
        completionTokens=answer.completion_tokens,
        costUsd=answer.cost_usd,
        attempts=answer.attempts,
    )
    try:
        turn.set(settings.store_response_in, answer.text)
    except VariableRefused as refused:
        return _fall_back(settings, turn, refused.code, refused.message)
    if settings.send_to_user:
        turn.say(answer.text)
    return Go("success")


def _fall_back(settings: AiSettings, turn: Turn, code: str, message: str) -> Go:
    turn.fault(code, message)
    turn.say(settings.fallback)
    return Go("failure")
