"""Conversations for people to look through, and what a person does to one."""

from __future__ import annotations

from typing import Any

from flask import Response

from api.control import control
from api.history.calls import calls_page
from api.history.path import path_of
from api.history.record import SessionRecord
from api.history.steps import steps_page, value_with_type
from api.history.timeline import shown_message, timeline_page
from api.history.timeline_file import timeline_json, timeline_pdf
from api.rest.access import Access
from api.rest.call import Call, conflict, invalid, not_found
from api.rest.routes import Routes
from api.rest.schemas import page_of
from api.schemas.sessions import (
    CallQuery,
    ControlledSessionView,
    NewValue,
    SessionCallView,
    SessionDetailView,
    SessionPathView,
    SessionQuery,
    SessionStepView,
    SessionVariablesView,
    SessionView,
    StepQuery,
)
from api.schemas.transcripts import (
    TimelineEntryView,
    TimelineFileView,
    TimelineQuery,
    TranscriptMessageView,
    TranscriptQuery,
)
from api.takeover import takeover_of
from common.errors import ErrorCode
from common.model.contacts import Channel
from common.model.control import Control, ControlAction
from common.model.conversation_jobs import Conversation
from common.model.session import SessionStatus
from common.redaction import shorten_phone
from common.store.database import Document
from common.store.session_history import NotListed, SessionFilters

routes = Routes(
    "sessions",
    "/api/bots/<bot_id>/sessions",
    "Conversations: lists, what was said, what ran and why; closing one, a test's variables.",
)
_ONLY_TESTS = "Variables can be changed in a test that is under way, and nowhere else."
_AUDITED = {
    ControlAction.CLOSE: "session.closed",
    ControlAction.RESET: "session.reset",
    ControlAction.SET_VARIABLE: "session.variable_set",
    ControlAction.DELETE_VARIABLE: "session.variable_deleted",
}


@routes.get("", access=Access.READER, query=SessionQuery, answer=page_of(SessionView))
def list_sessions(call: Call) -> Document:
    """List the conversations of a bot, the newest first.

    Filters can be joined, but for two rules: `nodeId` needs `versionId` (or `contactId`), and `versionId` goes without
    `flowId` and `isTest`, which follow from it.
    """
    asked = call.query
    filters = SessionFilters(
        statuses=tuple(SessionStatus(status) for status in asked["status"] or ()),
        flow_id=asked["flow_id"],
        version_id=asked["version_id"],
        node_id=asked["node_id"],
        contact_id=asked["contact_id"],
        is_test=asked["is_test"],
        since=asked["from_"],
        until=asked["to"],
    )
    try:
        page = call.store.session_history.page(
            call.bot_id, filters, limit=asked["limit"], cursor=asked["cursor"]
        )
    except NotListed as refused:
        raise invalid(refused.fields) from None
    return {**page.as_document(), "items": [_for(call, session) for session in page.items]}


@routes.get("/<session_id>", access=Access.READER, answer=SessionDetailView)
def get_session(call: Call) -> Document:
    """Look at one conversation.

    An administrator sees no name, no message of a failure, and the phone number shortened.
    """
    session = _session(call)
    history, record = call.store.session_history, SessionRecord(call.store, session)
    known = record.flow(session["flowVersionId"])
    contact = history.contact(call.bot_id, session["contactId"])
    return {
        **_for(call, session),
        "flowName": history.flow_name(call.bot_id, session["flowId"]),
        "versionNumber": (history.version(session["flowVersionId"]) or {}).get("versionNumber"),
        "nodeLabel": known.label(session["currentNodeId"]) if known and session["currentNodeId"] else None,
        "contact": _contact(call, contact) if contact else None,
        "failure": _failure(call, session),
    }


@routes.get(
    "/<session_id>/messages",
    access=Access.OWNER,
    query=TranscriptQuery,
    answer=page_of(TranscriptMessageView),
)
def list_transcript(call: Call) -> Document:
    """Read what was said, both ways, with what became of each message.

    Messages that came after the session and before the next one (while a person had taken over, say) stand here,
    too; `note` says why nothing followed.
    """
    page = call.store.transcripts.of_session(
        _session(call),
        limit=call.query["limit"],
        cursor=call.query["cursor"],
        is_newest_first=call.query["order"] == "newest",
    )
    return {**page.as_document(), "items": [shown_message(message) for message in page.items]}


@routes.get("/<session_id>/steps", access=Access.OWNER, query=StepQuery, answer=page_of(SessionStepView))
def list_steps(call: Call) -> Document:
    """Read the log: which nodes ran, what they heard, which exits they took.

    In a test also the variables that each one read and set. The log is kept for some days only.
    """
    return steps_page(
        _record(call),
        limit=call.query["limit"],
        cursor=call.query["cursor"],
        is_newest_first=call.query["order"] == "newest",
    ).as_document()


@routes.get("/<session_id>/path", access=Access.OWNER, answer=SessionPathView)
def get_session_path(call: Call) -> Document:
    """Follow the way through the flow: each exit that was taken, and those beside it that were not."""
    return path_of(_record(call))


@routes.get("/<session_id>/calls", access=Access.OWNER, query=CallQuery, answer=page_of(SessionCallView))
def list_calls(call: Call) -> Document:
    """List the API and AI calls, in order.

    Of a test everything is shown but secrets; of a real customer's conversation where a call went, how it ended, how
    long it took, and what a model's answer cost.
    """
    return calls_page(_record(call), limit=call.query["limit"], cursor=call.query["cursor"]).as_document()


@routes.get(
    "/<session_id>/timeline",
    access=Access.OWNER,
    query=TimelineQuery,
    answer=page_of(TimelineEntryView),
)
def get_timeline(call: Call) -> Document:
    """Read everything that happened in one line: events, steps, messages, calls. `limit` counts turns."""
    return timeline_page(_record(call), turns=call.query["limit"], cursor=call.query["cursor"]).as_document()


@routes.get("/<session_id>/timeline.json", access=Access.OWNER, answer=TimelineFileView)
def download_timeline(call: Call) -> Response:
    """Download the timeline as JSON: the session and its entries, up to 500 turns."""
    return timeline_json(_record(call))


@routes.get("/<session_id>/timeline.pdf", access=Access.OWNER, media="application/pdf")
def print_timeline(call: Call) -> Response:
    """Download the timeline as a PDF, up to 500 entries."""
    return timeline_pdf(_record(call))


@routes.get("/<session_id>/variables", access=Access.OWNER, answer=SessionVariablesView)
def get_session_variables(call: Call) -> Document:
    """Look at the variables, the session's and the bot's.

    A real conversation has them as long as it is open. Those of a test that is over come from its log.
    """
    session, history = _session(call), call.store.session_history
    source, variables = "STORED", history.variables(session["_id"])
    if not session["isOpen"]:
        source, variables = _variables_at_the_end(call, session)
    return {"source": source, "session": variables, "bot": history.bot_variables(call.bot_id)}


@routes.put(
    "/<session_id>/variables/<name>",
    access=Access.OWNER,
    body=NewValue,
    answer=ControlledSessionView,
    other_statuses=(202,),
    idempotent=True,
)
def set_session_variable(call: Call) -> tuple[Document, int]:
    """Set a variable of a test.

    409 for a real customer's conversation, and for a value that the variable cannot take.
    """
    arguments = {"name": call.path["name"], "value": call.body["value"], "type": call.body["type"]}
    return _controlled(call, ControlAction.SET_VARIABLE, {**arguments, "sessionId": call.path["session_id"]})


@routes.delete(
    "/<session_id>/variables/<name>",
    access=Access.OWNER,
    answer=ControlledSessionView,
    status=200,
    other_statuses=(202,),
)
def delete_session_variable(call: Call) -> tuple[Document, int]:
    """Delete a variable of a test."""
    arguments = {"name": call.path["name"], "sessionId": call.path["session_id"]}
    return _controlled(call, ControlAction.DELETE_VARIABLE, arguments)


@routes.post(
    "/<session_id>/close",
    access=Access.OWNER,
    answer=ControlledSessionView,
    other_statuses=(202,),
    idempotent=True,
)
def close_session(call: Call) -> tuple[Document, int]:
    """Close a conversation; the next message begins a new one.

    202 where its worker has not come to it within two seconds; it will. Closing what is closed changes nothing.
    """
    return _controlled(call, ControlAction.CLOSE, {"sessionId": call.path["session_id"]})


@routes.post(
    "/<session_id>/reset",
    access=Access.OWNER,
    answer=ControlledSessionView,
    other_statuses=(202,),
    idempotent=True,
)
def reset_session(call: Call) -> tuple[Document, int]:
    """Close a conversation and, in a test, set its clock back, too."""
    return _controlled(call, ControlAction.RESET, {"sessionId": call.path["session_id"]})


def _session(call: Call) -> Document:
    session = call.store.session_history.find(call.bot_id, call.path["session_id"])
    if session is None:
        raise not_found("conversation")
    return session


def _record(call: Call) -> SessionRecord:
    return SessionRecord(call.store, _session(call))


def _for(call: Call, session: Document) -> Document:
    """The session as this caller may see it."""
    phone = session.get("userPhoneNumber")
    return {**session, "userPhoneNumber": shorten_phone(phone)} if phone and call.is_admin else session


def _contact(call: Call, contact: Document) -> Document:
    phone = contact.get("waId")
    masked = {"profileName": None, "waId": shorten_phone(phone) if phone else None} if call.is_admin else {}
    return {**contact, **takeover_of(contact["_id"], contact), **masked}


def _failure(call: Call, session: Document) -> Document | None:
    if session["status"] != SessionStatus.FAILED:
        return None
    step = call.store.execution_logs.last_step(session["_id"])
    if step is None or step.get("error") is None:
        return None
    return {"code": step["error"], "message": "" if call.is_admin else step.get("errorMessage") or ""}


def _variables_at_the_end(call: Call, session: Document) -> tuple[str, list[Document]]:
    if not session["isTest"]:
        return "GONE", []
    ran, why_not = SessionRecord(call.store, session).run_again(session["turn"])
    if why_not is not None or session["turn"] not in ran:
        return "GONE", []
    held = ran[session["turn"]].after.variables
    return "REPLAYED", [value_with_type(name, held[name]) for name in sorted(held)]


def _controlled(call: Call, action: ControlAction, arguments: dict[str, Any]) -> tuple[Document, int]:
    session = _session(call)
    if action.is_for_tests and not (session["isTest"] and session["isOpen"]):
        raise conflict(ErrorCode.CONTROL_REFUSED, _ONLY_TESTS)
    where = Conversation(call.bot_id, Channel(session["channel"]), session["contactId"])
    controlled = control(call, where, Control(action, by=call.user_id, arguments=arguments))
    call.audit(
        _AUDITED[action],
        target_type="session",
        target_id=session["_id"],
        detail={"controlId": controlled.control_id, "outcome": controlled.outcome},
    )
    answer = {"control": controlled.as_document(), "session": _for(call, _session(call))}
    return answer, controlled.status
