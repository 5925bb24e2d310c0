"""What flows are made of: the kinds of nodes, and examples to begin with."""

from __future__ import annotations

from functools import cache
from typing import Any

from api.examples import example_names, read_example
from api.rest.access import Access
from api.rest.call import Call
from api.rest.routes import Routes
from api.schemas.flows import FlowExamplesView
from api.schemas.node_types import NodeTypesView
from common.flow.describe import describe
from common.flow.registry import node_types
from common.model.flow_content import node_count

routes = Routes(
    "node_types", "/api", "What flows are made of: the kinds of nodes, and examples to begin with."
)


@routes.get("/node-types", access=Access.SIGNED_IN, answer=NodeTypesView)
def list_node_types(call: Call) -> dict[str, Any]:
    """List the kinds of nodes: enough to draw their cards, exits and settings forms."""
    return {"items": _described(), "models": list(call.settings.openai_models)}


@routes.get("/flow-examples", access=Access.SIGNED_IN, answer=FlowExamplesView)
def list_flow_examples(call: Call) -> dict[str, Any]:
    """List the examples that a flow can begin as."""
    del call
    return {"items": list(_examples())}


@cache
def _described() -> list[dict[str, Any]]:
    return [describe(node_type) for node_type in node_types().values()]


@cache
def _examples() -> tuple[dict[str, Any], ...]:
    read = {name: read_example(name) or {} for name in example_names()}
    return tuple(
        {"example": name, "name": data.get("flowName") or name, "nodeCount": node_count(data)}
        for name, data in read.items()
    )
