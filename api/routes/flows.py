"""Flows of a bot: list, create, rename, duplicate, delete."""

from __future__ import annotations

from typing import Any, Final

from api.examples import read_example
from api.flow_closing import close_conversations
from api.flow_paths import MOST_BODY_BYTES, draft_of, flow_of, show_flows, stale
from api.rest.access import Access
from api.rest.call import Call, conflict, invalid, not_found
from api.rest.routes import Routes
from api.rest.schemas import page_of
from api.schemas.flows import FlowChange, FlowCopy, FlowDeletion, FlowsQuery, FlowView, NewFlow
from common.errors import AppError, ErrorCode
from common.flow.shape import Problems, shape_problems, size_problems
from common.model.bot_parts import MOST_FLOWS
from common.model.flow_settings import Trigger
from common.store.database import Document
from common.store.flow_drafts import NoSuchFlow, StaleRevision
from common.store.flows import FlowInUse, NameTaken, TooManyFlows
from common.store.paging import Page

routes = Routes(
    "flows", "/api/bots/<bot_id>/flows", "Flows of a bot: list, create, rename, duplicate, delete."
)

_NAMES_TRIED: Final = 5
_IN_USE: Final = (
    "Customers would notice: new conversations begin with this flow, or other flows hand over to it. "
    "Choose others for that first, or delete it with force."
)


@routes.get("", access=Access.READER, query=FlowsQuery, answer=page_of(FlowView))
def list_flows(call: Call) -> Document:
    """List a bot's flows."""
    sort: str = call.query["sort"]
    page = call.store.flows.page(
        call.bot_id,
        limit=call.query["limit"],
        cursor=call.query["cursor"],
        sort=sort.removeprefix("-"),  # type: ignore[arg-type]  # one of three: the schema has checked it
        is_descending=sort.startswith("-"),
        text=call.query["name"],
    )
    return Page(show_flows(call, page.items), page.next_cursor).as_document()


@routes.post(
    "",
    access=Access.OWNER,
    body=NewFlow,
    answer=FlowView,
    status=201,
    idempotent=True,
    most_bytes=MOST_BODY_BYTES,
)
def create_flow(call: Call) -> Document:
    """Create a flow.

    It begins with a START node alone, with the given flow data, or as one of the examples; its history is empty. 409
    `already_exists` where the bot has a flow of that name.
    """
    data, example = call.body["flow_data"], call.body["example"]
    if example is not None:
        data = read_example(example)
        if data is None:
            raise invalid({"example": ["There is no such example."]})
    if data is not None:
        check_shape(data)
    return new_flow(call, call.body["name"], call.body["description"], data)


@routes.get("/<flow_id>", access=Access.READER, answer=FlowView)
def get_flow(call: Call) -> Document:
    """Show a flow: what is live, and whether its draft says something else."""
    return show_flows(call, [flow_of(call)])[0]


@routes.patch("/<flow_id>", access=Access.OWNER, body=FlowChange, answer=FlowView)
def rename_flow(call: Call) -> Document:
    """Rename or describe a flow.

    409 `revision_conflict` where it was changed meanwhile, `already_exists` where the name is taken.
    """
    try:
        flow = call.store.flows.describe(
            call.bot_id,
            call.path["flow_id"],
            revision=call.body["revision"],
            by=call.user_id,
            name=call.body.get("name"),
            description=call.body.get("description"),
        )
    except NameTaken:
        raise _name_taken() from None
    except StaleRevision as revision:
        raise stale(call, revision) from None
    except NoSuchFlow:
        raise not_found("flow") from None
    return show_flows(call, [flow])[0]


@routes.post(
    "/<flow_id>/duplicate", access=Access.OWNER, body=FlowCopy, answer=FlowView, status=201, idempotent=True
)
def duplicate_flow(call: Call) -> Document:
    """Duplicate a flow.

    The copy has the draft and what follows its end; the triggers stay with the original, and the copy is not live.
    """
    flow, draft = flow_of(call), draft_of(call)
    about, settings = flow.get("description") or "", flow.get("settings")
    return new_flow(call, call.body["name"], about, draft["flowData"], settings, like=flow["name"])


@routes.delete("/<flow_id>", access=Access.OWNER, query=FlowDeletion)
def delete_flow(call: Call) -> None:
    """Delete a flow, with its draft and history.

    409 `flow_in_use` where new conversations begin with it or other flows hand over to it, unless forced. Its running
    conversations are closed: what the customer writes next begins a new one.
    """
    flow_id, is_forced = call.path["flow_id"], call.query["force"]
    entry = call.audit_entry("flow.deleted", target_type="flow", target_id=flow_id)
    try:
        call.store.flows.delete(call.bot_id, flow_id, is_forced=is_forced, audit_entry=entry)
    except NoSuchFlow:
        # Perhaps an earlier request broke off in the middle: then this one finishes it.
        if not _clear_up(call, flow_id):
            raise not_found("flow") from None
        return
    except FlowInUse as use:
        fields = {"isDefault": use.is_default, "fallbackOf": use.fallback_of}
        raise conflict(ErrorCode.FLOW_IN_USE, _IN_USE, fields) from None
    _clear_up(call, flow_id)


def _clear_up(call: Call, flow_id: str) -> bool:
    """End what a deleted flow of the bot leaves behind; False where there was nothing."""
    closed = close_conversations(call, flow_id)
    forgotten = call.store.flows.forget_history(call.bot_id, flow_id)
    return closed > 0 or forgotten > 0


def new_flow(
    call: Call,
    name: str | None,
    description: str,
    flow_data: Any,
    settings: Document | None = None,
    *,
    like: str = "",
    triggers: tuple[Trigger, ...] = (),
) -> Document:
    """Create a flow and show it; without a name it gets a free one like that. Raises AppError 409."""
    flows, tries = call.store.flows, 1 if name else _NAMES_TRIED
    for _ in range(tries):
        try:
            flow = flows.create(
                call.bot_id,
                name or flows.free_name(call.bot_id, like),
                flow_id=call.new_id,
                by=call.user_id,
                description=description,
                flow_data=flow_data,
                settings=settings,
                triggers=triggers,
            )
        except NameTaken:
            continue  # somebody was quicker
        except TooManyFlows:
            raise conflict(
                ErrorCode.CONFLICT, f"A bot has {MOST_FLOWS} flows at most. Delete one that you do not need."
            ) from None
        return show_flows(call, [flow])[0]
    raise _name_taken()


def check_shape(flow_data: Any, place: str = "flowData") -> None:
    """Refuse what cannot be kept as a flow. Raises AppError 422."""
    _refuse(shape_problems(flow_data), place)


def check_size(flow_data: Any, place: str = "flowData") -> None:
    """Refuse more than can be kept as a flow, whatever its shape. Raises AppError 422."""
    _refuse(size_problems(flow_data), place)


def _refuse(problems: Problems, place: str) -> None:
    if problems:
        raise invalid({f"{place}.{inner}" if inner else place: why for inner, why in problems.items()})


def _name_taken() -> AppError:
    return conflict(ErrorCode.ALREADY_EXISTS, "The bot has a flow of this name already. Choose another name.")
