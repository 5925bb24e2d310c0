"""Check a flow before it is deployed."""

from __future__ import annotations

from typing import Any

from api.flow_paths import MOST_BODY_BYTES, draft_of, flow_of, version_of
from api.flow_validation import validate_flow
from api.rest.access import Access
from api.rest.call import Call
from api.rest.routes import Routes
from api.routes.flows import check_size
from api.schemas.validation import FlowToCheck, ValidationQuery, ValidationView

routes = Routes("validation", "/api/bots/<bot_id>/flows/<flow_id>", "Check a flow before it is deployed.")


@routes.get("/validation", access=Access.READER, query=ValidationQuery, answer=ValidationView)
def get_validation(call: Call) -> dict[str, Any]:
    """Check a flow's draft, or a version, against the bot as it is now."""
    version_id = call.query["version_id"]
    found = version_of(call, version_id) if version_id else draft_of(call)
    return validate_flow(call.store, flow_of(call), found["flowData"]).to_json()


@routes.post(
    "/validate", access=Access.OWNER, body=FlowToCheck, answer=ValidationView, most_bytes=MOST_BODY_BYTES
)
def validate_unsaved(call: Call) -> dict[str, Any]:
    """Check a flow as it is being edited, before it is saved; without `flowData`, its draft.

    Its shape may be as wrong as it likes; 422 where it is larger than what can be saved.
    """
    data = call.body["flow_data"]
    if data is None:
        data = draft_of(call)["flowData"]
    else:
        check_size(data)
    return validate_flow(call.store, flow_of(call), data).to_json()
