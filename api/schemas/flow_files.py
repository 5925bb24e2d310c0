"""What goes in and out when flows travel as files."""

from __future__ import annotations

from marshmallow import fields

from api.rest.schemas import Body, Id, JsonObject, Name, View


class FlowExportQuery(Body):
    """Which state of the flow."""

    at = Id(load_default="draft", metadata={"description": "`draft`, `live`, or the id of a version."})


class FlowImport(Body):
    """A file to make a flow of. `name`: instead of the one in the file."""

    file = JsonObject(
        required=True, metadata={"description": "What an export gave, or flow JSON as in docs/examples."}
    )
    name = Name(load_default=None)


class FlowFileView(View):
    """A flow as a file. The same flow always gives the same file."""

    format = fields.String()
    format_version = fields.Integer()
    name = fields.String()
    description = fields.String()
    flow = JsonObject()
    settings = JsonObject(metadata={"description": "What follows the flow's end; never another flow."})
    triggers = fields.List(fields.Dict())
