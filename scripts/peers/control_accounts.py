"""The remote control's part about accounts: what numbers are like, what tokens may do, which keys OpenAI takes."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from scripts.peers.control_read import ControlError, object_of, text_of
from scripts.peers.numbers import Token
from scripts.peers.openai import OpenAI
from scripts.peers.whatsapp import WhatsApp
from scripts.peers.wire import Request

CHANGEABLE = ("status", "quality_rating", "health", "display_phone_number", "verified_name", "access_token")
_KINDS: dict[str, type] = {
    "expires_at": int,
    "data_access_expires_at": int,
    "is_valid": bool,
    "scopes": list,
    "target_ids": list,
    "app_id": str,
}


class AccountsControl:
    """What happens at Meta's and OpenAI's while nobody looks: numbers change, tokens end, keys are made."""

    def __init__(self, whatsapp: WhatsApp, openai: OpenAI) -> None:
        self._whatsapp = whatsapp
        self._openai = openai

    def change_number(self, number_id: str, request: Request) -> dict[str, Any]:
        """`PATCH numbers/{id}`."""
        number, wish = self._whatsapp.numbers.find(number_id), object_of(request)
        if number is None:
            raise ControlError("There is no such number.", 404)
        if wish.keys() - set(CHANGEABLE):
            raise ControlError(f"What changes of a number: {', '.join(CHANGEABLE)}.")
        for name in wish:
            text = text_of(wish, name)
            if not text:
                raise ControlError("The fields of a number are texts that are not empty.")
            setattr(number, name, text)
        return {name: getattr(number, name) for name in CHANGEABLE if name != "access_token"}

    def describe_token(self, request: Request) -> dict[str, Any]:
        """`PUT tokens`: what a token is good for from now on."""
        wish = object_of(request)
        token = text_of(wish, "access_token")
        facts = {name: value for name, value in wish.items() if name != "access_token"}
        if not token or facts.keys() - {field.name for field in fields(Token)}:
            raise ControlError(f"A token has: access_token, {', '.join(_KINDS)}.")
        for name, value in facts.items():
            if type(value) is not _KINDS[name]:
                raise ControlError(f"'{name}' has the wrong type.")
        lists = {name: tuple(map(str, value)) for name, value in facts.items() if isinstance(value, list)}
        made = self._whatsapp.numbers.tokens[token] = Token(**{**facts, **lists})
        return asdict(made)

    def add_app(self, app_id: str, request: Request) -> dict[str, Any]:
        """`PUT apps/{id}`: a further Meta app and its secret."""
        secret = text_of(object_of(request), "app_secret")
        if not secret:
            raise ControlError("An app has an app_secret.")
        self._whatsapp.numbers.apps[app_id] = secret
        return {"id": app_id}

    def subscriptions(self, _: Request) -> dict[str, Any]:
        """`GET subscriptions`: by account, whether its webhooks are delivered, and where to if it said so."""
        numbers = self._whatsapp.numbers
        return {
            waba_id: {
                "is_subscribed": waba_id not in numbers.unsubscribed_wabas,
                "callback": numbers.callbacks.get(waba_id),
            }
            for waba_id in sorted({number.waba_id for number in numbers.all()})
        }

    def add_key(self, request: Request) -> dict[str, Any]:
        """`POST openai/keys`: a further key; `is_restricted`: it may complete, but not list models."""
        wish = object_of(request)
        key = text_of(wish, "key")
        if not key or wish.keys() - {"key", "is_restricted"}:
            raise ControlError("A key has: key, is_restricted.")
        self._openai.keys.add(key)
        if wish.get("is_restricted") is True:
            self._openai.restricted.add(key)
        return {"keys": len(self._openai.keys)}

    def remove_keys(self, request: Request) -> dict[str, Any]:
        """`DELETE openai/keys`: take this key away."""
        self._openai.keys.discard(text_of(object_of(request), "key") or "")
        return {"keys": len(self._openai.keys)}
