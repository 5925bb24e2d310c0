"""What goes in and out about a flow's history."""

from __future__ import annotations

from marshmallow import fields, validate

from api.rest.schemas import NOTE_MOST, Anything, Body, Id, Moment, PageQuery, View
from api.schemas.flows import FlowJson

_AT = "`draft`, `live`, or the id of a version."


class VersionsQuery(PageQuery):
    """Which entries of the history."""

    is_deployed = fields.Boolean(
        load_default=None,
        allow_none=True,
        metadata={"description": "true: only versions that were live; false: only saved ones."},
    )


class VersionNote(Body):
    """What to write beside a version."""

    note = fields.String(required=True, validate=validate.Length(max=NOTE_MOST))


class Restoration(Body):
    """`revision`: the draft's, as it was when somebody decided to replace it."""

    revision = fields.Integer(required=True, strict=True)
    note = fields.String(load_default="", validate=validate.Length(max=NOTE_MOST))


class ComparisonQuery(Body):
    """Which two states of a flow to compare."""

    from_ = Id(required=True, metadata={"description": _AT})
    to = Id(required=True, metadata={"description": _AT})


class VersionView(View):
    """An entry of a flow's history: saved (`isDraft`) or deployed, one of them live (`isProduction`)."""

    id = fields.String()
    flow_id = fields.String()
    version_number = fields.Integer()
    is_draft = fields.Boolean()
    is_production = fields.Boolean()
    revision = fields.Integer(allow_none=True, metadata={"description": "Of the draft that it was."})
    note = fields.String()
    node_count = fields.Integer()
    created_by = fields.String(allow_none=True, metadata={"description": "An e-mail address."})
    created_at = Moment()
    deployed_by = fields.String(allow_none=True, metadata={"description": "An e-mail address."})
    deployed_at = Moment(allow_none=True)


class VersionDetailView(VersionView):
    """A version with its flow."""

    flow_data = FlowJson()


class ComparedNodeView(View):
    """A node that is in one of the two only."""

    node_id = fields.String()
    label = fields.String()
    node_type = fields.String(allow_none=True)


class ChangedFieldView(View):
    """A value that is not the same; null where it is not there."""

    path = fields.String(metadata={"description": "`buttons[1].label`, as far down as the difference goes."})
    before = Anything(allow_none=True)
    after = Anything(allow_none=True)


class ChangedNodeFieldView(ComparedNodeView, ChangedFieldView):
    """A field of a node, for example `config.buttons[1].label`."""


class MovedNodeView(ComparedNodeView):
    """A node that stands somewhere else."""

    before = Anything(allow_none=True)
    after = Anything(allow_none=True)


class ComparedEdgeView(View):
    """A connection that is in one of the two only."""

    source_node_id = fields.String()
    source_handle = fields.String()
    target_node_id = fields.String()
    target_handle = fields.String()


class ComparisonView(View):
    """What changed on the way. A node that only moved is in `nodesMoved` alone."""

    is_same = fields.Boolean()
    nodes_added = fields.List(fields.Nested(ComparedNodeView))
    nodes_removed = fields.List(fields.Nested(ComparedNodeView))
    nodes_changed = fields.List(fields.Nested(ChangedNodeFieldView))
    nodes_moved = fields.List(fields.Nested(MovedNodeView))
    edges_added = fields.List(fields.Nested(ComparedEdgeView))
    edges_removed = fields.List(fields.Nested(ComparedEdgeView))
    settings_changed = fields.List(fields.Nested(ChangedFieldView))
    variables_changed = fields.List(fields.Nested(ChangedFieldView))
