"""What the builder is told of the kinds of nodes."""

from __future__ import annotations

from marshmallow import fields

from api.rest.schemas import JsonObject, View


class NodeTypesView(View):
    """Every kind of node: its look, exits and settings, as docs/nodes.md explains them."""

    items = fields.List(JsonObject())
    models = fields.List(
        fields.String(), metadata={"description": "AI models to offer; any other can be typed."}
    )
