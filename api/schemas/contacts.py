"""What goes in and out about contacts."""

from __future__ import annotations

from marshmallow import fields, validate

from api.rest.schemas import JsonObject, Moment, PageQuery, View


class ContactsQuery(PageQuery):
    """Which contacts."""

    phone = fields.String(
        load_default=None,
        validate=validate.Length(max=40),
        metadata={"description": "Only those whose number begins so; what is no digit does not count."},
    )
    name = fields.String(
        load_default=None,
        validate=validate.Length(max=120),
        metadata={"description": "Only those whose WhatsApp name begins so; case does not count."},
    )
    paused = fields.Boolean(
        load_default=None,
        metadata={"description": "Only those for whom the bot is paused (true), or is not (false)."},
    )


class ContactView(View):
    """Somebody who wrote to the bot. Where WhatsApp tells no number, `phoneNumber` is null."""

    id = fields.String()
    phone_number = fields.String(attribute="waId", allow_none=True)
    whatsapp_user_id = fields.String(
        attribute="bsuid", allow_none=True, metadata={"description": "WhatsApp's id of this person for you."}
    )
    name = fields.String(attribute="profileName")
    message_count = fields.Integer(attribute="messageSeq")
    last_inbound_at = Moment(allow_none=True)
    is_bot_paused = fields.Boolean()
    bot_paused_at = Moment(allow_none=True)
    paused_until = Moment(allow_none=True)
    created_at = Moment(allow_none=True)


class ContactFileView(View):
    """All that is kept of a contact."""

    format = fields.String()
    format_version = fields.Integer()
    contact = JsonObject()
    sessions = fields.List(fields.Dict())
    messages = fields.List(fields.Dict())
