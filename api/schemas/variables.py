"""What goes in and out about bot variables."""

from __future__ import annotations

from marshmallow import fields, validate

from api.rest.schemas import Anything, Body, Moment, PageQuery, View
from common.flow.bot_files import VARIABLE_DESCRIPTION_MOST
from common.model.values import VariableType

_TYPES = [kind.value for kind in VariableType]
_REVISION = {
    "description": "Only if the variable is at this revision; 0: only if there is none. Without it, in any case."
}


def _revision() -> fields.Integer:
    return fields.Integer(
        load_default=None, strict=True, validate=validate.Range(0, 2**53), metadata=_REVISION
    )


class BotVariablesQuery(PageQuery):
    """Which variables."""

    prefix = fields.String(
        load_default=None,
        validate=validate.Length(max=64),
        metadata={"description": "Only those whose name begins so."},
    )


class BotVariableValue(Body):
    """What a variable holds. Its value must be of its type; nothing is converted."""

    value = Anything(required=True, allow_none=True)
    type = fields.String(required=True, validate=validate.OneOf(_TYPES))
    description = fields.String(validate=validate.Length(max=VARIABLE_DESCRIPTION_MOST))
    revision = _revision()


class BotVariableQuery(Body):
    """Which state of a variable to delete."""

    revision = fields.Integer(load_default=None, validate=validate.Range(0, 2**53), metadata=_REVISION)


class BotVariableView(View):
    """A bot variable."""

    name = fields.String(attribute="variableName")
    type = fields.String(attribute="variableType", validate=validate.OneOf(_TYPES))
    value = Anything(attribute="variableValue", allow_none=True)
    description = fields.String()
    revision = fields.Integer()
    created_at = Moment(allow_none=True)
    updated_at = Moment(allow_none=True)


class VariableUseView(View):
    """A place in a flow's draft that looks at the variable. Without a node: the flow declares it."""

    node_id = fields.String(allow_none=True)
    node_label = fields.String(allow_none=True)
    field = fields.String(allow_none=True, metadata={"description": "The field of the node's settings."})


class FlowUsingVariableView(View):
    """A flow whose draft uses the variable."""

    flow_id = fields.String()
    flow_name = fields.String()
    places = fields.List(fields.Nested(VariableUseView))


class VariableUsesView(View):
    """Where a variable is used. `isComplete`: whether all flows were looked at and all places are listed."""

    name = fields.String()
    flows = fields.List(fields.Nested(FlowUsingVariableView))
    is_complete = fields.Boolean()
