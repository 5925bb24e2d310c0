"""Messages for people to read: transcripts, what did not arrive, the line of time, and why a message was sent."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from api.rest.schemas import Anything, Id, Listed, Moment, PageQuery, View
from api.schemas.sessions import (
    FailureView,
    SessionCallView,
    SessionEventView,
    SessionStepView,
    SessionView,
)
from common.model.outbox import MessageStatus

MOST_TURNS = 50


class TranscriptQuery(PageQuery):
    """Which part of what was said, and from which end."""

    order = fields.String(load_default="oldest", validate=validate.OneOf(["oldest", "newest"]))


class MessageQuery(PageQuery):
    """Either all of one contact's (`contactId`, with `order`), or the troubled ones of all (`status`, `from`, `to`)."""

    contact_id = Id(load_default=None)
    order = fields.String(load_default=None, validate=validate.OneOf(["oldest", "newest"]))
    status = Listed(("FAILED", "UNKNOWN"), load_default=None)
    from_ = Moment(load_default=None)
    to = Moment(load_default=None)

    @validates_schema
    def _go_together(self, data: dict[str, Any], **_: Any) -> None:
        names = {"status": "status", "from_": "from", "to": "to"}
        if data["contact_id"] is not None:
            wrong = {
                names[name]: ["Not together with contactId."] for name in names if data[name] is not None
            }
        else:
            wrong = {"order": ["Only together with contactId."]} if data["order"] is not None else {}
        if wrong:
            raise ValidationError(wrong)


class ReplyButtonView(View):
    """A button under a message."""

    button_id = fields.String()
    title = fields.String()


class TranscriptMessageView(View):
    """A message, IN or OUT, with what became of it. `note` says why a customer's message moved nothing."""

    id = fields.String()
    session_id = fields.String(allow_none=True)
    contact_id = fields.String()
    direction = fields.String(validate=validate.OneOf(["IN", "OUT"]))
    type = fields.String(attribute="messageType")
    text = fields.String(attribute="messageContent")
    buttons = fields.List(fields.Nested(ReplyButtonView), allow_none=True)
    button_id = fields.String(allow_none=True, metadata={"description": "The button that was tapped."})
    whatsapp_type = fields.String(allow_none=True)
    node_id = fields.String(allow_none=True)
    version_id = fields.String(allow_none=True)
    status = fields.String(validate=validate.OneOf([status.value for status in MessageStatus]))
    is_waiting = fields.Boolean(
        metadata={"description": "It is still to be sent, or its fate to be decided."}
    )
    attempts = fields.Integer()
    last_error = fields.String(allow_none=True, metadata={"description": "Why an attempt did not count."})
    error = fields.Nested(FailureView, allow_none=True)
    note = fields.String(allow_none=True)
    note_text = fields.String(allow_none=True)
    sent_at = Moment(metadata={"description": "When it was written, by its sender."})
    created_at = Moment()
    accepted_at = Moment(allow_none=True)
    sent_on_at = Moment(allow_none=True, metadata={"description": "WhatsApp's status `sent`."})
    delivered_at = Moment(allow_none=True)
    read_at = Moment(allow_none=True)
    failed_at = Moment(allow_none=True)


class TimelineQuery(PageQuery):
    """Which turns: `limit` counts turns, each with all that belongs to it."""

    limit = fields.Integer(load_default=25, validate=validate.Range(1, MOST_TURNS))


class TimelineEntryView(View):
    """One thing that happened; of `event`, `step`, `message` and `call` the one that `kind` names is there."""

    kind = fields.String(validate=validate.OneOf(["EVENT", "STEP", "MESSAGE", "CALL"]))
    at = Moment()
    turn = fields.Integer(allow_none=True)
    event = fields.Nested(SessionEventView, allow_none=True)
    step = fields.Nested(SessionStepView, allow_none=True)
    message = fields.Nested(TranscriptMessageView, allow_none=True)
    call = fields.Nested(SessionCallView, allow_none=True)


class TimelineFileView(View):
    """A timeline to take away. Not `isComplete` where it has more than 500 turns or 10 MB."""

    session = fields.Nested(SessionView)
    entries = fields.List(fields.Nested(TimelineEntryView))
    is_complete = fields.Boolean()


class WhyEventView(SessionEventView):
    """What caused the turn, with its time; `call` where that was a call's answer."""

    at = Moment()
    turn = fields.Integer()
    waiting_node = fields.String(allow_none=True)
    call = fields.Nested(SessionCallView, allow_none=True)


class WhyFlowView(View):
    """The flow version that ran. `versionNumber` is null for a draft and for one that is gone."""

    flow_id = fields.String()
    name = fields.String(allow_none=True)
    version_id = fields.String()
    version_number = fields.Integer(allow_none=True)
    is_test = fields.Boolean()


class SeenValueView(View):
    """A value that a condition looked at, by the place it names (`user.age`)."""

    place = fields.String()
    value = Anything(allow_none=True)


class WhyConditionView(View):
    """A condition. `held` is null where an earlier one had decided already."""

    handle = fields.String()
    label = fields.String()
    text = fields.String()
    held = fields.Boolean(allow_none=True)


class WhyStepView(View):
    """A node on the way to the message. `saw` is null where the values are not known any more."""

    place = fields.Integer()
    node_id = fields.String()
    node_type = fields.String()
    node_label = fields.String()
    handle = fields.String(allow_none=True)
    exit_label = fields.String(allow_none=True)
    next_node_id = fields.String(allow_none=True)
    saw = fields.List(fields.Nested(SeenValueView), allow_none=True)
    conditions = fields.List(fields.Nested(WhyConditionView))
    notes = fields.List(fields.String())
    error = fields.Nested(FailureView, allow_none=True)


class WhyTemplateView(View):
    """A text of the node's settings; `template` is null where the text is not known beforehand (a model's)."""

    field = fields.String()
    label = fields.String()
    template = fields.String(allow_none=True)


class WhyNodeView(View):
    """The node that wrote it. `isSameText`: run again it writes the same; null where it cannot be run again."""

    node_id = fields.String(allow_none=True)
    node_type = fields.String(allow_none=True)
    node_label = fields.String()
    templates = fields.List(fields.Nested(WhyTemplateView))
    is_same_text = fields.Boolean(allow_none=True)


class DeliveryStageView(View):
    """What WhatsApp said of it, and when."""

    status = fields.String()
    at = Moment()


class WhySendView(View):
    """How it got to WhatsApp. UNKNOWN and not `isWaiting`: it was decided not to send it again."""

    status = fields.String(validate=validate.OneOf([status.value for status in MessageStatus]))
    is_waiting = fields.Boolean()
    is_simulated = fields.Boolean()
    attempts = fields.Integer()
    attempt_ids = fields.List(fields.String())
    last_attempt_at = Moment(allow_none=True)
    last_error = fields.String(allow_none=True)
    accepted_at = Moment(allow_none=True)
    wamid = fields.String(allow_none=True)
    stages = fields.List(fields.Nested(DeliveryStageView))
    error = fields.Nested(FailureView, allow_none=True)


class WhyView(View):
    """From a message back to its reasons. Not `isComplete`: `missing` says what is not known any more."""

    message_id = fields.String()
    session_id = fields.String()
    turn = fields.Integer()
    is_complete = fields.Boolean()
    missing = fields.String(allow_none=True)
    sentences = fields.List(fields.String())
    event = fields.Nested(WhyEventView, allow_none=True)
    heard = fields.Nested(
        WhyEventView, allow_none=True, metadata={"description": "What the customer had last said."}
    )
    flow = fields.Nested(WhyFlowView)
    steps = fields.List(fields.Nested(WhyStepView))
    node = fields.Nested(WhyNodeView)
    send = fields.Nested(WhySendView)
