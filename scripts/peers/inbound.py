"""What a person does on the phone, as the webhook that Meta sends about it."""

from __future__ import annotations

from typing import Any

from scripts.peers.clock import PeerClock
from scripts.peers.numbers import Number, Numbers
from scripts.peers.people import People, Person
from scripts.peers.sent import SentLog
from scripts.peers.statuses import envelope_value
from scripts.peers.wamids import new_wamid
from scripts.peers.webhooks import Webhooks

SAY_KEYS = frozenset(
    {"text", "button", "message", "name", "username", "bsuid", "phone_number_id", "context", "copies"}
)
MAX_COPIES = 100


class SayError(Exception):
    """What the person is asked to do makes no sense; the message is a sentence."""


class Inbound:
    """People write; Meta tells the product about it."""

    def __init__(
        self, numbers: Numbers, people: People, sent: SentLog, webhooks: Webhooks, clock: PeerClock
    ) -> None:
        self._numbers = numbers
        self._people = people
        self._sent = sent
        self._webhooks = webhooks
        self._clock = clock

    def note_written(self, alias: str, phone_number_id: str | None, at: float | None = None) -> Person:
        """The person wrote to the number just now (or at that Unix time): the 24-hour window opens."""
        number = self._number(phone_number_id)
        person = self._people.meet(alias)
        wrote_at = self._clock.now() if at is None else at
        person.wrote_at[number.phone_number_id] = max(
            wrote_at, person.wrote_at.get(number.phone_number_id, 0.0)
        )
        return person

    def say(self, alias: str, wish: dict[str, Any]) -> str:
        """Send the webhook about one message of that person; its wamid. Raises SayError."""
        unknown = wish.keys() - SAY_KEYS
        if unknown:
            raise SayError(f"'say' has no {', '.join(sorted(unknown))}.")
        if self._webhooks.target.url is None:
            raise SayError("No webhook URL is set: start with --webhook-url or POST /_control/webhook.")
        number = self._number(_text(wish, "phone_number_id"))
        if number.waba_id in self._numbers.unsubscribed_wabas:
            raise SayError(f"Nobody is subscribed to the webhooks of account {number.waba_id}.")
        content, context_id = self._content(alias, wish)
        copies = wish.get("copies", 1)
        if not isinstance(copies, int) or not 1 <= copies <= MAX_COPIES:
            raise SayError(f"'copies' must be a whole number from 1 to {MAX_COPIES}.")
        person = self._person(alias, wish)
        self.note_written(alias, number.phone_number_id)
        message = self._message(person, number, content, context_id)
        for _ in range(copies):
            self._webhooks.post(
                _envelope(number, person, message),
                kind="message",
                ids=[message["id"]],
                app_secret=number.app_secret,
                order=alias,
            )
        return str(message["id"])

    def _number(self, phone_number_id: str | None) -> Number:
        if phone_number_id is None:
            return self._numbers.first()
        number = self._numbers.find(phone_number_id)
        if number is None:
            raise SayError(f"There is no business number with id {phone_number_id}.")
        return number

    def _person(self, alias: str, wish: dict[str, Any]) -> Person:
        person = self._people.meet(alias, _text(wish, "bsuid"))
        person.name = _text(wish, "name") or person.name
        person.username = _text(wish, "username") or person.username
        return person

    def _content(self, alias: str, wish: dict[str, Any]) -> tuple[dict[str, Any], str | None]:
        """The typed part of the message, and the id of the message it answers."""
        given = [name for name in ("text", "button", "message") if name in wish]
        if len(given) != 1:
            raise SayError("Give one of 'text', 'button' and 'message'.")
        context_id = _text(wish, "context")
        if given == ["text"]:
            return {"type": "text", "text": {"body": _text(wish, "text") or ""}}, context_id
        if given == ["message"]:
            message = wish["message"]
            if not isinstance(message, dict):
                raise SayError('\'message\' must be an object, for instance {"type": "image", "image": {…}}.')
            return message, context_id
        return self._tap(alias, wish["button"], context_id)

    def _tap(self, alias: str, button: object, context_id: str | None) -> tuple[dict[str, Any], str | None]:
        if not isinstance(button, dict) or not button or button.keys() - {"id", "title"}:
            raise SayError("'button' must be an object with 'id', 'title' or both.")
        button_id, title = _text(button, "id"), _text(button, "title")
        seen = self._sent.last_with_buttons(self._people.aliases(alias))
        for known_id, known_title in seen.buttons if seen is not None else ():
            if button_id == known_id or (button_id is None and title == known_title):
                button_id, title = known_id, title or known_title
                context_id = context_id or (seen.wamid if seen is not None else None)
                break
        if button_id is None:
            raise SayError(f"The last message to {alias} has no button {title!r}.")
        reply = {"id": button_id, "title": title or ""}
        return {
            "type": "interactive",
            "interactive": {"type": "button_reply", "button_reply": reply},
        }, context_id

    def _message(
        self, person: Person, number: Number, content: dict[str, Any], context_id: str | None
    ) -> dict[str, Any]:
        head: dict[str, Any] = person.ids("from", "from_user_id")
        head |= {"id": new_wamid(), "timestamp": str(int(self._clock.now()))}
        if context_id is not None:
            head["context"] = {"from": number.display_digits, "id": context_id}
        return head | content


def _envelope(number: Number, person: Person, message: dict[str, Any]) -> dict[str, Any]:
    value = envelope_value(number) | {"contacts": [person.contact()], "messages": [message]}
    entry = {"id": number.waba_id, "changes": [{"value": value, "field": "messages"}]}
    return {"object": "whatsapp_business_account", "entry": [entry]}


def _text(holder: dict[str, Any], name: str) -> str | None:
    value = holder.get(name)
    if value is not None and not isinstance(value, str):
        raise SayError(f"{name!r} must be a text.")
    return value
