"""A bot's WhatsApp account: connect it, check it, have its webhooks delivered, disconnect it."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from typing import Any

from flask import request

from api.rest.access import Access
from api.rest.call import Call, conflict, not_found
from api.rest.routes import Routes
from api.schemas.whatsapp import (
    WhatsAppAccountView,
    WhatsAppCheckView,
    WhatsAppConnection,
    WhatsAppHealthView,
    WhatsAppStepView,
    WhatsAppWebhookView,
)
from api.stored_secrets import GivenSecret, read_given, read_stored, shown
from api.timed_cache import TimedCache
from common.clock import utc_now
from common.errors import AppError, ErrorCode
from common.gateways.json_api import Unreachable
from common.gateways.whatsapp.error_table import action_for
from common.gateways.whatsapp.findings import Connection, Findings
from common.gateways.whatsapp.health import BLOCKED, UNKNOWN, read_health
from common.gateways.whatsapp.management import (
    MAX_CALLBACK,
    Callback,
    GraphAccess,
    GraphManagement,
    GraphRefused,
)
from common.gateways.whatsapp.subscription import check_subscription, subscribe, subscription_step
from common.gateways.whatsapp.validation import validate
from common.model.encrypted_fields import ACCESS_TOKEN, APP_SECRET
from common.store.database import Document
from common.store.whatsapp_accounts import AccountChanged, NumberTaken

routes = Routes("whatsapp", "/api/bots/<bot_id>/whatsapp", "A bot's WhatsApp account: one number each.")

WEBHOOK_PATH = "/api/webhook/whatsapp"
_WHAT = "WhatsApp connection"
_HEALTH: TimedCache[Document] = TimedCache(seconds=60, most=500)
_INSTRUCTIONS = (
    ("Open your app", "In Meta's App Dashboard, open the app that the access token belongs to, then WhatsApp > Configuration."),
    ("Enter the webhook", "Edit the webhook: paste the callback URL and the verify token, then save. Meta asks this installation at once."),
    ("Subscribe to messages", "Under webhook fields, subscribe to messages. Statuses come with them."),
    ("Set the app live", "Switch the app to live mode: in development mode Meta leaves out some webhooks."),
)  # fmt: skip


@routes.get("", access=Access.READER, answer=WhatsAppAccountView)
def get_whatsapp(call: Call) -> Document:
    """Show the connection.

    Secrets are masked; 200 with `status` NOT_CONNECTED where the bot has no number.
    """
    return _view(call, call.store.whatsapp_accounts.find(call.bot_id))


@routes.put("", access=Access.OWNER, body=WhatsAppConnection, answer=WhatsAppAccountView)
def connect_whatsapp(call: Call) -> Document:
    """Connect the bot to a number, or change the connection.

    Everything is looked at with WhatsApp first. Where a step that the bot needs fails, nothing is stored: 422
    `whatsapp_refused` with all `steps`; 503 `whatsapp_unreachable` where WhatsApp gives no answer. 409 where another
    bot is connected to the number. Then the app is subscribed to the account's webhooks, a bot whose sending was
    stopped sends again, and everything is followed within a second (a new app secret within two).

    With another number, what was not sent yet goes out from the new one to those who have written to it, and fails
    with `number_changed` for all others: WhatsApp lets a number answer only those who wrote to it.
    """
    body, store = call.body, call.store.whatsapp_accounts
    stored = store.find(call.bot_id)
    token = read_given(call, ACCESS_TOKEN, body["access_token"], stored)
    secret = read_given(call, APP_SECRET, body["app_secret"], stored) if body["app_secret"] else None
    connection = Connection(
        phone_number_id=body["phone_number_id"],
        business_account_id=body["business_account_id"],
        access_token=token.plain,
        installation_secret=call.settings.meta_app_secret,
        app_id=body["app_id"],
        app_secret=secret.plain if secret else None,
    )
    graph = _graph(call, connection)
    found = _validate(graph, connection)
    if not found.is_good:
        raise _refused("WhatsApp does not let the bot work with this. Nothing was stored.", found)
    account_id = stored["_id"] if stored else call.new_id
    account = _save(
        call, stored, account_id, {**_fields(connection, found), **_seal(call, account_id, token, secret)}
    )
    call.store.wake_stopped(call.bot_id)
    found.steps.append(subscription_step(graph, connection.business_account_id, _callback(call)))
    seen = _seen(found)
    call.store.whatsapp_accounts.checked(call.bot_id, account_id, account["revision"], seen)
    old_number = stored["phoneNumberId"] if stored else connection.phone_number_id
    call.web.numbers.forget(old_number, connection.phone_number_id)
    detail = {
        "phoneNumberId": connection.phone_number_id,
        "businessAccountId": connection.business_account_id,
        "isOtherNumber": old_number != connection.phone_number_id,
        "isNewToken": not token.is_kept,
        "hasAppSecret": secret is not None,
    }
    call.audit("whatsapp.connected", target_type="whatsapp_account", target_id=account_id, detail=detail)
    return _view(call, {**account, **seen})


@routes.delete("", access=Access.OWNER)
def disconnect_whatsapp(call: Call) -> None:
    """Disconnect the bot from its number and forget the credentials.

    Messages that are not sent yet stay queued: they go out, in order, once the bot is connected to the same number
    again and WhatsApp still allows it. Conversations stay where they are. What customers write meanwhile is kept as
    unrouted (after two seconds at most). WhatsApp's webhooks stay subscribed: other numbers of the account may use
    them.
    """
    account = call.store.whatsapp_accounts.disconnect(call.bot_id)
    if account is None:
        raise not_found(_WHAT)
    call.web.numbers.forget(account["phoneNumberId"])
    detail = {"phoneNumberId": account["phoneNumberId"]}
    call.audit(
        "whatsapp.disconnected", target_type="whatsapp_account", target_id=account["_id"], detail=detail
    )


@routes.post("/check", access=Access.OWNER, answer=WhatsAppCheckView)
def check_whatsapp(call: Call) -> Document:
    """Look at everything again with the stored credentials.

    Where all is well with a bot whose sending was stopped, it sends again.
    """
    account, connection = _stored(call)
    graph = _graph(call, connection)
    found = _validate(graph, connection)
    if found.is_good:
        check_subscription(graph, connection, found)
    seen = _seen(found)
    call.store.whatsapp_accounts.checked(call.bot_id, account["_id"], account.get("revision"), seen)
    sends_again = found.is_good and account.get("stoppedFor") is not None
    if sends_again:
        call.store.resume_sending(call.bot_id)
    detail = {"isGood": found.is_good, "sendsAgain": sends_again}
    call.audit("whatsapp.checked", target_type="whatsapp_account", target_id=account["_id"], detail=detail)
    last_check: Document = seen["lastCheck"]
    return last_check


@routes.get("/health", access=Access.OWNER, answer=WhatsAppHealthView)
def get_whatsapp_health(call: Call) -> Document:
    """Ask WhatsApp whether the number may send.

    An answer is kept for a minute.
    """
    account, connection = _stored(call)

    def ask() -> Document:
        try:
            health = read_health(_graph(call, connection).health(connection.phone_number_id)).as_document()
        except GraphRefused as refused:
            state = BLOCKED if refused.is_bad_token or refused.is_forbidden else UNKNOWN
            sentence = f"WhatsApp refuses to say: {refused.words}"
            health = {"canSendMessage": state, "sentence": sentence, "entities": []}
        except Unreachable as error:
            raise _unreachable(error) from None
        return {**health, "checkedAt": utc_now()}

    return _HEALTH.get((account["_id"], account.get("revision"), account["accessToken"]), ask)


@routes.post("/subscribe", access=Access.OWNER, answer=WhatsAppStepView)
def subscribe_whatsapp(call: Call) -> Document:
    """Have the account's webhooks delivered.

    With PUBLIC_URL set they are delivered to this installation, else to the callback URL that stands in Meta's
    console. It holds for every number of the business account.
    """
    account, connection = _stored(call)
    try:
        step = subscribe(_graph(call, connection), connection.business_account_id, _callback(call))
    except GraphRefused as refused:
        raise _refused(f"WhatsApp does not subscribe the app: {refused.words}") from None
    except Unreachable as error:
        raise _unreachable(error) from None
    call.audit("whatsapp.subscribed", target_type="whatsapp_account", target_id=account["_id"])
    return step.as_document()


@routes.delete("/subscribe", access=Access.OWNER)
def unsubscribe_whatsapp(call: Call) -> None:
    """Have the account's webhooks delivered no more.

    It holds for every number of the business account.
    """
    account, connection = _stored(call)
    try:
        _graph(call, connection).unsubscribe(connection.business_account_id)
    except GraphRefused as refused:
        raise _refused(f"WhatsApp does not unsubscribe the app: {refused.words}") from None
    except Unreachable as error:
        raise _unreachable(error) from None
    call.audit("whatsapp.unsubscribed", target_type="whatsapp_account", target_id=account["_id"])


@routes.get("/webhook", access=Access.OWNER, answer=WhatsAppWebhookView)
def get_whatsapp_webhook(call: Call) -> Document:
    """Show what to enter in Meta's console.

    Needed where the app is not subscribed with an address of its own, that is, without PUBLIC_URL.
    """
    public = call.settings.public_url.rstrip("/")
    return {
        "callbackUrl": f"{public or request.host_url.rstrip('/')}{WEBHOOK_PATH}",
        "verifyToken": call.settings.webhook_verify_token,
        "isPublic": bool(public),
        "fields": ["messages"],
        "instructions": [{"title": title, "text": text} for title, text in _INSTRUCTIONS],
    }


@cache
def _management(base_url: str, version: str, timeout_seconds: float) -> GraphManagement:
    return GraphManagement(base_url, version, timeout_seconds=timeout_seconds)


def _graph(call: Call, connection: Connection) -> GraphAccess:
    settings = call.settings
    management = _management(settings.graph_base_url, settings.graph_version, settings.graph_timeout_seconds)
    others = (connection.app_secret or "", settings.meta_app_secret, settings.webhook_verify_token)
    return management.as_holder_of(connection.access_token, *others)


def _validate(graph: GraphAccess, connection: Connection) -> Findings:
    try:
        return validate(graph, connection, utc_now())
    except Unreachable as error:
        raise _unreachable(error) from None


def _stored(call: Call) -> tuple[Document, Connection]:
    """The account and its credentials. Raises AppError 404 without one, 409 where they cannot be decrypted."""
    account = call.store.whatsapp_accounts.find(call.bot_id)
    if account is None:
        raise not_found(_WHAT)
    token, secret = read_stored(call, ACCESS_TOKEN, account), read_stored(call, APP_SECRET, account)
    if token is None or (secret is None and account.get("appSecret")):
        raise AppError(
            ErrorCode.WHATSAPP_REFUSED,
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "The stored credentials cannot be decrypted any more. Enter them again.",
        )
    return account, Connection(
        phone_number_id=account["phoneNumberId"],
        business_account_id=account["businessAccountId"],
        access_token=token,
        installation_secret=call.settings.meta_app_secret,
        app_id=account.get("appId"),
        app_secret=secret,
    )


def _callback(call: Call) -> Callback | None:
    uri = f"{call.settings.public_url.rstrip('/')}{WEBHOOK_PATH}"
    if not call.settings.public_url or len(uri) > MAX_CALLBACK:
        return None
    return Callback(uri, call.settings.webhook_verify_token)


def _fields(connection: Connection, found: Findings) -> dict[str, Any]:
    return {
        "phoneNumberId": connection.phone_number_id,
        "phoneNumber": found.phone_number,
        "businessAccountId": connection.business_account_id,
        "appId": connection.app_id,
        **_seen(found),
    }


def _seal(
    call: Call, account_id: str, token: GivenSecret, secret: GivenSecret | None
) -> dict[str, str | None]:
    """The ciphertexts to store. One that is kept stays as it is, also where its key is rotated just now."""
    sealed: dict[str, str | None] = {} if secret else {APP_SECRET.name: None}
    for field, given in ((ACCESS_TOKEN, token), (APP_SECRET, secret)):
        if given is not None and not given.is_kept:
            sealed[field.name] = call.web.keys.encrypt(given.plain, field.context(account_id))
    return sealed


def _seen(found: Findings) -> dict[str, Any]:
    """What a look at WhatsApp found, as it is stored."""
    now = utc_now()
    seen: dict[str, Any] = {
        "lastCheck": {
            "isGood": found.is_good,
            "at": now,
            "steps": [step.as_document() for step in found.steps],
        }
    }
    if found.details:
        seen["details"] = found.details
    if found.health is not None:
        seen["health"] = {**found.health.as_document(), "checkedAt": now}
    return seen


def _save(call: Call, stored: Document | None, account_id: str, fields: dict[str, Any]) -> Document:
    revision = stored.get("revision") if stored else None
    try:
        return call.store.whatsapp_accounts.save(
            call.bot_id, account_id, revision, fields, is_new=stored is None
        )
    except NumberTaken:
        raise conflict(
            ErrorCode.ALREADY_EXISTS, "This number is connected to a bot already. Disconnect it there first."
        ) from None
    except AccountChanged:
        raise conflict(
            ErrorCode.CONFLICT,
            "The connection was changed by somebody else at the same time. Look at it again.",
        ) from None


def _refused(message: str, found: Findings | None = None) -> AppError:
    fields = {"steps": [step.as_document() for step in found.steps]} if found else {}
    return AppError(ErrorCode.WHATSAPP_REFUSED, HTTPStatus.UNPROCESSABLE_ENTITY, message, fields)


def _unreachable(error: Unreachable) -> AppError:
    message = f"WhatsApp gives no usable answer just now, so nothing was changed. Try again. ({error})"
    return AppError(ErrorCode.WHATSAPP_UNREACHABLE, HTTPStatus.SERVICE_UNAVAILABLE, message)


def _view(call: Call, account: Document | None) -> Document:
    if account is None:
        return {"status": "NOT_CONNECTED", "sentence": "The bot is not connected to a WhatsApp number."}
    masked = {
        ACCESS_TOKEN.name: shown(call, ACCESS_TOKEN, account),
        APP_SECRET.name: shown(call, APP_SECRET, account),
    }
    stopped_for = account.get("stoppedFor")
    return {
        **account,
        **masked,
        "status": "STOPPED" if stopped_for else "CONNECTED",
        "sentence": _stop_sentence(stopped_for) if stopped_for else "The bot is connected.",
    }


def _stop_sentence(stopped_for: str) -> str:
    code = stopped_for.partition(":")[0]
    waits = "What the bot wants to say waits until then."
    if code.isdigit() and not action_for(int(code)).name.endswith("AUTH"):
        return f"WhatsApp has stopped this number. Settle it in WhatsApp Manager, then check the connection. {waits}"
    return f"Reconnect WhatsApp: it does not accept the access token any more. {waits}"
