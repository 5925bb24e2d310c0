"""Whether a bot can work with a number, found out step by step, each with a sentence for the bot's owner."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from common.gateways.answer_body import clean_text
from common.gateways.json_api import Unreachable
from common.gateways.whatsapp.findings import TITLES, Connection, Findings, StepState, words_of
from common.gateways.whatsapp.health import read_health
from common.gateways.whatsapp.management import GraphAccess, GraphRefused
from common.model.phone_numbers import normalise

SCOPES = ("whatsapp_business_messaging", "whatsapp_business_management")
WARN_BEFORE = timedelta(days=7)
OPTIONAL_FIELDS = (
    "quality_rating",
    "code_verification_status",
    "name_status",
    "platform_type",
    "throughput",
    "whatsapp_business_manager_messaging_limit",
)
BAD_PARAMETER, UNKNOWN_OBJECT = 100, 33
WRONG_APP_SECRET = frozenset({101, 190})
_LISTED_NUMBERS = 5


def validate(graph: GraphAccess, connection: Connection, now: datetime) -> Findings:
    """Look at everything a bot needs. Raises Unreachable where Graph gives no answer on something it needs."""
    found = Findings()
    checks: tuple[Callable[[], object], ...] = (
        lambda: _number(graph, connection, found),
        lambda: _details(graph, connection, found),
        lambda: _account(graph, connection, found),
        lambda: _token(graph, connection, found, now),
        lambda: _app_secret(graph, connection, found),
        lambda: _health(graph, connection, found),
    )
    for check in checks:
        check()
        if any(step.name == "number" and step.state is StepState.FAILED for step in found.steps):
            break  # every other question would get the same refusal
    seen = {step.name for step in found.steps}
    for name in TITLES:
        if name not in seen and name != "subscription":
            found.add(name, StepState.SKIPPED, "Not looked at: the phone number must be right first.")
    return found


def _number(graph: GraphAccess, connection: Connection, found: Findings) -> None:
    try:
        number = graph.number(
            connection.phone_number_id, "id", "display_phone_number", "verified_name", "status"
        )
    except GraphRefused as refused:
        found.add("number", StepState.FAILED, _why_unreadable(refused), refused.words)
        return
    shown = _text(number.get("display_phone_number"))
    digits = normalise(shown) if shown else None
    if number.get("id") != connection.phone_number_id or digits is None:
        found.add("number", StepState.FAILED, "WhatsApp's answer about this number cannot be used.")
        return
    found.phone_number = digits
    found.details = {"displayPhoneNumber": shown, "verifiedName": _text(number.get("verified_name"))}
    found.add("number", StepState.OK, f"The number is {shown}.")
    status = _text(number.get("status")) or "UNKNOWN"
    found.details["numberStatus"] = status
    if status == "CONNECTED":
        found.add("status", StepState.OK, "The number is connected to the WhatsApp Cloud API.")
    else:
        sentence = f"The number is {status}: only a number that is CONNECTED can send. Register it in WhatsApp Manager."
        found.add("status", StepState.FAILED, sentence)


def _why_unreadable(refused: GraphRefused) -> str:
    if refused.is_bad_token:
        return "WhatsApp does not accept the access token."
    if refused.is_forbidden:
        return "The access token does not have the permission to read this number."
    if refused.code == BAD_PARAMETER and refused.subcode == UNKNOWN_OBJECT:
        return "WhatsApp knows no phone number with this id, or the access token may not see it."
    if refused.code == BAD_PARAMETER:
        return "This id is not that of a phone number; perhaps it is the business account's."
    return "WhatsApp refuses to show this number."


def _details(graph: GraphAccess, connection: Connection, found: Findings) -> None:
    """Asked for apart: a field that this version of Graph does not know must not spoil the rest."""
    try:
        number = graph.number(connection.phone_number_id, *OPTIONAL_FIELDS)
    except (GraphRefused, Unreachable) as error:
        found.add(
            "details", StepState.WARNING, "Quality and limits of the number cannot be shown.", words_of(error)
        )
        return
    throughput = number.get("throughput")
    found.details |= {
        "qualityRating": _text(number.get("quality_rating")),
        "codeVerificationStatus": _text(number.get("code_verification_status")),
        "nameStatus": _text(number.get("name_status")),
        "platformType": _text(number.get("platform_type")),
        "throughput": _text(throughput.get("level")) if isinstance(throughput, dict) else None,
        "messagingLimit": _text(number.get("whatsapp_business_manager_messaging_limit")),
    }
    rating = found.details["qualityRating"]
    if rating == "RED":
        found.add("details", StepState.WARNING, "The quality rating is RED: WhatsApp may limit this number.")
    else:
        found.add("details", StepState.OK, f"The quality rating is {rating or 'not known yet'}.")


def _account(graph: GraphAccess, connection: Connection, found: Findings) -> None:
    others: list[str] = []
    try:
        for row in graph.numbers_of(connection.business_account_id):
            if row.get("id") == connection.phone_number_id:
                found.add("account", StepState.OK, "The number belongs to the business account.")
                return
            others.append(
                f"{_text(row.get('display_phone_number')) or '?'} (id {_text(row.get('id')) or '?'})"
            )
    except GraphRefused as refused:
        sentence = (
            f"The access token does not have the permission {SCOPES[1]}."
            if refused.is_forbidden
            else "WhatsApp knows no business account with this id, or the access token may not see it."
        )
        found.add("account", StepState.FAILED, sentence, refused.words)
        return
    listed = ", ".join(others[:_LISTED_NUMBERS]) or "none"
    detail = f"Its numbers: {listed}{' …' if len(others) > _LISTED_NUMBERS else ''}."
    found.add("account", StepState.FAILED, "The number does not belong to this business account.", detail)


def _token(graph: GraphAccess, connection: Connection, found: Findings, now: datetime) -> None:
    try:
        data = _inspect(graph, connection)
    except GraphRefused as refused:
        if refused.is_bad_token:
            found.add("token", StepState.FAILED, "WhatsApp does not accept the access token.", refused.words)
        else:
            sentence = "The access token works, but WhatsApp does not say what it may do and when it ends."
            found.add("token", StepState.WARNING, sentence, refused.words)
        return
    app_id = data.get("app_id")
    found.app_id = str(app_id) if isinstance(app_id, str | int) and not isinstance(app_id, bool) else None
    if data.get("is_valid") is not True:
        found.add("token", StepState.FAILED, "WhatsApp says that the access token is not valid (any more).")
        return
    if (lack := _lacking(data, connection.business_account_id)) is not None:
        found.add("token", StepState.FAILED, lack)
        return
    ends_at = min((at for key in ("expires_at", "data_access_expires_at") if (at := _moment(data.get(key)))),
                  default=None)  # fmt: skip
    if ends_at is not None and ends_at - now <= WARN_BEFORE:
        sentence = (
            f"The access token ends on {ends_at:%d %B %Y, %H:%M} UTC; the bot falls silent then. "
            "Use a token of a system user: it does not end."
        )
        found.add("token", StepState.WARNING, sentence)
        return
    until = f"until {ends_at:%d %B %Y}" if ends_at else "and does not end"
    found.add("token", StepState.OK, f"The access token may send and manage {until}.")


def _inspect(graph: GraphAccess, connection: Connection) -> dict[str, Any]:
    """By the app where it is known, as Graph prefers it; a wrong secret is the next step's finding."""
    if connection.app_id and connection.app_secret:
        try:
            return graph.inspect(connection.access_token, as_app=(connection.app_id, connection.app_secret))
        except GraphRefused:
            pass
    return graph.inspect(connection.access_token)


def _lacking(data: dict[str, Any], business_account_id: str) -> str | None:
    scopes = data.get("scopes")
    missing = [scope for scope in SCOPES if not isinstance(scopes, list) or scope not in scopes]
    if missing:
        return f"The access token does not have the permission {' and '.join(missing)}."
    granular = data.get("granular_scopes")
    for entry in granular if isinstance(granular, list) else []:
        if not isinstance(entry, dict) or entry.get("scope") not in SCOPES:
            continue
        targets = entry.get("target_ids")  # without the list it holds for every account
        if isinstance(targets, list) and business_account_id not in [str(target) for target in targets]:
            return f"The access token has {entry['scope']} for other business accounts, but not for this one."
    return None


def _app_secret(graph: GraphAccess, connection: Connection, found: Findings) -> None:
    """The secret signs webhooks and can only be tested by speaking as the app."""
    own = connection.app_secret
    app_id = connection.app_id or found.app_id
    bad = StepState.FAILED if own else StepState.WARNING
    if connection.app_id and found.app_id and connection.app_id != found.app_id:
        sentence = f"The access token was made by the app {found.app_id}, not by {connection.app_id}."
        found.add("app_secret", bad, sentence)
        return
    if app_id is None or not app_id.isdigit():
        sentence = "The app secret cannot be tested without the app's id."
        found.add("app_secret", StepState.WARNING, sentence)
        return
    try:
        graph.inspect(connection.access_token, as_app=(app_id, own or connection.installation_secret))
    except GraphRefused as refused:
        if refused.code not in WRONG_APP_SECRET:
            sentence = "WhatsApp does not let the app secret be tested."
            found.add("app_secret", StepState.WARNING, sentence, refused.words)
        elif own:
            found.add("app_secret", bad, f"This is not the secret of the app {app_id}.", refused.words)
        else:
            sentence = (
                f"The token's app {app_id} is not the one that this installation is set up for: what customers write "
                "will be refused. Enter the secret of your app."
            )
            found.add("app_secret", bad, sentence, refused.words)
    except Unreachable as error:
        found.add(
            "app_secret", StepState.WARNING, "The app secret could not be tested just now.", words_of(error)
        )
    else:
        found.add("app_secret", StepState.OK, f"The app secret fits the app {app_id}.")


def _health(graph: GraphAccess, connection: Connection, found: Findings) -> None:
    try:
        found.health = read_health(graph.health(connection.phone_number_id))
    except (GraphRefused, Unreachable) as error:
        found.add(
            "health", StepState.WARNING, "WhatsApp does not say whether the number may send.", words_of(error)
        )
        return
    state = StepState.OK if found.health.is_fine else StepState.WARNING
    found.add("health", state, found.health.sentence, found.health.first_problem)


def _text(value: object) -> str | None:
    """A short text of Graph's, or None."""
    return clean_text(value[:200]) if isinstance(value, str) and value else None


def _moment(value: object) -> datetime | None:
    """Unix seconds; 0 and what is no time at all mean never."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 2**33:
        return None
    return datetime.fromtimestamp(value, UTC)
