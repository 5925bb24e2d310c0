"""What goes in and out when drafts are loaded and saved."""

from __future__ import annotations

from marshmallow import fields, validate

from api.rest.schemas import NOTE_MOST, Body, Moment, View
from api.schemas.flows import FlowJson


class DraftChange(Body):
    """A draft to save. `revision`: the one that it started from. MANUAL saves become entries of the history."""

    flow_data = FlowJson(required=True)
    revision = fields.Integer(required=True, strict=True)
    kind = fields.String(load_default="AUTO", validate=validate.OneOf(["AUTO", "MANUAL"]))
    note = fields.String(load_default="", validate=validate.Length(max=NOTE_MOST))


class SavedDraftView(View):
    """What became of a save."""

    flow_id = fields.String(attribute="_id")
    revision = fields.Integer()
    has_changed = fields.Boolean(metadata={"description": "False: it was saved like this already."})
    version_id = fields.String(
        allow_none=True, metadata={"description": "The entry that the save added to the history."}
    )
    node_count = fields.Integer()
    saved_by = fields.String(allow_none=True, metadata={"description": "An e-mail address."})
    saved_at = Moment()


class DraftView(View):
    """A flow's draft."""

    flow_id = fields.String(attribute="_id")
    revision = fields.Integer()
    flow_data = FlowJson()
    node_count = fields.Integer()
    saved_by = fields.String(allow_none=True, metadata={"description": "An e-mail address."})
    saved_at = Moment()
