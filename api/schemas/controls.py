"""What a person does to a conversation, and what came of it."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate

from api.rest.schemas import Body, Moment, View
from common.model.phone_numbers import normalise

MOST_PAUSE_MINUTES = 365 * 24 * 60


class PhoneNumber(fields.String):
    """A phone number with its country code, however it is written; loaded as digits."""

    def __init__(self, **options: Any) -> None:
        text = "With the country code, as people write it: +49 170 1234567."
        super().__init__(validate=validate.Length(1, 40), metadata={"description": text}, **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> str:
        digits = normalise(str(super()._deserialize(value, attr, data, **more)))
        if digits is None:
            raise ValidationError("This is no phone number with a country code, such as +49 170 1234567.")
        return digits


class ControlView(View):
    """A control. While it is WAITING, ask `GET …/controls/{id}` what became of it."""

    id = fields.String()
    state = fields.String(validate=validate.OneOf(["DONE", "WAITING"]))
    outcome = fields.String(
        allow_none=True,
        validate=validate.OneOf(["APPLIED", "UNCHANGED", "REFUSED", None]),
        metadata={"description": "UNCHANGED: it was so already. Null while it waits."},
    )
    reason = fields.String(allow_none=True, metadata={"description": "Why it was refused."})


class Pause(Body):
    """How long a person takes over. Without `minutes`: until the bot is resumed."""

    minutes = fields.Integer(
        load_default=None, allow_none=True, strict=True, validate=validate.Range(1, MOST_PAUSE_MINUTES)
    )


class PauseByNumber(Pause):
    """A person takes over a conversation that may not have begun yet."""

    phone_number = PhoneNumber(required=True)


class TakeoverView(View):
    """Whether a person has taken over a contact's conversation."""

    contact_id = fields.String()
    is_paused = fields.Boolean()
    paused_at = Moment(allow_none=True)
    paused_until = Moment(allow_none=True, metadata={"description": "Null: until the bot is resumed."})
    paused_by = fields.String(allow_none=True, metadata={"description": "The user's id."})


class ControlledContactView(View):
    """A contact after a control; as it was before it while the control is WAITING."""

    control = fields.Nested(ControlView)
    contact = fields.Nested(TakeoverView)
