"""Where a bot's drafts use one of its variables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from common.flow.definition import load_flow
from common.flow.validation.uses import uses_of
from common.store.database import Document
from common.store.store import Store

MOST_FLOWS: Final = 200
MOST_PLACES: Final = 50  # of a flow


def uses_of_variable(store: Store, bot_id: str, name: str) -> Document:
    """The flows that use a variable, as `VariableUsesView` reads them."""
    flows = store.flows.of_bot(bot_id)
    found: list[Document] = []
    is_complete = len(flows) <= MOST_FLOWS
    for flow in flows[:MOST_FLOWS]:
        draft = store.flows.draft(bot_id, flow["_id"])
        data = draft["flowData"] if draft else None
        # Reading a flow takes long; most do not hold the name at all.
        if data is None or name not in json.dumps(data):
            continue
        places = list(_places(data, name))
        is_complete = is_complete and len(places) <= MOST_PLACES
        if places:
            found.append({"flowId": flow["_id"], "flowName": flow["name"], "places": places[:MOST_PLACES]})
    return {"name": name, "flows": found, "isComplete": is_complete}


def _places(data: dict[str, Any], name: str) -> Iterator[Document]:
    flow = load_flow(data, "draft").flow
    if flow is None:
        return
    if name in flow.variables_declared.bot:
        yield {"nodeId": None, "nodeLabel": None, "field": None}
    for node in flow.nodes.values():
        for use in uses_of(node):
            if name in use.chain.names:
                yield {"nodeId": node.node_id, "nodeLabel": node.label, "field": use.field}
