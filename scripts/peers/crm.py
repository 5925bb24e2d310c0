"""A small CRM-like API to call from flows: leads, order status, an echo, and an endpoint that fails a few times."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from scripts.peers.calls import Calls
from scripts.peers.faults import Effects
from scripts.peers.json_text import BadJsonError, json_answer, read_json
from scripts.peers.wire import Answer, Request

ORDERS: dict[str, dict[str, Any]] = {
    "1001": {"status": "shipped", "carrier": "DHL", "expectedAt": "2030-05-04", "items": [{"sku": "TEA-1", "quantity": 2}]},
    "1002": {"status": "processing", "carrier": None, "expectedAt": None, "items": [{"sku": "MUG-7", "quantity": 1}]},
    "1003": {"status": "delivered", "carrier": "UPS", "expectedAt": "2030-04-30", "items": []},
}  # fmt: skip
LEAD_FIELDS = {
    "name": 200,
    "email": 254,
    "phone": 40,
    "company": 200,
    "note": 4000,
    "source": 100,
    "interest": 200,
    "message": 4000,
}
MAX_KEY = 255
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class CrmError(Exception):
    """A refusal: `{"error": {"code", "message", "fields"?}}` with an HTTP status."""

    def __init__(self, status: int, code: str, message: str, fields: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error: dict[str, Any] = {"code": code, "message": message} | (
            {"fields": fields} if fields else {}
        )

    def answer(self, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        """The error as an HTTP answer."""
        return json_answer({"error": self.error}, self.status, headers)


@dataclass(slots=True)
class _Kept:
    body: bytes
    answer: Answer


class Crm:
    """Everything below /crm/."""

    def __init__(self) -> None:
        self.calls = Calls()
        self.repeats = 0
        self.orders = dict(ORDERS)
        self._leads: dict[str, dict[str, Any]] = {}
        self._lead_count = 0
        self._by_key: dict[tuple[str, str, str], _Kept] = {}
        self._failures: dict[str, int] = {}

    @staticmethod
    def endpoint(request: Request) -> str:
        """The name by which faults address this request."""
        return "crm." + request.path.removeprefix("/crm/").split("/", 1)[0]

    @staticmethod
    def error(status: int, message: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        """An HTTP error in this API's shape."""
        return CrmError(status, "failed", message).answer(headers)

    def handle(self, request: Request, effects: Effects | None) -> Answer:  # noqa: ARG002 - the peers' common signature
        """Answer one request and write it down."""
        try:
            answer, is_repeat = self._once(request)
        except CrmError as error:
            answer, is_repeat = error.answer(), False
        self.calls.add(request, answer, repeat=is_repeat)
        return answer

    def _once(self, request: Request) -> tuple[Answer, bool]:
        """The same Idempotency-Key gets the same answer, and nothing is done twice."""
        key = request.headers.get("idempotency-key")
        if key is None or request.method == "GET":
            return self._route(request), False
        if not 1 <= len(key) <= MAX_KEY:
            raise CrmError(400, "bad_idempotency_key", f"An Idempotency-Key has 1 to {MAX_KEY} characters.")
        place = (request.method, request.path, key)
        kept = self._by_key.get(place)
        if kept is not None:
            if kept.body != request.body:
                raise CrmError(
                    422, "idempotency_mismatch", "This Idempotency-Key came with another body before."
                )
            self.repeats += 1
            known = kept.answer
            return Answer(
                known.status, known.body, headers=(*known.headers, ("Idempotent-Replayed", "true"))
            ), True
        answer = self._route(request)
        self._by_key[place] = _Kept(request.body, answer)
        return answer, False

    def _route(self, request: Request) -> Answer:
        match [unquote(part) for part in request.path.removeprefix("/crm/").split("/")]:
            case ["leads"]:
                return self._all_leads(request)
            case ["leads", lead_id]:
                return self._one_lead(request, lead_id)
            case ["orders", order_id]:
                return self._order(request, order_id)
            case ["flaky"]:
                return self._flaky(request)
            case ["echo"]:
                return _echo(request)
        raise CrmError(404, "not_found", "There is nothing at this address.")

    def _all_leads(self, request: Request) -> Answer:
        if request.method == "GET":
            return json_answer({"data": list(self._leads.values())})
        if request.method != "POST":
            raise _not_allowed("GET, POST")
        lead = _read_lead(request, is_whole=True)
        self._lead_count += 1
        lead_id = f"lead-{self._lead_count}"
        self._leads[lead_id] = {"id": lead_id, "status": "new"} | lead
        return json_answer(self._leads[lead_id], 201, (("Location", f"/crm/leads/{lead_id}"),))

    def _one_lead(self, request: Request, lead_id: str) -> Answer:
        if request.method not in {"GET", "PUT", "PATCH", "DELETE"}:
            raise _not_allowed("GET, PUT, PATCH, DELETE")
        lead = self._leads.get(lead_id)
        if lead is None:
            raise CrmError(404, "not_found", "There is no such lead.")
        if request.method == "DELETE":
            del self._leads[lead_id]
            return Answer(204)
        if request.method == "PUT":
            self._leads[lead_id] = {"id": lead_id, "status": lead["status"]} | _read_lead(
                request, is_whole=True
            )
        elif request.method == "PATCH":
            self._leads[lead_id] = lead | _read_lead(request, is_whole=False)
        return json_answer(self._leads[lead_id])

    def _order(self, request: Request, order_id: str) -> Answer:
        if request.method != "GET":
            raise _not_allowed("GET")
        order = self.orders.get(order_id)
        if order is None:
            raise CrmError(404, "not_found", "There is no such order.")
        return json_answer({"data": {"id": order_id} | order})

    def _flaky(self, request: Request) -> Answer:
        """`?fail=2&key=x`: the first two calls with that key answer 503, later ones 200."""
        query = request.query()
        fail, key = query.get("fail", "1"), query.get("key", "")
        if not (fail.isascii() and fail.isdigit() and len(fail) < 7):  # noqa: PLR2004 - under a million
            raise CrmError(400, "bad_query", "'fail' must be a whole number.")
        failed = self._failures.get(key, 0)
        if failed < int(fail):
            self._failures[key] = failed + 1
            raise CrmError(503, "unavailable", f"Failing on purpose, {failed + 1} of {fail}.")
        return json_answer({"ok": True, "failedBefore": failed})

    def reset(self) -> None:
        """Forget everything."""
        self.calls.clear()
        self.repeats = 0
        self.orders = dict(ORDERS)
        self._leads.clear()
        self._by_key.clear()
        self._failures.clear()


def _read_lead(request: Request, *, is_whole: bool) -> dict[str, Any]:
    try:
        wish = read_json(request.body)
    except BadJsonError as error:
        raise CrmError(400, "bad_json", str(error)) from None
    if not isinstance(wish, dict):
        raise CrmError(422, "invalid", "A lead is a JSON object.")
    wrong = dict.fromkeys(wish.keys() - LEAD_FIELDS.keys(), "unknown field")
    for name in wish.keys() & LEAD_FIELDS.keys():
        if not isinstance(wish[name], str) or not 1 <= len(wish[name]) <= LEAD_FIELDS[name]:
            wrong[name] = f"a text of 1 to {LEAD_FIELDS[name]} characters"
    if is_whole and "email" not in wish:
        wrong["email"] = "required"
    if isinstance(wish.get("email"), str) and not _EMAIL.fullmatch(wish["email"]):
        wrong["email"] = "no e-mail address"
    if wrong:
        raise CrmError(422, "invalid", "Some fields are not as they should be.", wrong)
    return wish


def _echo(request: Request) -> Answer:
    """What arrived, for tests of how a request is put together."""
    try:
        body = read_json(request.body) if request.body else None
    except BadJsonError:
        body = request.body.decode("utf-8", "replace")
    seen = {"method": request.method, "path": request.path, "query": request.query()}
    return json_answer(seen | {"headers": request.headers, "body": body})


def _not_allowed(methods: str) -> CrmError:
    return CrmError(405, "method_not_allowed", f"Here one may: {methods}.")
