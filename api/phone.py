"""A phone as the web process and the local WhatsApp peer see one: signed webhooks out, the bot's messages in."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass
from typing import Any, Final

import click
import requests

START_HINT: Final = "Start everything with ./scripts/up, then try again."
POST_SECONDS: Final = 20.0

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Phone:
    """The person with the phone; Meta leaves the number out for some, so one of the two ids may be None."""

    wa_id: str | None
    bsuid: str | None
    name: str

    @property
    def alias(self) -> str:
        """The id by which the peer keeps this person's messages: the number, if Meta tells it."""
        return self.wa_id or self.bsuid or ""


@dataclass(frozen=True, slots=True)
class Received:
    """A message of the bot."""

    seq: int
    wamid: str
    text: str
    buttons: tuple[tuple[str, str], ...]

    def button(self, typed: str) -> tuple[str, str] | None:
        """The button that the typed number or label means."""
        typed = typed.strip().casefold()
        for place, (button_id, title) in enumerate(self.buttons, start=1):
            if typed in {str(place), title.strip().casefold()}:
                return button_id, title
        return None


class Talk:
    """Both ends of the conversation: the web process that takes webhooks, the peer that takes the bot's sends."""

    def __init__(
        self, phone: Phone, webhook_url: str, peer_url: str, app_secret: str, to: str | None
    ) -> None:
        self._phone = phone
        self._webhook_url = webhook_url
        self._peer_url = peer_url
        self._app_secret = app_secret
        self._web = requests.Session()
        self._peer = requests.Session()
        self._inbox = requests.Session()  # may be used by another thread than the rest
        for session in (self._web, self._peer, self._inbox):
            session.trust_env = False  # loopback needs no proxy
        number = self._choose_number(to)
        self.number_id: str = number["phone_number_id"]
        self._waba_id: str = number["waba_id"]
        self._display_digits = "".join(sign for sign in number["display_phone_number"] if sign.isdigit())
        person = {"name": phone.name} | ({"bsuid": phone.bsuid} if phone.bsuid else {})
        self._ask_peer("PUT", f"/_control/phones/{phone.alias}", body=person)
        self._seen = int(self._ask_peer("GET", "/_control/state")["next_seq"]) - 1
        self.last: Received | None = None
        self.last_with_buttons: Received | None = None

    def close(self) -> None:
        """Close the connections."""
        for session in (self._web, self._peer, self._inbox):
            session.close()

    def write(self, text: str) -> None:
        """Send a text; raises ClickException when the web process does not take it."""
        self._send({"type": "text", "text": {"body": text}}, answers=None)

    def tap(self, message: Received, button: tuple[str, str]) -> None:
        """Tap a button of that message; raises ClickException when the web process does not take it."""
        reply = {"type": "button_reply", "button_reply": {"id": button[0], "title": button[1]}}
        self._send({"type": "interactive", "interactive": reply}, answers=message.wamid)

    def receive(self, wait_seconds: float) -> list[Received]:
        """Messages that came since the last call; waits up to that long for the first one."""
        query = {
            "to": self._phone.alias,
            "phone_number_id": self.number_id,
            "after": str(self._seen),
            "wait": f"{max(0.0, wait_seconds):.3f}",
        }
        answer = self._ask_peer(
            "GET", "/_control/sent", query, session=self._inbox, seconds=wait_seconds + POST_SECONDS
        )
        self._seen = int(answer["next"])
        received = [_received(item) for item in answer["messages"]]
        for message in received:
            self.last = message
            if message.buttons:
                self.last_with_buttons = message
        return received

    def _send(self, content: Json, *, answers: str | None) -> None:
        self._ask_peer(
            "POST", f"/_control/phones/{self._phone.alias}/wrote", body={"phone_number_id": self.number_id}
        )
        body = _to_wire(self._webhook(content, answers))
        headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign(self._app_secret, body)}
        try:
            response = self._web.post(self._webhook_url, body, headers=headers, timeout=POST_SECONDS)
        except requests.RequestException as error:
            text = f"The web process does not answer at {self._webhook_url} ({type(error).__name__}). {START_HINT}"
            raise click.ClickException(text) from None
        if response.status_code != requests.codes.ok:
            raise click.ClickException(_explain_status(response.status_code, self._webhook_url))

    def _webhook(self, content: Json, answers: str | None) -> Json:
        """The message in Meta's envelope (Cloud API webhooks, object `whatsapp_business_account`)."""
        phone = self._phone
        contact: Json = {"profile": {"name": phone.name}}
        message: Json = {"id": f"wamid.{secrets.token_hex(24)}", "timestamp": str(int(time.time()))}
        if phone.wa_id is not None:
            contact["wa_id"] = message["from"] = phone.wa_id
        if phone.bsuid is not None:
            contact["user_id"] = message["from_user_id"] = phone.bsuid
        if answers is not None:
            message["context"] = {"from": self._display_digits, "id": answers}
        metadata = {"display_phone_number": self._display_digits, "phone_number_id": self.number_id}
        value = {
            "messaging_product": "whatsapp",
            "metadata": metadata,
            "contacts": [contact],
            "messages": [message | content],
        }
        entry = {"id": self._waba_id, "changes": [{"field": "messages", "value": value}]}
        return {"object": "whatsapp_business_account", "entry": [entry]}

    def _choose_number(self, to: str | None) -> Json:
        numbers: list[Json] = self._ask_peer("GET", "/_control/numbers")["numbers"]
        for number in numbers:
            if to is None or number["phone_number_id"] == to:
                return number
        known = ", ".join(number["phone_number_id"] for number in numbers)
        raise click.UsageError(f"The local WhatsApp peer has no phone number id {to}. It has: {known}.")

    def _ask_peer(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        *,
        body: Json | None = None,
        session: requests.Session | None = None,
        seconds: float = POST_SECONDS,
    ) -> Json:
        try:
            response = (session or self._peer).request(
                method, self._peer_url + path, params=query, json=body, timeout=seconds
            )
            response.raise_for_status()
            answer: Json = response.json()
        except requests.RequestException as error:
            text = (
                f"No local WhatsApp peer answers at {self._peer_url} ({type(error).__name__}). {START_HINT}"
            )
            raise click.ClickException(text) from None
        return answer


def sign(app_secret: str, body: bytes) -> str:
    """The X-Hub-Signature-256 header of these bytes."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def _received(item: Json) -> Received:
    buttons = tuple((button["id"], button["title"]) for button in item["buttons"])
    return Received(item["seq"], item["wamid"], item["body"], buttons)


def _explain_status(status: int, webhook_url: str) -> str:
    reasons = {
        401: "it refused the signature: it runs with another META_APP_SECRET than this command.",
        403: "it refused the signature: it runs with another META_APP_SECRET than this command.",
        404: "there is no webhook at this address.",
        503: "it cannot reach its database just now; Meta would try again.",
    }
    return f"The web process at {webhook_url} answered {status}: {reasons.get(status, 'see its log.')}"


def _to_wire(payload: Json) -> bytes:
    r"""As Meta writes it: ASCII with `\u` escapes, and `\/`."""
    return json.dumps(payload, separators=(",", ":")).replace("/", "\\/").encode("ascii")
