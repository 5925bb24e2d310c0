"""Where Meta delivers: verify, store, answer. No node runs here."""

from __future__ import annotations

import hmac
from http import HTTPStatus

import structlog
from flask import Blueprint, Response, current_app, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from api.numbers import Number
from api.web import Web
from api.webhook_events import phone_number_ids, read_events, to_jobs
from common.crashpoint import crashpoint
from common.errors import AppError, ErrorCode
from common.signature import is_signed

blueprint = Blueprint("webhook", __name__)
log = structlog.get_logger()

_SIGNATURE = "X-Hub-Signature-256"
# A POST that the installation's secret does not open may be signed by a bot's own app; so many numbers are tried.
_MOST_NUMBERS_TRIED = 20
_OTHER_SECRET = "signed with another app's secret"  # noqa: S105 - a reason, not a secret


@blueprint.get("/api/webhook/whatsapp")
def verify() -> Response:
    """Meta's handshake: our verify token gets the challenge back, as plain text (it is the sender's text)."""
    token = request.args.get("hub.verify_token", "")
    ours = _web().settings.webhook_verify_token
    is_ours = bool(ours) and hmac.compare_digest(token.encode(), ours.encode())
    if request.args.get("hub.mode") != "subscribe" or not is_ours:
        raise AppError(
            ErrorCode.VERIFICATION_FAILED, HTTPStatus.FORBIDDEN, "The verify token is not the one set here."
        )
    return Response(request.args.get("hub.challenge", ""), mimetype="text/plain")


@blueprint.post("/api/webhook/whatsapp")
def receive() -> Response:
    """Store every message and status of a signed POST as a job; 200 when they are safe.

    401 for a bad or missing signature (nothing is stored), 413 for a body over the limit, 503 where the database
    is away. Duplicates, unknown numbers, fields and shapes are 200: Meta would only repeat them for a week.
    """
    web = _web()
    raw = _read_body()
    header = request.headers.get(_SIGNATURE)
    is_ours = is_signed(web.settings.meta_app_secret, raw, header)
    if not is_ours and not header:
        raise _bad_signature()
    events = read_events(raw)
    numbers = phone_number_ids(events)
    if not is_ours and (not numbers or len(numbers) > _MOST_NUMBERS_TRIED):
        raise _bad_signature()
    with web.outage.guard():
        known = web.numbers.look_up(numbers)
        refused = {
            number_id: _OTHER_SECRET
            for number_id in numbers
            if not _is_trusted(known.get(number_id), is_ours, raw, header)
        }
        if not is_ours and len(refused) == len(numbers):
            raise _bad_signature()
        crashpoint("W1")
        bots = {number_id: number.bot_id for number_id, number in known.items()}
        web.intake.accept(to_jobs(events, bots, refused, g.request_id))
    web.numbers.note_webhook(number_id for number_id in known if number_id not in refused)
    return Response(status=HTTPStatus.OK)


def _read_body() -> bytes:
    raw = request.get_data(cache=False)
    most = request.max_content_length
    # A body that does not say how long it is gets cut at the limit without a word.
    if most is not None and request.content_length is None and len(raw) >= most:
        raise RequestEntityTooLarge
    return raw


def _is_trusted(number: Number | None, is_ours: bool, raw: bytes, header: str | None) -> bool:  # noqa: FBT001 - private
    """A bot's own secret opens its number and nothing else; the installation's opens all that have none."""
    if number is None or number.app_secret is None:
        return is_ours
    return is_signed(number.app_secret, raw, header)


def _bad_signature() -> AppError:
    log.warning("webhook.refused", reason="bad signature")
    return AppError(
        ErrorCode.BAD_SIGNATURE,
        HTTPStatus.UNAUTHORIZED,
        f"{_SIGNATURE} is missing or does not fit the body and the app secret.",
    )


def _web() -> Web:
    web = current_app.extensions["web"]
    if not isinstance(web, Web):
        raise TypeError("the application was not made by create_app")
    return web
