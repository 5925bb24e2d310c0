"""Sessions for people to look through: lists, one with its variables, steps, way and calls."""

from __future__ import annotations

from marshmallow import fields, validate

from api.rest.schemas import Anything, Body, Id, JsonObject, Listed, Moment, PageQuery, View
from api.schemas.controls import ControlView, TakeoverView
from common.model.session import SessionStatus, WaitKind
from common.model.values import VariableType

STATUSES = tuple(status.value for status in SessionStatus)
EVENT_KINDS = ("MESSAGE", "TIMER", "ANSWER", "CONTROL")
_TYPES = validate.OneOf([kind.value for kind in VariableType])


class SessionQuery(PageQuery):
    """Which sessions. `nodeId` needs `versionId`; `versionId` goes without `flowId` and `isTest`."""

    status = Listed(STATUSES, load_default=None)
    flow_id = Id(load_default=None)
    version_id = Id(load_default=None)
    node_id = Id(load_default=None, metadata={"description": "Where they stand, or ended."})
    contact_id = Id(load_default=None)
    is_test = fields.Boolean(load_default=None)
    from_ = Moment(load_default=None, metadata={"description": "Begun at this time or later."})
    to = Moment(load_default=None, metadata={"description": "Begun before this time."})


class StepQuery(PageQuery):
    """Which part of the log, and from which end."""

    order = fields.String(load_default="oldest", validate=validate.OneOf(["oldest", "newest"]))


class CallQuery(PageQuery):
    """Which part of the calls: few at a time, since an answer may have a megabyte."""

    limit = fields.Integer(load_default=10, validate=validate.Range(1, 25))


class SessionWaitView(View):
    """What a session waits for; `until` is when that is over (null: never)."""

    kind = fields.String(validate=validate.OneOf([kind.value for kind in WaitKind]))
    until = Moment(attribute="at", allow_none=True)


class SessionView(View):
    """A session. An administrator sees the phone number shortened."""

    id = fields.String()
    contact_id = fields.String()
    phone_number = fields.String(attribute="userPhoneNumber", allow_none=True)
    channel = fields.String(validate=validate.OneOf(["WHATSAPP", "SIMULATOR"]))
    is_test = fields.Boolean()
    status = fields.String(validate=validate.OneOf(STATUSES))
    is_open = fields.Boolean()
    flow_id = fields.String()
    version_id = fields.String(attribute="flowVersionId")
    node_id = fields.String(attribute="currentNodeId", allow_none=True)
    turns = fields.Integer(attribute="turn")
    waits_for = fields.Nested(SessionWaitView, attribute="wait", allow_none=True)
    created_at = Moment()
    started_at = Moment(allow_none=True, metadata={"description": "When its flow last began at START."})
    updated_at = Moment()
    closed_at = Moment(allow_none=True)


class FailureView(View):
    """What went wrong. `message` is empty for an administrator: it may quote a customer."""

    code = fields.String()
    message = fields.String()


class SessionContactView(TakeoverView):
    """Who the conversation is with. `name` is null for an administrator."""

    name = fields.String(attribute="profileName", allow_none=True)
    phone_number = fields.String(attribute="waId", allow_none=True)
    last_inbound_at = Moment(allow_none=True)


class SessionDetailView(SessionView):
    """A session with what its ids mean. Names are null where the thing is gone."""

    flow_name = fields.String(allow_none=True)
    version_number = fields.Integer(allow_none=True)
    node_label = fields.String(allow_none=True)
    contact = fields.Nested(SessionContactView, allow_none=True)
    failure = fields.Nested(FailureView, allow_none=True)


class ControlledSessionView(View):
    """A session after a control; as it was before it while the control is WAITING."""

    control = fields.Nested(ControlView)
    session = fields.Nested(SessionView)


class SessionVariableView(View):
    """A variable as it is now."""

    name = fields.String(attribute="variableName")
    type = fields.String(attribute="variableType", validate=_TYPES)
    value = Anything(attribute="variableValue", allow_none=True)
    updated_at = Moment(allow_none=True)


class SessionVariablesView(View):
    """`source`: STORED while the session is open, REPLAYED from the log of a test that is over, GONE otherwise."""

    source = fields.String(validate=validate.OneOf(["STORED", "REPLAYED", "GONE"]))
    session = fields.List(fields.Nested(SessionVariableView))
    bot = fields.List(fields.Nested(SessionVariableView))


class NewValue(Body):
    """A variable's new value. `type` converts it, as a SET VARIABLE node does; without, it is taken as it is."""

    value = Anything(required=True, allow_none=True)
    type = fields.String(load_default=None, allow_none=True, validate=_TYPES)


class SessionEventView(View):
    """What caused a turn: a customer's message, a timer, the answer of a call, a person's control."""

    kind = fields.String(validate=validate.OneOf(EVENT_KINDS))
    text = fields.String(allow_none=True)
    button_id = fields.String(allow_none=True)
    call_id = fields.String(allow_none=True)
    action = fields.String(allow_none=True)
    by = fields.String(allow_none=True, metadata={"description": "The user's id."})
    why = fields.String(allow_none=True)


class SessionStepView(View):
    """One node that ran. Of a real customer's conversation `inputs`, `outputs` and `deleted` are null: not kept."""

    turn = fields.Integer()
    place = fields.Integer(metadata={"description": "Its place in the turn, from 0."})
    at = Moment()
    version_id = fields.String(allow_none=True)
    node_id = fields.String()
    node_type = fields.String()
    node_label = fields.String()
    handle = fields.String(
        allow_none=True, metadata={"description": "The exit; null where it waits or ends."}
    )
    next_node_id = fields.String(allow_none=True)
    duration_ms = fields.Float()
    sent = fields.Integer(metadata={"description": "Messages that it sent."})
    notes = fields.List(fields.String())
    error = fields.Nested(FailureView, allow_none=True)
    event = fields.Nested(
        SessionEventView, allow_none=True, metadata={"description": "On the first step of a turn."}
    )
    detail = JsonObject()
    inputs = JsonObject(allow_none=True, metadata={"description": "The variables that it reads, before it."})
    outputs = JsonObject(allow_none=True, metadata={"description": "The variables that it set."})
    deleted = fields.List(fields.String(), allow_none=True)


class PathExitView(View):
    """An exit of a node that was left. `edgeId` is null where the settings, not an edge, name the next node."""

    handle = fields.String()
    label = fields.String()
    edge_id = fields.String(allow_none=True)
    next_node_id = fields.String(allow_none=True)
    is_chosen = fields.Boolean()


class PathStepView(View):
    """A node that was left, with all its exits."""

    turn = fields.Integer()
    place = fields.Integer()
    at = Moment()
    version_id = fields.String(allow_none=True)
    node_id = fields.String()
    node_type = fields.String()
    node_label = fields.String()
    next_node_id = fields.String(allow_none=True)
    exits = fields.List(fields.Nested(PathExitView))


class PathEdgeView(View):
    """An edge of a node that was left: `times` 0 is a way that was not taken."""

    edge_id = fields.String(allow_none=True)
    version_id = fields.String(allow_none=True)
    source_node_id = fields.String()
    source_handle = fields.String()
    target_node_id = fields.String(allow_none=True)
    times = fields.Integer()


class SessionPathView(View):
    """The way through the flow. Not `isComplete` where it has more than 2,000 steps."""

    steps = fields.List(fields.Nested(PathStepView))
    edges = fields.List(fields.Nested(PathEdgeView))
    is_complete = fields.Boolean()


class CallPairView(View):
    """A header or a parameter; secret ones are masked."""

    name = fields.String()
    value = fields.String()


class HttpCallView(View):
    """An API node's call. Null is what is not shown of a real customer's conversation, or not known any more."""

    method = fields.String()
    url = fields.String(metadata={"description": "For a real customer's conversation without its query."})
    query = fields.List(fields.Nested(CallPairView), allow_none=True)
    headers = fields.List(fields.Nested(CallPairView), allow_none=True)
    body = Anything(allow_none=True)
    status = fields.Integer(allow_none=True)
    response_headers = fields.List(fields.Nested(CallPairView), allow_none=True)
    response_body = Anything(allow_none=True)


class ChatLineView(View):
    """A message as the model got it: variables are filled in."""

    role = fields.String()
    text = fields.String()


class ChatCallView(View):
    """An AI node's call. `costUsd` is an estimate; null where the price of the model is not known."""

    model = fields.String()
    messages = fields.List(fields.Nested(ChatLineView), allow_none=True)
    temperature = fields.Float(allow_none=True)
    max_tokens = fields.Integer(allow_none=True)
    answer = fields.String(allow_none=True)
    prompt_tokens = fields.Integer(allow_none=True)
    completion_tokens = fields.Integer(allow_none=True)
    cost_usd = fields.Float(allow_none=True)


class SessionCallView(View):
    """A call to the outside. One of `http` and `chat` is there. ABANDONED: the session ended before the answer."""

    id = fields.String()
    kind = fields.String(validate=validate.OneOf(["HTTP", "CHAT"]))
    turn = fields.Integer()
    node_id = fields.String()
    node_label = fields.String()
    state = fields.String(validate=validate.OneOf(["WAITING", "ANSWERED", "FAILED", "ABANDONED"]))
    asked_at = Moment()
    answered_at = Moment(allow_none=True)
    duration_ms = fields.Float(allow_none=True)
    attempts = fields.Integer(allow_none=True)
    error = fields.Nested(FailureView, allow_none=True)
    is_complete = fields.Boolean(metadata={"description": "Everything of it is shown."})
    http = fields.Nested(HttpCallView, allow_none=True)
    chat = fields.Nested(ChatCallView, allow_none=True)
