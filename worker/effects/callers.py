"""The two kinds of calls that a flow can make, each with its way of trying again."""

from __future__ import annotations

from common.gateways.http import HttpGateway, is_retryable, next_delay
from common.gateways.openai import ChatGateway
from common.model.calls import Answer, CallFailed, ChatRequest, HttpRequest, Request
from common.model.encrypted_fields import OPENAI_KEY
from common.secrets import KeyRing, SecretError
from common.settings import Settings
from worker.effects.scheduler import Caller
from worker.held_lane import HeldLane


class HttpCaller:
    """API nodes. Every attempt carries the same Idempotency-Key."""

    def __init__(self, gateway: HttpGateway) -> None:
        self._gateway = gateway

    def attempt(self, lane: HeldLane, request: Request, effect_id: str) -> Answer:
        if not isinstance(request, HttpRequest):
            raise TypeError("an HTTP caller makes HTTP calls")
        return self._gateway.attempt(request, effect_id, lane.request_id)

    def next_delay(self, request: Request, failed: CallFailed, attempt: int) -> float | None:
        if not isinstance(request, HttpRequest) or not is_retryable(failed):
            return None
        return next_delay(request, attempt)

    def longest_seconds(self, request: Request) -> float:
        if not isinstance(request, HttpRequest):
            return 0.0
        return request.timeout_seconds


class ChatCaller:
    """AI nodes, with the key of the bot's owner. The gateway itself tries again."""

    def __init__(self, gateway: ChatGateway, keys: KeyRing, timeout_seconds: float) -> None:
        self._gateway = gateway
        self._keys = keys
        self._timeout_seconds = timeout_seconds

    def attempt(self, lane: HeldLane, request: Request, effect_id: str) -> Answer:
        if not isinstance(request, ChatRequest):
            raise TypeError("a chat caller makes chat calls")
        return self._gateway.complete(self._key(lane), request, effect_id)

    def _key(self, lane: HeldLane) -> str | None:
        bot = lane.bot
        if bot is None or bot.openai_key is None or bot.openai_account_id is None:
            return None
        try:
            return self._keys.decrypt(bot.openai_key, OPENAI_KEY.context(bot.openai_account_id))
        except SecretError:
            return None

    def next_delay(self, request: Request, failed: CallFailed, attempt: int) -> float | None:
        del request, failed, attempt
        return None

    def longest_seconds(self, request: Request) -> float:
        del request
        return self._timeout_seconds * 3


def make_callers(settings: Settings) -> dict[type[HttpRequest | ChatRequest], Caller]:
    """The callers of one process."""
    http = HttpGateway(settings.http_allowed_hosts, settings.http_max_bytes)
    chat = ChatGateway(settings.openai_base_url, settings.openai_timeout_seconds)
    return {
        HttpRequest: HttpCaller(http),
        ChatRequest: ChatCaller(
            chat, KeyRing.from_setting(settings.encryption_keys), settings.openai_timeout_seconds
        ),
    }
