"""A user's OpenAI account: one key for all their bots, and the models that it opens."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus

from api.rest.access import Access
from api.rest.call import Call, conflict
from api.rest.routes import Routes
from api.schemas.openai import OpenAIAccountView, OpenAIKey, OpenAIModelsView
from api.stored_secrets import read_given, read_stored, shown
from api.timed_cache import TimedCache
from common.errors import AppError, ErrorCode
from common.gateways.json_api import Unreachable
from common.gateways.openai_account import OpenAIAccess, OpenAIRefused
from common.model.encrypted_fields import OPENAI_KEY
from common.settings import Settings
from common.store.database import Document
from common.store.whatsapp_accounts import AccountChanged

routes = Routes("openai", "/api/openai-account", "Your OpenAI account: one key for all your bots.")

_NO_ANSWER = "OpenAI gives no usable answer just now"
_MODELS: TimedCache[list[str]] = TimedCache(seconds=600, most=500)


@routes.get("", access=Access.USER, answer=OpenAIAccountView)
def get_openai_account(call: Call) -> Document:
    """Show your OpenAI account.

    The key is masked; 200 with `hasKey` false where there is none.
    """
    return _view(call, call.store.openai_accounts.find(call.user_id))


@routes.put("", access=Access.USER, body=OpenAIKey, answer=OpenAIAccountView)
def save_openai_key(call: Call) -> Document:
    """Save your OpenAI key, once OpenAI has accepted it.

    422 `openai_refused` with OpenAI's words where it does not, 503 `openai_unreachable` where it gives no answer;
    nothing is stored then. All your bots use it within a second.
    """
    store = call.store.openai_accounts
    stored = store.find(call.user_id)
    given = read_given(call, OPENAI_KEY, call.body["api_key"], stored)
    try:
        _openai(call.settings).check(given.plain, _first_model(call.settings))
    except OpenAIRefused as refused:
        message = f"OpenAI does not accept the key. It says: {refused}"
        raise AppError(ErrorCode.OPENAI_REFUSED, HTTPStatus.UNPROCESSABLE_ENTITY, message) from None
    except Unreachable as error:
        message = f"{_NO_ANSWER}, so nothing was changed. Try again. ({error})"
        raise AppError(ErrorCode.OPENAI_UNREACHABLE, HTTPStatus.SERVICE_UNAVAILABLE, message) from None
    account_id = stored["_id"] if stored else call.new_id
    if given.is_kept and stored is not None:
        account = store.checked(call.user_id, account_id, stored[OPENAI_KEY.name])
        return _view(call, account or store.find(call.user_id))
    sealed = call.web.keys.encrypt(given.plain, OPENAI_KEY.context(account_id))
    try:
        account = store.save(call.user_id, account_id, sealed, is_new=stored is None)
    except AccountChanged:
        raise conflict(
            ErrorCode.CONFLICT, "The key was changed at the same time. Look at it again."
        ) from None
    call.audit("openai.saved", target_type="openai_account", target_id=account_id)
    return _view(call, account)


@routes.delete("", access=Access.USER)
def delete_openai_key(call: Call) -> None:
    """Forget your OpenAI key.

    AI nodes of your bots take their failure path from now on. 204 also where there was none.
    """
    account_id = call.store.openai_accounts.delete(call.user_id)
    if account_id is not None:
        call.audit("openai.deleted", target_type="openai_account", target_id=account_id)


@routes.get("/models", access=Access.USER, answer=OpenAIModelsView)
def list_openai_models(call: Call) -> Document:
    """List the models for AI nodes.

    This installation's own first, then those that OpenAI says your key opens (asked again after ten minutes).
    """
    stored = call.store.openai_accounts.find(call.user_id)
    key = read_stored(call, OPENAI_KEY, stored)
    offered = list(call.settings.openai_models)
    live: list[str] = []
    sentence: str | None = None
    if key is None or stored is None:
        sentence = "Save your OpenAI key to see which models it opens."
    else:
        try:
            live = _MODELS.get(
                (stored["_id"], stored[OPENAI_KEY.name]),
                lambda: _openai(call.settings).check(key, _first_model(call.settings)),
            )
        except OpenAIRefused as refused:
            sentence = f"OpenAI does not accept the stored key any more. It says: {refused}"
        except Unreachable:
            sentence = f"{_NO_ANSWER}; these are the models that this installation offers."
    more = [name for name in live if name not in offered]
    return {
        "models": [
            *({"name": name, "source": "SETTINGS"} for name in offered),
            *({"name": name, "source": "ACCOUNT"} for name in more),
        ],
        "isLive": bool(live),
        "sentence": sentence,
    }


def _first_model(settings: Settings) -> str:
    return next(iter(settings.openai_models), "gpt-4o-mini")


def _openai(settings: Settings) -> OpenAIAccess:
    return _access(settings.openai_base_url, settings.openai_timeout_seconds)


@cache
def _access(base_url: str, timeout_seconds: float) -> OpenAIAccess:
    return OpenAIAccess(base_url, timeout_seconds=timeout_seconds)


def _view(call: Call, account: Document | None) -> Document:
    return {**(account or {}), "hasKey": account is not None, "apiKey": shown(call, OPENAI_KEY, account)}
