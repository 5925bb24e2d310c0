"""Flows as files: export one, import one."""

from __future__ import annotations

from typing import Any

from api.flow_paths import MOST_BODY_BYTES, flow_of, state_of
from api.rest.access import Access
from api.rest.call import Call, invalid
from api.rest.routes import Routes
from api.routes.flows import new_flow
from api.schemas.flow_files import FlowExportQuery, FlowFileView, FlowImport
from api.schemas.flows import FlowView
from common.flow.files import BadFile, lone_flow_file, read_lone_flow_file
from common.store.database import Document
from common.store.flow_settings import settings_of, triggers_of

routes = Routes("flow_files", "/api/bots/<bot_id>/flows", "Flows as files: export one, import one.")


@routes.get("/<flow_id>/export", access=Access.READER, query=FlowExportQuery, answer=FlowFileView)
def export_flow(call: Call) -> dict[str, Any]:
    """Export a flow: its draft, what is live, or a version.

    With its triggers and what follows its end, but not the flow that it hands over to. Without ids and times: what
    is imported from it exports to the same file again. What somebody wrote into the flow is in it, also where that is
    a secret, as in a header of an API node.
    """
    flow = flow_of(call)
    data = state_of(call, call.query["at"])["flowData"]
    call.audit("flow.exported", target_type="flow", target_id=flow["_id"], detail={"at": call.query["at"]})
    return lone_flow_file(
        flow["name"], flow.get("description") or "", data, settings_of(flow), triggers_of(flow)
    )


@routes.post(
    "/import",
    access=Access.OWNER,
    body=FlowImport,
    answer=FlowView,
    status=201,
    idempotent=True,
    most_bytes=MOST_BODY_BYTES,
)
def import_flow(call: Call) -> Document:
    """Import a flow from a file.

    It becomes a new flow; where its name is taken it gets a number behind it, unless `name` says how to call it.
    Triggers that another flow of the bot has already are left out. 422 says what is wrong with the file, and where.
    """
    try:
        file = read_lone_flow_file(call.body["file"])
    except BadFile as bad:
        raise invalid({f"file.{at}" if at else "file": why for at, why in bad.problems.items()}) from None
    settings = (
        {"restartPolicy": file.restart_policy.value, "fallbackFlowId": None} if file.restart_policy else None
    )
    return new_flow(
        call,
        call.body["name"],
        file.description,
        file.flow_data,
        settings,
        like=file.name,
        triggers=file.triggers,
    )
