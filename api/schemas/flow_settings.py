"""What goes in and out about a flow's triggers and what follows its end."""

from __future__ import annotations

from marshmallow import ValidationError, fields, validate, validates_schema

from api.rest.schemas import Body, Id, Name, View
from common.model.flow_settings import Match, RestartPolicy, Trigger
from common.model.triggers import repeated

TRIGGER_MOST, TRIGGERS_MOST = 100, 20
_POLICIES = [policy.value for policy in RestartPolicy]
_MATCHES = [match.value for match in Match]
_INTERRUPTS = {
    "description": "Also start the flow in the middle of another conversation, whatever that waits for, and after its end."
}


class TriggerBody(Body):
    """A text that starts the flow. Case, spaces and ways of writing an accent do not count."""

    text = Name(required=True, most=TRIGGER_MOST)
    match = fields.String(load_default=Match.EXACT.value, validate=validate.OneOf(_MATCHES))
    interrupts = fields.Boolean(load_default=False, metadata=_INTERRUPTS)


class FlowSettingsChange(Body):
    """All settings of a flow. `revision` is the flow's own, as `GET` answered it."""

    revision = fields.Integer(required=True, strict=True, validate=validate.Range(0, 2**53))
    restart_policy = fields.String(required=True, validate=validate.OneOf(_POLICIES))
    fallback_flow_id = Id(load_default=None, allow_none=True)
    triggers = fields.List(
        fields.Nested(TriggerBody), required=True, validate=validate.Length(max=TRIGGERS_MOST)
    )

    @validates_schema
    def check_whole(self, data: dict[str, object], **_: object) -> None:
        if (
            data.get("restart_policy") == RestartPolicy.FALLBACK_FLOW.value
            and data.get("fallback_flow_id") is None
        ):
            raise ValidationError(
                "Choose the flow that takes over when this one has ended.", "fallbackFlowId"
            )
        again = repeated(read_triggers(data["triggers"]))
        if again:
            message = "This trigger says what an earlier one says, or nothing at all."
            raise ValidationError({place: {"text": [message]} for place in again}, "triggers")


def read_triggers(given: object) -> list[Trigger]:
    """The triggers of a body."""
    return [
        Trigger(one["text"], Match(one["match"]), one["interrupts"])
        for one in (given if isinstance(given, list) else ())
    ]


class DefaultFlowChoice(Body):
    """The flow that conversations begin with when no trigger fits."""

    flow_id = Id(required=True)


class TriggerView(View):
    """A text that starts the flow."""

    text = fields.String()
    match = fields.String(validate=validate.OneOf(_MATCHES))
    interrupts = fields.Boolean(metadata=_INTERRUPTS)


class FlowSettingsView(View):
    """What is set for a flow. It takes effect at once; no deploy is needed."""

    flow_id = fields.String()
    revision = fields.Integer()
    restart_policy = fields.String(
        validate=validate.OneOf(_POLICIES),
        metadata={"description": "What the next message does after an END that kept the conversation open."},
    )
    fallback_flow_id = fields.String(allow_none=True)
    triggers = fields.List(fields.Nested(TriggerView))
    is_default = fields.Boolean(metadata={"description": "Conversations begin with it when no trigger fits."})


class DefaultFlowView(View):
    """A bot's default flow."""

    bot_id = fields.String()
    flow_id = fields.String()
