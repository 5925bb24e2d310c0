"""The remote control below /_control/: what was received, what people do, what goes wrong, what time it is."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import unquote

from scripts.peers.control_accounts import AccountsControl
from scripts.peers.control_people import PeopleControl
from scripts.peers.control_read import ControlError, number_of, object_of, seconds_of, text_of
from scripts.peers.crm import Crm
from scripts.peers.faults import FaultError, Faults
from scripts.peers.inbound import SayError
from scripts.peers.json_text import BadJsonError, json_answer
from scripts.peers.numbers import Number
from scripts.peers.openai import OpenAI
from scripts.peers.openai_script import ScriptError
from scripts.peers.statuses import NAMES
from scripts.peers.whatsapp import WhatsApp
from scripts.peers.wire import Answer, Outcome, Request

MAX_WAIT_SECONDS = 60.0
TARGET_FIELDS = {"retry_base_seconds", "retry_max_seconds", "timeout_seconds"}

Reply = dict[str, Any] | Coroutine[Any, Any, Outcome]


class Control:
    """One method per address; every refusal is a 400 or 404 with `{"error": {"message"}}`."""

    def __init__(self, whatsapp: WhatsApp, openai: OpenAI, crm: Crm, faults: Faults) -> None:
        self._whatsapp = whatsapp
        self._openai = openai
        self._crm = crm
        self._faults = faults
        self.broken = 0
        people = PeopleControl(whatsapp)
        accounts = AccountsControl(whatsapp, openai)
        # method, kind, what follows the name of the single one
        self._single: dict[tuple[str, ...], Callable[[str, Request], Reply]] = {
            ("PATCH", "numbers"): accounts.change_number,
            ("PUT", "apps"): accounts.add_app,
            ("PUT", "phones"): people.describe,
            ("POST", "phones", "say"): people.say,
            ("POST", "phones", "wrote"): people.wrote,
        }
        self._fixed: dict[tuple[str, str], Callable[[Request], Reply]] = {
            ("GET", "state"): self._state,
            ("POST", "reset"): self._reset,
            ("GET", "sent"): self._sent,
            ("DELETE", "sent"): self._forget_sent,
            ("GET", "reads"): lambda _: {"reads": list(whatsapp.reads)},
            ("GET", "refused"): lambda _: {
                "count": whatsapp.refused_count,
                "refused": list(whatsapp.refused),
            },
            ("GET", "webhooks"): self._webhooks,
            ("POST", "webhook"): self._aim,
            ("GET", "faults"): lambda _: {"faults": [fault.as_dict() for fault in faults.rules]},
            ("POST", "faults"): lambda request: faults.add(object_of(request)).as_dict(),
            ("DELETE", "faults"): self._forgive,
            ("GET", "clock"): lambda _: {"now": whatsapp.clock.now()},
            ("POST", "clock"): self._clock,
            ("GET", "rules"): lambda _: whatsapp.limits.rules.as_dict(),
            ("PATCH", "rules"): self._rules,
            ("GET", "statuses"): lambda _: {"delays": dict(whatsapp.statuses.delays)},
            ("PUT", "statuses"): self._statuses,
            ("GET", "numbers"): self._numbers,
            ("POST", "numbers"): self._add_number,
            ("PUT", "tokens"): accounts.describe_token,
            ("GET", "subscriptions"): accounts.subscriptions,
            ("POST", "openai/keys"): accounts.add_key,
            ("DELETE", "openai/keys"): accounts.remove_keys,
            ("GET", "phones"): people.everybody,
            ("GET", "openai/calls"): lambda request: _calls(
                openai.calls.find(number_of(request.query(), "after"))
            ),
            ("GET", "openai/script"): lambda _: openai.script.as_dict(),
            ("PUT", "openai/script"): self._script,
            ("GET", "crm/calls"): lambda request: (
                _calls(crm.calls.find(number_of(request.query(), "after"))) | {"repeats": crm.repeats}
            ),
        }

    def handle(self, request: Request) -> Outcome | Coroutine[Any, Any, Outcome]:
        """Answer one request."""
        try:
            reply = self._route(request)
        except ControlError as error:
            return json_answer({"error": {"message": str(error)}}, error.status)
        except (BadJsonError, FaultError, SayError, ScriptError, ValueError) as error:
            return json_answer({"error": {"message": str(error)}}, 400)
        return reply if isinstance(reply, Coroutine) else json_answer(reply)

    def _route(self, request: Request) -> Reply:
        place = request.path.removeprefix("/_control/").strip("/")
        fixed = self._fixed.get((request.method, place))
        if fixed is not None:
            return fixed(request)
        match request.method, [unquote(part) for part in place.split("/")]:
            case "DELETE", ["faults", fault_id]:
                if not self._faults.remove(fault_id):
                    raise ControlError("There is no such fault.", 404)
                return {}
            case method, [kind, name, *rest] if (method, kind, *rest) in self._single:
                return self._single[method, kind, *rest](name, request)
            case "PUT", ["crm", "orders", order_id]:
                self._crm.orders[order_id] = object_of(request)
                return {"id": order_id} | self._crm.orders[order_id]
        raise ControlError(f"The control knows no {request.method} /_control/{place[:100]}.", 404)

    def _state(self, _: Request) -> Reply:
        whatsapp = self._whatsapp
        return {
            "sent": len(whatsapp.sent),
            "next_seq": whatsapp.sent.next_seq,
            "refused": whatsapp.refused_count,
            "webhooks_pending": whatsapp.webhooks.pending,
            "statuses_waiting": whatsapp.statuses.waiting,
            "webhook_url": whatsapp.webhooks.target.url,
            "openai_calls": self._openai.calls.count,
            "crm_calls": self._crm.calls.count,
            "faults": len(self._faults.rules),
            "broken": self.broken,
        }

    def _reset(self, _: Request) -> Reply:
        self._faults.rules.clear()
        self._whatsapp.reset()
        self._openai.reset()
        self._crm.reset()
        return {}

    def _sent(self, request: Request) -> Reply:
        query = request.query()
        wait = min(seconds_of(query, "wait"), MAX_WAIT_SECONDS)
        since, after = seconds_of(query, "since"), number_of(query, "after")
        person = query.get("to")
        to = None if person is None else self._whatsapp.people.aliases(person.strip().removeprefix("+"))
        number_id = query.get("phone_number_id")
        return self._find_sent(wait, to, number_id, since, after)

    async def _find_sent(
        self, wait: float, to: frozenset[str] | None, number_id: str | None, since: float, after: int
    ) -> Outcome:
        log = self._whatsapp.sent
        after = min(after, log.next_seq - 1)  # a reader that outlived a restart starts afresh
        found = await log.wait(wait, to=to, number_id=number_id, since=since, after=after)
        last_seq = found[-1].seq if found else log.next_seq - 1
        return json_answer({"messages": [record.as_dict() for record in found], "next": last_seq})

    def _forget_sent(self, _: Request) -> Reply:
        self._whatsapp.sent.clear()
        return {}

    def _webhooks(self, request: Request) -> Reply:
        query = request.query()
        kind = query.get("kind")
        recent = [
            item.as_dict() for item in self._whatsapp.webhooks.recent if kind is None or item.kind == kind
        ]
        return {"pending": self._whatsapp.webhooks.pending, "deliveries": recent}

    def _aim(self, request: Request) -> Reply:
        wish, target = object_of(request), self._whatsapp.webhooks.target
        if wish.keys() - {"url", "app_secret", *TARGET_FIELDS}:
            raise ControlError(f"A webhook has: url, app_secret, {', '.join(sorted(TARGET_FIELDS))}.")
        spans = {name: seconds_of(wish, name) for name in TARGET_FIELDS & wish.keys()}
        url, secret = text_of(wish, "url"), text_of(wish, "app_secret")
        if "url" in wish:
            target.url = url
        if secret is not None:
            target.app_secret = secret
        for name, span in spans.items():
            setattr(target, name, span)
        return {"url": target.url} | {name: getattr(target, name) for name in sorted(TARGET_FIELDS)}

    def _forgive(self, _: Request) -> Reply:
        self._faults.rules.clear()
        return {}

    def _clock(self, request: Request) -> Reply:
        wish, clock = object_of(request), self._whatsapp.clock
        if len(wish) != 1 or not wish.keys() <= {"advance_seconds", "now"}:
            raise ControlError("Give 'advance_seconds' or 'now' (Unix seconds).")
        name, value = next(iter(wish.items()))
        if not isinstance(value, int | float) or isinstance(value, bool) or abs(value) > 1e11:  # noqa: PLR2004 - some thousand years
            raise ControlError(f"'{name}' must be a number of seconds.")
        clock.advance(value) if name == "advance_seconds" else clock.set(value)
        return {"now": clock.now()}

    def _rules(self, request: Request) -> Reply:
        rules = self._whatsapp.limits.rules
        rules.change(object_of(request))
        self._whatsapp.limits.clear()
        return rules.as_dict()

    def _statuses(self, request: Request) -> Reply:
        wish = object_of(request)
        if wish.keys() - set(NAMES):
            raise ControlError(f"Statuses are: {', '.join(NAMES)}.")
        delays = {name: seconds_of(wish, name) for name in wish if wish[name] is not None}
        self._whatsapp.statuses.delays = delays
        return {"delays": delays}

    def _numbers(self, _: Request) -> Reply:
        rows = self._whatsapp.numbers.all()
        names = (
            "phone_number_id",
            "waba_id",
            "display_phone_number",
            "verified_name",
            "status",
            "quality_rating",
        )
        return {"numbers": [{name: getattr(row, name) for name in names} for row in rows]}

    def _add_number(self, request: Request) -> Reply:
        wish = object_of(request)
        allowed = set(Number.__dataclass_fields__)
        if wish.keys() - allowed or not {"phone_number_id", "waba_id", "access_token"} <= wish.keys():
            raise ControlError(
                f"A number has: {', '.join(Number.__dataclass_fields__)}; the first three are needed."
            )
        fields = {name: text_of(wish, name) for name in wish}
        if not all(fields.values()):
            raise ControlError("The fields of a number are texts that are not empty.")
        self._whatsapp.numbers.add(Number(**fields))  # type: ignore[arg-type]  # checked: no value is None
        return {"phone_number_id": fields["phone_number_id"]}

    def _script(self, request: Request) -> Reply:
        self._openai.script.change(object_of(request))
        return self._openai.script.as_dict()


def _calls(found: list[dict[str, Any]]) -> dict[str, Any]:
    return {"calls": found}


def broken_answer() -> Answer:
    """What a client gets when a peer itself has a bug; the traceback goes to our standard error."""
    return json_answer({"error": {"message": "The local peer has a bug; see its output."}}, 500)
