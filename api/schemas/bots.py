"""What goes in and out about bots."""

from __future__ import annotations

from marshmallow import fields, validate

from api.rest.schemas import Body, JsonObject, Moment, Name, PageQuery, View
from common.flow.bot_files import MOST_DAYS
from common.flow.files import DESCRIPTION_MOST

_SORTS = ["name", "-name", "updatedAt", "-updatedAt", "createdAt", "-createdAt"]


def _days(what: str) -> fields.Integer:
    about = f"Days for which {what}; null: as long as the installation keeps them, which is also the most."
    return fields.Integer(
        strict=True,
        load_default=None,
        allow_none=True,
        validate=validate.Range(1, MOST_DAYS),
        metadata={"description": about},
    )


class BotsQuery(PageQuery):
    """Which bots, in which order."""

    name = fields.String(
        load_default=None,
        validate=validate.Length(max=120),
        metadata={"description": "Only bots whose name holds this text; case does not count."},
    )
    sort = fields.String(
        load_default="-updatedAt",
        validate=validate.OneOf(_SORTS),
        metadata={"description": "With a - in front: the other way round."},
    )


class NewBot(Body):
    """A new bot, without flows and without a number."""

    name = Name(required=True)
    description = fields.String(load_default="", validate=validate.Length(max=DESCRIPTION_MOST))


class BotRetentionChange(Body):
    """How long a bot keeps what its conversations leave behind."""

    message_days = _days("messages are kept")
    execution_log_days = _days("the execution log is kept; never for longer than messages")


class BotSettingsChange(Body):
    """What is set for a bot as a whole."""

    retention = fields.Nested(BotRetentionChange)


class BotChange(Body):
    """What to change of a bot; what is not given stays. `revision` is the one that the change started from."""

    revision = fields.Integer(required=True, strict=True, validate=validate.Range(0, 2**53))
    name = Name()
    description = fields.String(validate=validate.Length(max=DESCRIPTION_MOST))
    settings = fields.Nested(BotSettingsChange)


class BotDuplicate(Body):
    """How to call the copy."""

    name = Name(load_default=None)


class BotImport(Body):
    """A file to make a bot of. `name`: instead of the one in the file."""

    file = JsonObject(required=True, metadata={"description": "What the export of a bot gave."})
    name = Name(load_default=None)


class BotRetentionView(View):
    """As its owner set it; null: as the installation does."""

    message_days = fields.Integer(allow_none=True)
    execution_log_days = fields.Integer(allow_none=True)


class BotSettingsView(View):
    """What is set for a bot as a whole."""

    retention = fields.Nested(BotRetentionView)


class KeptDaysView(View):
    """What comes of a bot's settings and the installation's."""

    message_days = fields.Integer()
    execution_log_days = fields.Integer()


class BotWhatsAppView(View):
    """How a bot is connected. `stoppedFor`: why nothing is sent until somebody reconnects it."""

    is_connected = fields.Boolean()
    is_stopped = fields.Boolean()
    phone_number = fields.String(allow_none=True)
    stopped_for = fields.String(allow_none=True)


class BotView(View):
    """A bot."""

    id = fields.String()
    name = fields.String()
    description = fields.String()
    active_flow_id = fields.String(
        allow_none=True, metadata={"description": "The flow that begins when no trigger fits."}
    )
    revision = fields.Integer()
    settings = fields.Nested(BotSettingsView)
    kept_days = fields.Nested(KeptDaysView)
    flow_count = fields.Integer()
    live_flow_count = fields.Integer()
    whatsapp = fields.Nested(BotWhatsAppView)
    created_at = Moment(allow_none=True)
    updated_at = Moment(allow_none=True)


class BotFileView(View):
    """A bot as a file: its variables and flows with their drafts. No keys of its connections, no customers, no history."""

    format = fields.String()
    format_version = fields.Integer()
    name = fields.String()
    description = fields.String()
    settings = JsonObject()
    variables = fields.List(fields.Dict())
    default_flow = fields.String(allow_none=True)
    flows = fields.List(fields.Dict())
