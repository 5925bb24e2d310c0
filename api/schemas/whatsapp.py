"""What goes in and out about a bot's WhatsApp account."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from api.rest.schemas import Body, Moment, View
from api.stored_secrets import Secret

STATUSES = ("NOT_CONNECTED", "CONNECTED", "STOPPED")
STATES = ("ok", "warning", "failed", "skipped")
SENDING = ("AVAILABLE", "LIMITED", "BLOCKED", "UNKNOWN")


class MetaId(fields.String):
    """An id as Meta gives it out: digits."""

    def __init__(self, **options: Any) -> None:
        digits = validate.Regexp(r"[0-9]{1,32}\Z", error="An id of Meta's is a number.")
        super().__init__(validate=digits, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> str:
        return str(super()._deserialize(value, attr, data, **more)).strip()


class WhatsAppConnection(Body):
    """All of the connection: what is left out is not there afterwards."""

    phone_number_id = MetaId(required=True)
    business_account_id = MetaId(required=True)
    access_token = Secret(required=True)
    app_id = MetaId(load_default=None, allow_none=True)
    app_secret = Secret(load_default=None, allow_none=True, most=256)


class WhatsAppStepView(View):
    """One thing that was looked at. `failed` is kept for what a bot cannot work without."""

    name = fields.String()
    title = fields.String()
    state = fields.String(validate=validate.OneOf(STATES))
    sentence = fields.String()
    detail = fields.String(allow_none=True, metadata={"description": "WhatsApp's own words."})


class WhatsAppProblemView(View):
    """Why something cannot send, in WhatsApp's words."""

    code = fields.Integer(allow_none=True)
    description = fields.String(allow_none=True)
    solution = fields.String(allow_none=True)


class WhatsAppEntityView(View):
    """The number, its account, the business or the app."""

    type = fields.String()
    id = fields.String(attribute="id", allow_none=True)
    can_send_message = fields.String(validate=validate.OneOf(SENDING))
    problems = fields.List(fields.Nested(WhatsAppProblemView))


class WhatsAppHealthView(View):
    """Whether the number may send, as WhatsApp sees it."""

    can_send_message = fields.String(validate=validate.OneOf(SENDING))
    sentence = fields.String()
    entities = fields.List(fields.Nested(WhatsAppEntityView))
    checked_at = Moment()


class WhatsAppCheckView(View):
    """What was looked at, and whether the bot can work with it."""

    is_good = fields.Boolean()
    at = Moment()
    steps = fields.List(fields.Nested(WhatsAppStepView))


class WhatsAppNumberView(View):
    """The number as WhatsApp describes it."""

    display_phone_number = fields.String(allow_none=True)
    verified_name = fields.String(allow_none=True)
    number_status = fields.String(allow_none=True)
    quality_rating = fields.String(allow_none=True)
    messaging_limit = fields.String(allow_none=True)
    throughput = fields.String(allow_none=True)
    name_status = fields.String(allow_none=True)
    code_verification_status = fields.String(allow_none=True)
    platform_type = fields.String(allow_none=True)


class WhatsAppAccountView(View):
    """A bot's connection. Where there is none, `status` is NOT_CONNECTED and everything else is null."""

    status = fields.String(validate=validate.OneOf(STATUSES))
    sentence = fields.String()
    phone_number_id = fields.String(allow_none=True)
    phone_number = fields.String(allow_none=True, metadata={"description": "Digits only."})
    business_account_id = fields.String(allow_none=True)
    access_token = fields.String(allow_none=True, metadata={"description": "Its mask."})
    app_id = fields.String(allow_none=True)
    app_secret = fields.String(
        allow_none=True, metadata={"description": "Its mask; null where the installation's secret is used."}
    )
    number = fields.Nested(WhatsAppNumberView, attribute="details", allow_none=True)
    health = fields.Nested(WhatsAppHealthView, allow_none=True)
    last_check = fields.Nested(WhatsAppCheckView, allow_none=True)
    stopped_for = fields.String(
        allow_none=True, metadata={"description": "Why nothing is sent, as WhatsApp put it."}
    )
    stopped_at = Moment(allow_none=True)
    last_webhook_at = Moment(
        allow_none=True,
        metadata={"description": "When something last arrived for this number, to the minute."},
    )
    last_status_at = Moment(allow_none=True)
    connected_at = Moment(allow_none=True)


class WhatsAppInstructionView(View):
    """One thing to do in Meta's console."""

    title = fields.String()
    text = fields.String()


class WhatsAppWebhookView(View):
    """What to enter in Meta's console, and how. `isPublic`: the address is the one set by the operator."""

    callback_url = fields.String()
    verify_token = fields.String()
    is_public = fields.Boolean()
    fields_ = fields.List(fields.String(), data_key="fields", attribute="fields")
    instructions = fields.List(fields.Nested(WhatsAppInstructionView))

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        super().on_bind_field(field_name.rstrip("_"), field_obj)
