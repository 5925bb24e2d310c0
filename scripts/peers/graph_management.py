"""The management side of the Graph API: what a product asks to check credentials and to subscribe webhooks."""

from __future__ import annotations

import re
import secrets
from typing import Any
from urllib.parse import urlencode

from scripts.peers.clock import PeerClock
from scripts.peers.graph_errors import GraphError, unknown_object
from scripts.peers.http_client import DeliveryError
from scripts.peers.numbers import MANAGE, SAMPLE_APP_ID, SEND, Number, Numbers
from scripts.peers.webhooks import Webhooks

PHONE_NODE, WABA_NODE = "WhatsAppBusinessPhoneNumber", "WhatsAppBusinessAccount"
PHONE_DEFAULTS = ("verified_name", "code_verification_status", "display_phone_number", "quality_rating", "id")
WABA_FIELDS = ("id", "name", "timezone_id", "message_template_namespace", "currency")
MAX_PAGE, DEFAULT_PAGE = 100, 25
MAX_CALLBACK = 200
_FIELDS = re.compile(r"[a-z_]+(,[a-z_]+)*")
_WHOLE = re.compile(r"[0-9]{1,9}")


def phone_fields(number: Number) -> dict[str, Any]:
    """Every field of a phone number that may be asked for."""
    return {
        "id": number.phone_number_id,
        "display_phone_number": number.display_phone_number,
        "verified_name": number.verified_name,
        "quality_rating": number.quality_rating,
        "code_verification_status": "VERIFIED",
        "name_status": "APPROVED",
        "status": number.status,
        "platform_type": "CLOUD_API",
        "throughput": {"level": "STANDARD"},
        "whatsapp_business_manager_messaging_limit": "TIER_1K",
        "account_mode": "LIVE",
        "health_status": _health(number),
        "webhook_configuration": {},
    }


def _health(number: Number) -> dict[str, Any]:
    can_send = number.health if number.status == "CONNECTED" else "BLOCKED"
    entities: list[dict[str, Any]] = [
        {"entity_type": "PHONE_NUMBER", "id": number.phone_number_id, "can_send_message": can_send},
        {"entity_type": "WABA", "id": number.waba_id, "can_send_message": "AVAILABLE"},
        {"entity_type": "APP", "id": number.app_id, "can_send_message": "AVAILABLE"},
    ]
    if can_send != "AVAILABLE":
        entities[0]["errors"] = [
            {
                "error_code": 141000 if number.status == "CONNECTED" else 141002,
                "error_description": f"The phone number is {number.status}; sending is {can_send}.",
                "possible_solution": "Look at the number in WhatsApp Manager.",
            }
        ]
    return {"can_send_message": can_send, "entities": entities}


class Management:
    """Answers about numbers, accounts, tokens and subscriptions; raises GraphError."""

    def __init__(self, numbers: Numbers, webhooks: Webhooks, clock: PeerClock) -> None:
        self._numbers = numbers
        self._webhooks = webhooks
        self._clock = clock

    def check(self, token: str, scope: str | None = None) -> list[Number]:
        """The numbers that a token may see; raises GraphError for one that counts no more or lacks the scope."""
        numbers, facts = self._numbers.with_token(token), self._numbers.token(token)
        if not numbers:
            if not token.replace("|", "").isalnum():
                raise GraphError(190, message=f"Malformed access token {token}")
            raise GraphError(190, message="Invalid OAuth access token - Cannot parse access token")
        if not facts.is_valid:
            text = "Error validating access token: The session has been invalidated because the user changed their password."
            raise GraphError(190, message=text, subcode=460)
        if 0 < facts.expires_at <= self._clock.now():
            raise GraphError(190, message="Error validating access token: Session has expired.", subcode=463)
        if scope is not None and scope not in facts.scopes:
            raise GraphError(200, message=f"(#200) Requires {scope} permission to manage the object")
        if scope is None and not {MANAGE, SEND} & set(facts.scopes):
            raise GraphError(10, message="(#10) Application does not have permission for this action")
        return numbers

    def node(self, node_id: str, query: dict[str, str], visible: list[Number]) -> dict[str, Any]:
        """`GET /{id}?fields=…` of a phone number or an account."""
        number = next((item for item in visible if item.phone_number_id == node_id), None)
        if number is not None:
            return _select(phone_fields(number), query, PHONE_DEFAULTS, PHONE_NODE)
        if any(item.waba_id == node_id for item in visible):
            fields = dict.fromkeys(WABA_FIELDS, "") | {
                "id": node_id,
                "name": "Local Business",
                "currency": "EUR",
            }
            return _select(fields, query, WABA_FIELDS[:4], WABA_NODE)
        raise unknown_object(node_id, "get")

    def phone_numbers(
        self, waba_id: str, query: dict[str, str], visible: list[Number], address: str
    ) -> dict[str, Any]:
        """`GET /{waba}/phone_numbers`, in pages. As with Graph, the next page's address holds the token."""
        numbers = [item for item in visible if item.waba_id == waba_id]
        if not numbers:
            raise unknown_object(waba_id, "get")
        size, start = _page(query)
        rows = [
            _select(phone_fields(item), query, PHONE_DEFAULTS, PHONE_NODE)
            for item in numbers[start : start + size]
        ]
        cursors = {"before": str(start), "after": str(start + len(rows))}
        paging: dict[str, Any] = {"cursors": cursors}
        if start + size < len(numbers):
            more = query | {"access_token": visible[0].access_token, "after": cursors["after"]}
            paging["next"] = f"{address}?{urlencode(more)}"
        return {"data": rows, "paging": paging}

    def debug_token(self, query: dict[str, str], asking: str) -> dict[str, Any]:
        """`GET /debug_token?input_token=…`, asked with `APP_ID|APP_SECRET` or with the token itself."""
        token = query.get("input_token")
        if not token:
            raise GraphError(100, message="(#100) The parameter input_token is required")
        if "|" in asking:
            self._check_app(asking)
            app_id = asking.partition("|")[0]
            if self._numbers.with_token(token) and self._numbers.app_of(token) != app_id:
                text = "(#100) The App_id in the input_token did not match the Viewing App"
                raise GraphError(100, message=text)
        elif not self._numbers.with_token(asking):
            self.check(asking)
        return {"data": self._token_data(token)}

    def _check_app(self, asking: str) -> None:
        app_id, _, secret = asking.partition("|")
        known = (
            self._webhooks.target.app_secret if app_id == SAMPLE_APP_ID else self._numbers.apps.get(app_id)
        )
        if known is None or not secrets.compare_digest(secret.encode(), known.encode()):
            raise GraphError(
                190, message="Error validating application. Invalid application ID or secret.", status=400
            )

    def subscribed_apps(self, waba_id: str, visible: list[Number]) -> dict[str, Any]:
        """`GET /{waba}/subscribed_apps`."""
        self._require_waba(waba_id, visible, "get")
        app_id = next(item.app_id for item in visible if item.waba_id == waba_id)
        app = {"id": app_id, "name": "Local App", "link": "https://developers.facebook.com/apps"}
        entry: dict[str, Any] = {"whatsapp_business_api_data": app}
        if waba_id in self._numbers.callbacks:
            entry["override_callback_uri"] = self._numbers.callbacks[waba_id]
        return {"data": [entry] if waba_id not in self._numbers.unsubscribed_wabas else []}

    async def subscribe(self, waba_id: str, wish: dict[str, Any], visible: list[Number]) -> dict[str, Any]:
        """`POST /{waba}/subscribed_apps`, with the handshake where a callback is named."""
        self._require_waba(waba_id, visible, "post")
        callback = wish.get("override_callback_uri")
        if callback is not None:
            verify_token = wish.get("verify_token")
            if (
                not isinstance(callback, str)
                or not isinstance(verify_token, str)
                or len(callback) > MAX_CALLBACK
            ):
                raise GraphError(100, "override_callback_uri (at most 200 characters) needs a verify_token.")
            await self._handshake(callback, verify_token)
            self._webhooks.target.url = self._numbers.callbacks[waba_id] = callback
        else:
            self._numbers.callbacks.pop(waba_id, None)
        self._numbers.unsubscribed_wabas.discard(waba_id)
        return {"success": True}

    def unsubscribe(self, waba_id: str, visible: list[Number]) -> dict[str, Any]:
        """`DELETE /{waba}/subscribed_apps`: no more webhooks for this account."""
        self._require_waba(waba_id, visible, "delete")
        self._numbers.unsubscribed_wabas.add(waba_id)
        self._numbers.callbacks.pop(waba_id, None)
        return {"success": True}

    async def _handshake(self, callback: str, verify_token: str) -> None:
        challenge = str(secrets.randbelow(10**10))
        query = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": verify_token}
        try:
            status, body = await self._webhooks.get(f"{callback}?{urlencode(query)}")
        except DeliveryError as error:
            raise GraphError(2200, message=f"(#2200) Callback verification failed: {error}") from None
        if status != 200 or body != challenge.encode():  # noqa: PLR2004 - Meta takes nothing but 200
            details = f"HTTP Status Code = {status}"
            raise GraphError(
                2200, message=f"(#2200) Callback verification failed with the following errors: {details}"
            )

    def _token_data(self, token: str) -> dict[str, Any]:
        numbers, facts = self._numbers.with_token(token), self._numbers.token(token)
        data: dict[str, Any] = {
            "app_id": self._numbers.app_of(token),
            "type": "SYSTEM_USER" if facts.expires_at == 0 else "USER",
            "application": "Local App",
            "data_access_expires_at": facts.data_access_expires_at,
            "expires_at": facts.expires_at,
            "user_id": "122100000000000000",
        }
        try:
            self.check(token)
        except GraphError as refused:
            if not numbers:
                data = {}
            error = {"code": 190, "message": refused.message, "subcode": refused.subcode or 463}
            return data | {"is_valid": False, "error": error, "scopes": []}
        targets = facts.target_ids
        waba_ids = sorted({number.waba_id for number in numbers}) if targets is None else list(targets)
        return data | {
            "is_valid": True,
            "scopes": [*facts.scopes, "public_profile"],
            "granular_scopes": [{"scope": scope, "target_ids": waba_ids} for scope in facts.scopes],
        }

    @staticmethod
    def _require_waba(waba_id: str, visible: list[Number], verb: str) -> None:
        if not any(item.waba_id == waba_id for item in visible):
            raise unknown_object(waba_id, verb)


def _select(
    fields: dict[str, Any], query: dict[str, str], defaults: tuple[str, ...], node: str
) -> dict[str, Any]:
    text = query.get("fields", ",".join(defaults)).replace(" ", "")
    if not _FIELDS.fullmatch(text):
        raise GraphError(2500, message=f"(#2500) Syntax error in fields: {text[:100]!r}")
    asked = text.split(",")
    for name in asked:
        if name not in fields:
            raise GraphError(
                100, message=f"(#100) Tried accessing nonexisting field ({name}) on node type ({node})"
            )
    return {name: fields[name] for name in [*asked, "id"]}


def _page(query: dict[str, str]) -> tuple[int, int]:
    limit, after = query.get("limit", str(DEFAULT_PAGE)), query.get("after", "0")
    if not (_WHOLE.fullmatch(limit) and _WHOLE.fullmatch(after)):
        raise GraphError(100, message="(#100) Invalid paging parameters")
    return max(1, min(int(limit), MAX_PAGE)), int(after)
