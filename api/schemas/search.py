"""What goes in and out when flows are searched."""

from __future__ import annotations

from marshmallow import fields, validate

from api.rest.schemas import Body, Id, View

QUERY_MOST = 200


class BotSearchQuery(Body):
    """What to look for: a text, never a pattern."""

    q = fields.String(required=True, validate=validate.Length(min=1, max=QUERY_MOST))


class FlowSearchQuery(BotSearchQuery):
    """What to look for, and where: in the draft, or in a version."""

    version_id = Id(load_default=None)


class HitView(View):
    """A field that holds the text."""

    node_id = fields.String()
    node_type = fields.String(allow_none=True)
    label = fields.String()
    path = fields.String(metadata={"description": "`config.buttons[1].label`"})
    snippet = fields.String(metadata={"description": "The text with some of what stands around it."})
    match = fields.String(metadata={"description": "The text as it is written there."})


class FlowHitView(HitView):
    """A field of one of the bot's flows."""

    flow_id = fields.String()
    flow_name = fields.String()


class HitsView(View):
    """What was found. `isComplete` is false where there is more than is shown."""

    items = fields.List(fields.Nested(HitView))
    is_complete = fields.Boolean()


class FlowHitsView(View):
    """What was found in all the flows. `isComplete` is false where there is more than is shown."""

    items = fields.List(fields.Nested(FlowHitView))
    is_complete = fields.Boolean()
