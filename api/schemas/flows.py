"""What goes in and out about flows as wholes."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from api.rest.schemas import Body, JsonObject, Moment, Name, PageQuery, View
from common.flow.files import DESCRIPTION_MOST

_SORTS = ["name", "-name", "updatedAt", "-updatedAt", "createdAt", "-createdAt"]


class FlowJson(JsonObject):
    """A flow as JSON."""

    def __init__(self, **options: Any) -> None:
        about = {"description": "The flow's nodes, edges and variables; docs/examples has some."}
        super().__init__(metadata=about, **options)


def _description(**options: object) -> fields.String:
    return fields.String(validate=validate.Length(max=DESCRIPTION_MOST), **options)  # type: ignore[arg-type]


class FlowsQuery(PageQuery):
    """Which flows, in which order."""

    name = fields.String(
        load_default=None,
        validate=validate.Length(max=120),
        metadata={"description": "Only flows whose name holds this text; case does not count."},
    )
    sort = fields.String(
        load_default="-updatedAt",
        validate=validate.OneOf(_SORTS),
        metadata={"description": "With a - in front: the other way round."},
    )


class NewFlow(Body):
    """A new flow: with a START node alone, or with `flowData`, or as one of the examples (`GET /api/flow-examples`)."""

    name = Name(required=True)
    description = _description(load_default="")
    flow_data = FlowJson(load_default=None)
    example = fields.String(load_default=None, validate=validate.Length(max=80))

    @validates_schema
    def check_source(self, data: dict[str, object], **_: object) -> None:
        if data.get("flow_data") is not None and data.get("example") is not None:
            raise ValidationError("Give either flow data or an example.", "example")


class FlowChange(Body):
    """What to change of a flow's name and description. `revision` is the flow's own, not its draft's."""

    revision = fields.Integer(required=True, strict=True)
    name = Name()
    description = _description()


class FlowCopy(Body):
    """The copy's name; without one, the name of the original with a number behind it."""

    name = Name(load_default=None)


class FlowDeletion(Body):
    """`force`: also the flow that new conversations begin with, and one that other flows hand over to."""

    force = fields.Boolean(load_default=False)


class FlowView(View):
    """A flow. `revision` counts changes of name and settings, `draftRevision` saves of the draft."""

    id = fields.String()
    bot_id = fields.String()
    name = fields.String()
    description = fields.String()
    revision = fields.Integer()
    draft_revision = fields.Integer(allow_none=True)
    node_count = fields.Integer(metadata={"description": "Of the draft."})
    is_default = fields.Boolean(metadata={"description": "Conversations begin with it when no trigger fits."})
    live_version_id = fields.String(allow_none=True)
    live_version_number = fields.Integer(allow_none=True)
    deployed_at = Moment(allow_none=True)
    has_unpublished_changes = fields.Boolean(
        metadata={"description": "The draft says something else than the live version, or nothing is live."}
    )
    created_at = Moment()
    updated_at = Moment()


class FlowExampleView(View):
    """A flow to begin with."""

    example = fields.String(metadata={"description": "Its name for `POST …/flows`."})
    name = fields.String()
    node_count = fields.Integer()


class FlowExamplesView(View):
    """The examples that there are."""

    items = fields.List(fields.Nested(FlowExampleView))
