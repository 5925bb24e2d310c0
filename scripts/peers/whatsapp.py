"""The WhatsApp Graph API as the product meets it: takes what Meta takes, refuses what Meta refuses."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from scripts.peers.clock import PeerClock
from scripts.peers.faults import Effects
from scripts.peers.graph_errors import SHAPED_STATUS_CODES, GraphError, unknown_object
from scripts.peers.graph_limits import Limits, Rules
from scripts.peers.graph_management import Management
from scripts.peers.graph_payload import Outgoing, read_mark, read_send
from scripts.peers.inbound import Inbound
from scripts.peers.json_text import BadJsonError, json_answer, read_json
from scripts.peers.numbers import MANAGE, SEND, Number, Numbers
from scripts.peers.people import People, Person
from scripts.peers.sent import Sent, SentLog
from scripts.peers.statuses import Statuses, Twist
from scripts.peers.wamids import new_wamid
from scripts.peers.webhooks import Target, Webhooks
from scripts.peers.wire import Answer, Outcome, Request

KEPT = 1000
_VERSION = re.compile(r"v\d{1,3}\.\d{1,2}")


class WhatsApp:
    """Everything below /graph/."""

    def __init__(self, target: Target, sent_path: Path | None = None) -> None:
        self.clock = PeerClock()
        self.numbers = Numbers()
        self.people = People()
        self.sent = SentLog(sent_path)
        self.reads: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.refused: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.refused_count = 0
        self.limits = Limits(Rules())
        self.webhooks = Webhooks(target)
        self.statuses = Statuses(self.webhooks, self.clock)
        self.inbound = Inbound(self.numbers, self.people, self.sent, self.webhooks, self.clock)
        self._management = Management(self.numbers, self.webhooks, self.clock)

    @staticmethod
    def endpoint(request: Request) -> str:
        """The name by which faults address this request."""
        if not request.path.endswith("/messages"):
            return f"graph.management.{_asked_of(request)}"
        return (
            "graph.read"
            if b'"message_id"' in request.body and b'"status"' in request.body
            else "graph.messages"
        )

    @staticmethod
    def error(status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        """An HTTP error in Meta's shape."""
        return GraphError(SHAPED_STATUS_CODES.get(status, 131000), message, status=status).answer(headers)

    def handle(self, request: Request, effects: Effects | None) -> Outcome | Coroutine[Any, Any, Outcome]:
        """Answer one request."""
        try:
            return self._route(request, effects)
        except GraphError as error:
            return self._refuse(error, request)

    def _route(self, request: Request, effects: Effects | None) -> Outcome | Coroutine[Any, Any, Outcome]:
        parts = request.path.split("/")[2:]
        if not parts or not _VERSION.fullmatch(parts[0]):
            raise GraphError(2500, message=f"Unknown path components: {unquote(request.path)[:200]}")
        match request.method, parts[1:]:
            case "POST", [number_id, "messages"]:
                return self._messages(number_id, request, effects)
            case "GET", ["debug_token"]:
                return json_answer(self._management.debug_token(request.query(), self._token(request)))
            case "POST", [waba_id, "subscribed_apps"]:
                return self._subscribe(waba_id, request, self._visible(request, MANAGE))
        return json_answer(self._manage(parts[1:], request))

    def _manage(self, parts: list[str], request: Request) -> dict[str, Any]:
        manage = self._management
        visible = self._visible(request, MANAGE if len(parts) > 1 else None)
        match request.method, parts:
            case "GET", [node_id]:
                return manage.node(node_id, request.query(), visible)
            case "GET", [waba_id, "phone_numbers"]:
                address = f"http://{request.headers.get('host', '')}{request.path}"
                return manage.phone_numbers(waba_id, request.query(), visible, address)
            case "GET", [waba_id, "subscribed_apps"]:
                return manage.subscribed_apps(waba_id, visible)
            case "DELETE", [waba_id, "subscribed_apps"]:
                return manage.unsubscribe(waba_id, visible)
        raise GraphError(2500, message=f"Unknown path components: {unquote(request.path)[:200]}")

    def _messages(
        self, number_id: str, request: Request, effects: Effects | None
    ) -> Outcome | Coroutine[Any, Any, Outcome]:
        token = self._token(request)
        number = self.numbers.find(number_id)
        if number is None or number.access_token != token:
            self._management.check(token)
            raise unknown_object(number_id, "post")
        if token in self.numbers.tokens:
            self._management.check(token, SEND)
        payload = _payload(request)
        if "status" in payload:
            message_id, is_typing = read_mark(payload)
            self.reads.append(
                {
                    "at": time.time(),
                    "phone_number_id": number_id,
                    "message_id": message_id,
                    "typing": is_typing,
                }
            )
            return json_answer({"success": True})
        return self._accept(number, read_send(payload), effects)

    def _accept(
        self, number: Number, outgoing: Outgoing, effects: Effects | None
    ) -> Outcome | Coroutine[Any, Any, Outcome]:
        """Check the limits, write the send down, and only then answer."""
        now = self.clock.now()
        alias = outgoing.wa_id or outgoing.bsuid or ""
        if number.status != "CONNECTED":
            raise GraphError(133010, "The phone number is not registered or not connected.")
        if outgoing.wa_id == number.display_digits:
            raise GraphError(131021, "Recipient phone number and sender phone number are the same.")
        self.limits.check_rates(number.phone_number_id, alias, now)
        person = self.people.find(alias)
        objection = self.limits.check_person(number.phone_number_id, person, now)
        if objection is not None and not self.limits.rules.late_refusals:
            raise objection
        if person is None:
            person = Person(outgoing.wa_id, outgoing.bsuid)
        sent = self._record(number, outgoing)
        twist = effects.twist if effects is not None else None
        if objection is not None:
            twist = Twist(fail_code=objection.code)
        answer = json_answer(_accepted(outgoing, person, sent.wamid))
        if number.waba_id in self.numbers.unsubscribed_wabas:
            return answer
        if effects is not None and effects.status_first:
            return self._answer_late(answer, sent, number, person)
        latency = effects.latency_seconds if effects is not None else 0.0
        self.statuses.follow(sent, number, person, twist, latency)
        return answer

    async def _answer_late(self, answer: Answer, sent: Sent, number: Number, person: Person) -> Outcome:
        await self.statuses.tell_at_once(sent, number, person)
        return answer

    def _record(self, number: Number, outgoing: Outgoing) -> Sent:
        sent = Sent(
            seq=self.sent.next_seq,
            at=time.time(),
            phone_number_id=number.phone_number_id,
            to=outgoing.wa_id,
            recipient=outgoing.bsuid,
            kind=outgoing.kind,
            body=outgoing.body,
            buttons=outgoing.buttons,
            opaque=outgoing.opaque,
            wamid=new_wamid(),
            replies_to=outgoing.replies_to,
        )
        self.sent.add(sent)
        return sent

    async def _subscribe(self, waba_id: str, request: Request, visible: list[Number]) -> Outcome:
        try:
            wish = _payload(request) if request.body else {}
            return json_answer(await self._management.subscribe(waba_id, wish, visible))
        except GraphError as error:
            return self._refuse(error, request)

    def _refuse(self, error: GraphError, request: Request) -> Answer:
        self.refused_count += 1
        self.refused.append(
            {
                "at": time.time(),
                "path": request.path,
                "code": error.code,
                "details": error.details or error.message,
            }
        )
        return error.answer()

    @staticmethod
    def _token(request: Request) -> str:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and token:
            return token.strip()
        token = request.query().get("access_token", "")
        if not token:
            raise GraphError(190, message="An access token is required to request this resource.")
        return token

    def _visible(self, request: Request, scope: str | None = None) -> list[Number]:
        return self._management.check(self._token(request), scope)

    def reset(self) -> None:
        """Forget people, records, schedules; numbers and switches stay."""
        self.statuses.clear()
        self.webhooks.clear()
        self.sent.clear()
        self.reads.clear()
        self.refused.clear()
        self.refused_count = 0
        self.people.clear()
        self.limits.clear()
        self.clock.reset()

    def close(self) -> None:
        """Stop schedules and deliveries, close the record."""
        self.statuses.clear()
        self.webhooks.close()
        self.sent.close()


def _asked_of(request: Request) -> str:
    """What a management request is about, as faults name it."""
    last = request.path.rpartition("/")[2]
    if last in {"debug_token", "phone_numbers", "subscribed_apps"}:
        return last
    return "health" if request.query().get("fields") == "health_status" else "node"


def _payload(request: Request) -> dict[str, Any]:
    if not request.headers.get("content-type", "").lower().startswith("application/json"):
        raise GraphError(100, "Send the body as application/json.")
    try:
        payload = read_json(request.body)
    except BadJsonError as error:
        raise GraphError(100, str(error)) from None
    if not isinstance(payload, dict):
        raise GraphError(100, "The body must be a JSON object.")
    return payload


def _accepted(outgoing: Outgoing, person: Person, wamid: str) -> dict[str, Any]:
    contact = {"input": outgoing.given_to}
    if outgoing.wa_id is not None:
        contact["wa_id"] = outgoing.wa_id
    if person.bsuid is not None:
        contact["user_id"] = person.bsuid
    return {"messaging_product": "whatsapp", "contacts": [contact], "messages": [{"id": wamid}]}
