"""Questions for figures, and the answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from api.rest.schemas import Body, Id, Moment, View
from common.model.periods import Bucket

RANGES = {
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
}
MOST_DAYS = 400
MOST_HOURLY_DAYS = 8


class PeriodQuery(Body):
    """Which time: `range` back from now, or `from` and `to`. Without any, the last seven days."""

    range = fields.String(
        load_default=None,
        validate=validate.OneOf(list(RANGES)),
        metadata={"description": "So far back from now."},
    )
    from_ = Moment(load_default=None, metadata={"description": "Rounded down to what figures are kept for."})
    to = Moment(load_default=None, metadata={"description": "Not included; without it, now."})

    @validates_schema(skip_on_field_errors=True)
    def check(self, data: dict[str, Any], **_: Any) -> None:
        """One way to say it, and a span that makes sense."""
        since, until = data["from_"], data["to"]
        if data["range"] is not None and (since is not None or until is not None):
            raise ValidationError({"range": ["Give either a range, or from and to."]})
        if until is not None and since is None:
            raise ValidationError({"from": ["Say from when, too."]})
        if since is not None and until is not None:
            if since >= until:
                raise ValidationError({"from": ["This is not before the end."]})
            if until - since > timedelta(days=MOST_DAYS):
                raise ValidationError({"from": [f"At most {MOST_DAYS} days at a time."]})


class SeriesQuery(PeriodQuery):
    """Which time, and in which steps."""

    bucket = fields.String(
        load_default=None,
        validate=validate.OneOf([bucket.value for bucket in Bucket]),
        metadata={
            "description": f"`hour` for the last {MOST_HOURLY_DAYS} days only. Without it, what suits the time."
        },
    )


class FlowPeriodQuery(PeriodQuery):
    """Which time, and which version."""

    version_id = Id(load_default=None, metadata={"description": "Without it, the live version's nodes."})


class PeriodView(View):
    """The time that was summed up: whole hours, and whole days where hours are not kept any more."""

    from_ = Moment(attribute="since")
    to = Moment(attribute="until")


class MessagesView(View):
    """What became of messages. Each counts once in every state that it reached."""

    received = fields.Integer(metadata={"description": "From customers."})
    queued = fields.Integer(metadata={"description": "Written by flows, to be sent."})
    accepted = fields.Integer(metadata={"description": "Taken by WhatsApp."})
    sent = fields.Integer()
    delivered = fields.Integer()
    read = fields.Integer()
    failed = fields.Integer(metadata={"description": "Refused for good, or reported as failed."})
    failed_but_arrived = fields.Integer(metadata={"description": "Of those, put right by a later report."})
    unknown_ = fields.Integer(metadata={"description": "Given up without knowing whether they were sent."})
    unknown_but_arrived = fields.Integer(metadata={"description": "Of those, put right by a later report."})


class RunsView(View):
    """Runs of flows: how many began, and how they ended."""

    sessions = fields.Integer(metadata={"description": "Conversations that began."})
    starts = fields.Integer(metadata={"description": "Runs that began at START."})
    resumed = fields.Integer(metadata={"description": "Runs taken up again after an END that kept them."})
    completed = fields.Integer(metadata={"description": "Runs that came to an END."})
    ended_in_error = fields.Integer(
        metadata={"description": "Runs that came to an END that counts as an error."}
    )
    failed = fields.Integer(metadata={"description": "Runs that could not go on."})
    closed = fields.Integer(metadata={"description": "Runs that somebody closed."})
    restarted = fields.Integer(metadata={"description": "Runs that gave way to a new one."})
    turns = fields.Integer()
    visits = fields.Integer(metadata={"description": "Nodes that were entered."})
    errors = fields.Integer()


class ApiCallsView(View):
    """Calls of API nodes."""

    calls = fields.Integer()
    failures = fields.Integer()
    failure_rate = fields.Float(allow_none=True)


class AiCallsView(ApiCallsView):
    """Calls of AI nodes."""

    prompt_tokens = fields.Integer()
    completion_tokens = fields.Integer()
    cost_usd = fields.Float()
    calls_without_price = fields.Integer(metadata={"description": "Their cost is not in `costUsd`."})


class DurationClassView(View):
    """Runs that took no longer than this, and longer than the class before."""

    up_to_seconds = fields.Integer(allow_none=True)
    count = fields.Integer()


class DurationView(View):
    """How long runs took, from their start to their END."""

    count = fields.Integer()
    average_seconds = fields.Float(allow_none=True)
    median_seconds = fields.Float(allow_none=True, metadata={"description": "Estimated from the classes."})
    p90_seconds = fields.Float(allow_none=True, metadata={"description": "Estimated from the classes."})
    classes = fields.List(fields.Nested(DurationClassView))


class TotalsView(RunsView):
    """The sums of a period."""

    completion_rate = fields.Float(
        allow_none=True, metadata={"description": "`completed` of those that began in the period."}
    )
    failure_rate = fields.Float(allow_none=True)
    messages = fields.Nested(MessagesView)
    api = fields.Nested(ApiCallsView)
    ai = fields.Nested(AiCallsView)
    duration = fields.Nested(DurationView)


class ErrorCountView(View):
    """How often something went wrong."""

    code = fields.String()
    count = fields.Integer()


class AnalyticsView(View):
    """The figures of a bot, or of the platform."""

    period = fields.Nested(PeriodView)
    active_sessions = fields.Integer(metadata={"description": "Runs under way now."})
    totals = fields.Nested(TotalsView)
    errors = fields.List(fields.Nested(ErrorCountView))


class PointView(RunsView):
    """The figures of an hour or a day."""

    at = Moment(metadata={"description": "When the hour or day begins, in UTC."})
    messages = fields.Nested(MessagesView)
    api_failures = fields.Integer()
    ai_failures = fields.Integer()
    ai_cost_usd = fields.Float()


class SeriesView(View):
    """The figures of a period, step by step."""

    period = fields.Nested(PeriodView)
    bucket = fields.String(validate=validate.OneOf([bucket.value for bucket in Bucket]))
    points = fields.List(fields.Nested(PointView))


class ExitView(View):
    """How often a node was left this way."""

    handle = fields.String()
    count = fields.Integer()


class NodeView(View):
    """The figures of a node."""

    node_id = fields.String()
    node_type = fields.String(allow_none=True, metadata={"description": "Null: not in this version."})
    label = fields.String(allow_none=True)
    visits = fields.Integer()
    ended = fields.Integer()
    failed = fields.Integer()
    closed = fields.Integer()
    restarted = fields.Integer()
    jumped_away = fields.Integer(metadata={"description": "Left by a tap on a button of an older message."})
    waiting = fields.Integer(metadata={"description": "Conversations that stand here now."})
    silent = fields.Integer(metadata={"description": "Of those, without a word for a day."})
    drop_off = fields.Integer(
        metadata={"description": "Failed or closed here, or fallen silent here, in the period."}
    )
    drop_off_rate = fields.Float(allow_none=True, metadata={"description": "Of the visits."})
    exits = fields.List(fields.Nested(ExitView))
    errors = fields.List(fields.Nested(ErrorCountView))


class FlowAnalyticsView(AnalyticsView):
    """The figures of a flow, or of one of its versions, and of the nodes of a version."""

    flow_id = fields.String()
    version_id = fields.String(allow_none=True, metadata={"description": "Whose nodes these are."})
    version_number = fields.Integer(allow_none=True)
    nodes = fields.List(fields.Nested(NodeView))


class TopFlowView(View):
    """A flow that was executed often."""

    flow_id = fields.String()
    bot_id = fields.String()
    name = fields.String()
    bot_name = fields.String()
    starts = fields.Integer()
    completed = fields.Integer(metadata={"description": "Runs that came to any END."})


class DashboardView(View):
    """One's own bots at a glance."""

    period = fields.Nested(PeriodView)
    total_bots = fields.Integer()
    total_flows = fields.Integer()
    active_sessions = fields.Integer()
    messages_sent_24h = fields.Integer(metadata={"description": "Taken by WhatsApp in the last 24 hours."})
    completion_rate = fields.Float(allow_none=True)
    totals = fields.Nested(TotalsView)
    top_flows = fields.List(fields.Nested(TopFlowView))
    points = fields.List(fields.Nested(PointView), metadata={"description": "Day by day."})
