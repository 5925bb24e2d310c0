"""What goes in and out about a user's OpenAI account."""

from __future__ import annotations

from marshmallow import fields, validate

from api.rest.schemas import Body, Moment, View
from api.stored_secrets import Secret


class OpenAIKey(Body):
    """The key that all of the user's bots shall use."""

    api_key = Secret(required=True, most=512)


class OpenAIAccountView(View):
    """The user's OpenAI account. `apiKey` is a mask."""

    has_key = fields.Boolean()
    api_key = fields.String(allow_none=True)
    last_checked_at = Moment(allow_none=True)
    created_at = Moment(allow_none=True)
    updated_at = Moment(allow_none=True)


class OpenAIModelView(View):
    """A model. SETTINGS: offered by this installation; ACCOUNT: also open to this key, as OpenAI says."""

    name = fields.String()
    source = fields.String(validate=validate.OneOf(["SETTINGS", "ACCOUNT"]))


class OpenAIModelsView(View):
    """Models for AI nodes; any other name can be typed. `isLive`: OpenAI was asked which ones the key opens."""

    models = fields.List(fields.Nested(OpenAIModelView))
    is_live = fields.Boolean()
    sentence = fields.String(allow_none=True, metadata={"description": "Why OpenAI's own list is missing."})
