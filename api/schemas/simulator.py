"""What goes in and out when a flow's draft is tried."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from api.rest.schemas import Anything, Body, Id, JsonObject, Moment, Name, PageQuery, View
from api.schemas.controls import ControlView
from common.model.control import MOST_SECONDS, CallMode, ControlAction
from common.model.session import SessionStatus, WaitKind
from common.model.values import VariableType

_TEXT_MOST = 4096  # what a customer can type
_BREAKPOINTS_MOST = 1000
MEDIA = (
    "image", "video", "document", "audio", "sticker", "location", "contacts", "reaction", "unsupported",
)  # fmt: skip


class _PhoneNumber(fields.String):
    """A number as people write it; only its digits count."""

    def __init__(self, **options: Any) -> None:
        metadata = {"description": "The simulated customer's number, with or without + and blanks."}
        super().__init__(validate=validate.Length(1, 40), metadata=metadata, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> str:
        text = super()._deserialize(value, attr, data, **more)
        digits = "".join(character for character in text if character not in "+-./() \t")
        if not (digits.isascii() and digits.isdecimal() and 5 <= len(digits) <= 15):  # noqa: PLR2004 - E.164
            raise ValidationError("A phone number has 5 to 15 digits, with the country code.")
        return digits


class Tap(Body):
    """A tap on a button that the bot showed."""

    id = fields.String(required=True, validate=validate.Length(1, 512))
    title = fields.String(load_default="", validate=validate.Length(max=200))


class Medium(Body):
    """Something that is no text. Nothing is uploaded: a test only needs to know that it came."""

    type = fields.String(required=True, validate=validate.OneOf(MEDIA))
    caption = fields.String(load_default="", validate=validate.Length(max=1024))


class TestMessage(Body):
    """What the simulated customer sends: one of `text`, `button` and `media`."""

    __test__ = False  # pytest takes everything called Test… for one

    bot_id = Id(required=True)
    flow_id = Id(required=True)
    phone_number = _PhoneNumber(required=True)
    name = Name(load_default=None, allow_none=True)
    text = fields.String(load_default=None, allow_none=True, validate=validate.Length(1, _TEXT_MOST))
    button = fields.Nested(Tap, load_default=None, allow_none=True)
    media = fields.Nested(Medium, load_default=None, allow_none=True)

    @validates_schema
    def _says_one_thing(self, data: dict[str, Any], **_: Any) -> None:
        if sum(data.get(part) is not None for part in ("text", "button", "media")) != 1:
            raise ValidationError("Send one of text, button and media.", "text")


class AcceptedMessageView(View):
    """The message is in the conversation's queue. What comes of it is in the conversation's events."""

    conversation_id = fields.String()
    message_id = fields.String(metadata={"description": "The id that the message has in the transcript."})
    version_id = fields.String(
        metadata={"description": "The copy of the draft that a new conversation runs on."}
    )


class NewConversation(Body):
    """Whom to play, and with which flow."""

    flow_id = Id(required=True)
    phone_number = _PhoneNumber(required=True)
    name = Name(load_default=None, allow_none=True)


class ConversationsQuery(PageQuery):
    """Of which flow."""

    flow_id = Id(required=True)


class WaitView(View):
    """What a conversation waits for. EFFECT: the answer of an API or an AI."""

    kind = fields.String(validate=validate.OneOf([kind.value for kind in WaitKind]))
    node_id = fields.String(allow_none=True)
    due_at = Moment(allow_none=True, metadata={"description": "By the conversation's own clock."})
    fires_at = Moment(allow_none=True, metadata={"description": "By the real clock."})


class ClockView(View):
    """A test's clock: how far ahead of the real one, and what it shows."""

    offset_seconds = fields.Float()
    now = Moment()


class WindowView(View):
    """The 24 hours after the customer's last message, by the conversation's clock."""

    is_open = fields.Boolean()
    closes_at = Moment(allow_none=True)


class TestVariableView(View):
    """A variable of a test conversation."""

    __test__ = False

    name = fields.String()
    type = fields.String(validate=validate.OneOf([kind.value for kind in VariableType]))
    value = Anything(allow_none=True)
    updated_at = Moment()


class TestSessionView(View):
    """The session of a test conversation: the one that is open, else the last one."""

    __test__ = False

    id = fields.String()
    status = fields.String(validate=validate.OneOf([status.value for status in SessionStatus]))
    is_open = fields.Boolean()
    flow_id = fields.String()
    flow_version_id = fields.String()
    current_node_id = fields.String(allow_none=True)
    turn = fields.Integer()
    wait = fields.Nested(WaitView, allow_none=True)
    held_messages = fields.Integer(metadata={"description": "Messages that came at a breakpoint."})
    variables = fields.List(fields.Nested(TestVariableView))
    created_at = Moment()
    updated_at = Moment()


class ConversationView(View):
    """A test conversation as it stands. `lastEventId`: ask for its events from there on."""

    id = fields.String()
    flow_id = fields.String()
    phone_number = fields.String()
    name = fields.String()
    clock = fields.Nested(ClockView)
    calls = fields.String(validate=validate.OneOf([mode.value for mode in CallMode]))
    breakpoints = fields.List(fields.String())
    step_mode = fields.Boolean()
    is_bot_paused = fields.Boolean()
    window = fields.Nested(WindowView)
    session = fields.Nested(TestSessionView, allow_none=True)
    last_event_id = fields.String()


class ConversationListView(View):
    """A test conversation in a list."""

    id = fields.String()
    flow_id = fields.String()
    phone_number = fields.String()
    name = fields.String()
    used_at = Moment()


class ControlledView(View):
    """What came of a control, and the conversation afterwards (before it, while the control is WAITING)."""

    control = fields.Nested(ControlView)
    conversation = fields.Nested(ConversationView)


class ClockMove(Body):
    """How far the clock goes on: so many `seconds`, or until the next timer is due."""

    seconds = fields.Float(
        load_default=None,
        allow_none=True,
        validate=validate.Range(1, MOST_SECONDS),
    )
    to_next_timer = fields.Boolean(load_default=False)

    @validates_schema
    def _moves_one_way(self, data: dict[str, Any], **_: Any) -> None:
        if (data.get("seconds") is not None) == bool(data.get("to_next_timer")):
            raise ValidationError("Give seconds, or toNextTimer, and not both.", "seconds")


class Breakpoints(Body):
    """Nodes that the flow stops before; with `stepMode`, all of them. They outlast a reset."""

    node_ids = fields.List(Id(), required=True, validate=validate.Length(max=_BREAKPOINTS_MOST))
    step_mode = fields.Boolean(load_default=False)


class CallsChoice(Body):
    """REAL: API and AI calls are made. STAND_IN: each node's stand-in answers."""

    calls = fields.String(required=True, validate=validate.OneOf([mode.value for mode in CallMode]))


class VariableValue(Body):
    """A value, and the type to make of it (none: the flow's declaration, or the value's own)."""

    value = Anything(required=True, allow_none=True)
    type = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.OneOf([*(kind.value for kind in VariableType), None]),
    )


class GoOn(Body):
    """STEP runs one node; CONTINUE goes on to the next breakpoint."""

    action = fields.String(
        required=True, validate=validate.OneOf([ControlAction.STEP.value, ControlAction.CONTINUE.value])
    )


class StandInFailure(Body):
    """A call that comes to nothing."""

    code = fields.String(load_default="call.failed", validate=validate.Regexp(r"^[a-z][a-z0-9_.]{0,59}$"))
    message = fields.String(load_default="The call failed.", validate=validate.Length(1, 300))


class StandInAnswer(Body):
    """What is answered: of an HTTP call `status`, `headers` and `body`, of an AI `text`, of either a `failure`."""

    status = fields.Integer(load_default=None, allow_none=True, validate=validate.Range(100, 599))
    headers = fields.Dict(
        keys=fields.String(validate=validate.Length(1, 200)),
        values=fields.String(validate=validate.Length(max=4096)),
        load_default=None,
        allow_none=True,
        validate=validate.Length(max=50),
    )
    body = Anything(load_default=None, allow_none=True)
    text = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=65_536))
    failure = fields.Nested(StandInFailure, load_default=None, allow_none=True)


class NewStandIn(Body):
    """What answers the calls of a node in tests."""

    kind = fields.String(required=True, validate=validate.OneOf(["HTTP", "CHAT"]))
    answer = fields.Nested(StandInAnswer, required=True)

    @validates_schema
    def _fits(self, data: dict[str, Any], **_: Any) -> None:
        answer = data.get("answer") or {}
        part = "status" if data.get("kind") == "HTTP" else "text"
        if (answer.get("failure") is None) == (answer.get(part) is None):
            raise ValidationError(f"Give {part}, or failure, and not both.", "answer")


class StandInView(View):
    """What answers the calls of a node in tests. `isRecorded`: a real answer, else written by hand."""

    node_id = fields.String()
    kind = fields.String(validate=validate.OneOf(["HTTP", "CHAT"]))
    answer = JsonObject()
    is_recorded = fields.Boolean()
    updated_at = Moment()


class StandInsView(View):
    """All stand-ins of a flow."""

    items = fields.List(fields.Nested(StandInView))


class Recording(Body):
    """From which test conversation; `nodeIds` none: of every node that got an answer in its last run."""

    conversation_id = Id(required=True)
    node_ids = fields.List(Id(), load_default=None, allow_none=True, validate=validate.Length(max=1000))


class SessionStateView(View):
    """A conversation as it stands, without a word of the customer's."""

    id = fields.String()
    status = fields.String(validate=validate.OneOf([status.value for status in SessionStatus]))
    is_open = fields.Boolean()
    flow_id = fields.String()
    flow_version_id = fields.String()
    current_node_id = fields.String(allow_none=True)
    turn = fields.Integer()
    wait = fields.Nested(WaitView, allow_none=True)
    updated_at = Moment()


class EventsQuery(Body):
    """Where to go on. A browser sends `Last-Event-ID` by itself when it connects again."""

    after = fields.String(
        load_default=None,
        validate=validate.Length(max=30),
        metadata={
            "description": "The id of the last event that you have; none: only what happens from now on."
        },
    )
