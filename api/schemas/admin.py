"""What administrators see: everything at a glance, nothing of what people wrote."""

from __future__ import annotations

from marshmallow import fields, validate

from api.rest.schemas import Id, JsonObject, Moment, PageQuery, View


class UserQuery(PageQuery):
    """Which users."""

    email = fields.String(
        load_default=None,
        validate=validate.Length(1, 254),
        metadata={"description": "How the address begins; the list is then in its order."},
    )


class BotQuery(PageQuery):
    """Which bots."""

    owner_email = fields.String(
        load_default=None, validate=validate.Length(1, 254), metadata={"description": "Of this user only."}
    )


class AuditQuery(PageQuery):
    """Which entries of the audit log."""

    action = fields.String(
        load_default=None, validate=validate.Length(1, 100), metadata={"description": "`flow.deployed`, …"}
    )
    actor_id = Id(load_default=None)
    bot_id = Id(load_default=None)
    from_ = Moment(load_default=None)
    to = Moment(load_default=None, metadata={"description": "Not included."})


class PlatformCountsView(View):
    """How much of everything there is."""

    users = fields.Integer()
    administrators = fields.Integer()
    bots = fields.Integer()
    connected_numbers = fields.Integer()
    stopped_numbers = fields.Integer(metadata={"description": "Their sending is stopped until reconnected."})
    flows = fields.Integer()
    live_flows = fields.Integer()
    contacts = fields.Integer()
    sessions = fields.Integer(metadata={"description": "Kept, whether over or not."})
    active_sessions = fields.Integer()


class AdminUserView(View):
    """A user."""

    id = fields.String()
    email = fields.String()
    role = fields.String()
    must_change_password = fields.Boolean()
    created_at = Moment()
    last_login_at = Moment(allow_none=True)
    bot_count = fields.Integer()


class AdminBotView(View):
    """A bot, from outside."""

    id = fields.String()
    name = fields.String()
    owner_id = fields.String(attribute="userId")
    owner_email = fields.String(allow_none=True)
    is_connected = fields.Boolean()
    is_stopped = fields.Boolean(metadata={"description": "WhatsApp refuses its token."})
    flow_count = fields.Integer()
    active_sessions = fields.Integer()
    created_at = Moment(allow_none=True)


class CountView(View):
    """How many of a kind."""

    kind = fields.String()
    count = fields.Integer()


class ProcessView(View):
    """A worker or timer process."""

    kind = fields.String()
    host = fields.String()
    pid = fields.Integer()
    age_seconds = fields.Float(metadata={"description": "Since it was last seen; more than 60: gone."})
    is_alive = fields.Boolean()


class QueueView(View):
    """The queue. Counts stop at ten thousand."""

    pending_jobs = fields.Integer()
    dead_jobs = fields.Integer()
    unrouted_jobs = fields.Integer()
    due_lanes = fields.Integer(metadata={"description": "Conversations that wait for a worker."})
    leased_lanes = fields.Integer(metadata={"description": "Conversations that a worker has."})
    oldest_due_seconds = fields.Float(
        metadata={"description": "How long the longest waiting conversation has waited for a worker."}
    )
    late_timers = fields.Integer()
    latest_timer_seconds = fields.Float()
    parked_lanes = fields.List(fields.Nested(CountView), metadata={"description": "By reason."})
    unsent_messages = fields.List(fields.Nested(CountView), metadata={"description": "By state."})
    unknown_sends = fields.Integer(metadata={"description": "Sent or not: a report is waited for."})
    processes = fields.List(fields.Nested(ProcessView))
    missing = fields.List(fields.String(), metadata={"description": "Kinds that were not seen for a minute."})


class AuditView(View):
    """Who did what."""

    id = fields.String()
    at = Moment()
    action = fields.String()
    actor_id = fields.String(allow_none=True)
    actor_email = fields.String(allow_none=True)
    target_type = fields.String()
    target_id = fields.String()
    bot_id = fields.String(allow_none=True)
    ip = fields.String()
    request_id = fields.String()
    detail = JsonObject()
