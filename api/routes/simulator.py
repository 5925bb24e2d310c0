"""Trying a flow's draft: a simulated customer's messages, and the debugger's commands.

A message becomes a job as the webhook's do; nothing here runs a node. Each user, flow and phone number is a
conversation of its own.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from api.control import control
from api.live.states import test_state
from api.rest.access import Access
from api.rest.call import Call, not_found
from api.rest.routes import Routes
from api.rest.schemas import page_of
from api.schemas.simulator import (
    AcceptedMessageView,
    Breakpoints,
    CallsChoice,
    ClockMove,
    ControlledView,
    ConversationListView,
    ConversationsQuery,
    ConversationView,
    GoOn,
    NewConversation,
    TestMessage,
    VariableValue,
)
from common.clock import utc_now
from common.model.control import Control, ControlAction
from common.model.conversation_jobs import Conversation, conversation_of_tester, message_job_of_tester
from common.store.database import Document
from common.store.test_conversations import Opening
from common.store.test_versions import draft_version_id

_ALL = "/bots/<bot_id>/simulator/conversations"
_ONE = f"{_ALL}/<conversation_id>"

routes = Routes("simulator", "/api", "Trying a flow's draft without WhatsApp.")


@routes.post(
    "/simulator/message",
    access=Access.USER,
    body=TestMessage,
    answer=AcceptedMessageView,
    status=HTTPStatus.ACCEPTED,
    idempotent=True,
)
def send_test_message(call: Call) -> Document:
    """Send a message as a simulated customer.

    A conversation that has not begun runs on the draft as it is now, and stays on it until it is reset. Nothing
    is sent to WhatsApp; what the bot says stands in the conversation.
    """
    body = call.body
    bot = call.store.bot_records.find(body["bot_id"], owner_id=call.user_id)
    if bot is None:
        raise not_found("bot")
    version_id = _version(call, bot["_id"], body["flow_id"])
    conversation = call.store.test_conversations.open(
        Opening(bot["_id"], call.user_id, body["flow_id"], body["phone_number"]), body["name"]
    )
    call.store.test_versions.use_of(conversation["_id"])
    job = message_job_of_tester(
        _where(conversation),
        _element(body),
        flow_id=body["flow_id"],
        version_id=version_id,
        job_id=call.new_id,
        request_id=call.request_id,
        name=conversation["name"],
    )
    call.web.intake.accept([job])
    return {"conversationId": conversation["_id"], "messageId": job.job_id, "versionId": version_id}


def _version(call: Call, bot_id: str, flow_id: str) -> str:
    """The immutable copy of the draft as it is now. Raises AppError 404."""
    revision = call.store.test_versions.draft_revision(bot_id, flow_id)
    if revision is None:
        raise not_found("flow")
    version_id = draft_version_id(flow_id, revision)
    if call.store.test_versions.use(version_id):
        return version_id
    draft = call.store.flows.draft(bot_id, flow_id)
    if draft is None:
        raise not_found("flow")
    return call.store.test_versions.keep(flow_id, draft["revision"], bot_id, draft["flowData"])


def _element(body: dict[str, Any]) -> dict[str, Any]:
    """The message as WhatsApp would have it."""
    if body["text"] is not None:
        return {"type": "text", "text": {"body": body["text"]}}
    if body["button"] is not None:
        return {
            "type": "interactive",
            "interactive": {"type": "button_reply", "button_reply": body["button"]},
        }
    kind, caption = body["media"]["type"], body["media"]["caption"]
    return {"type": kind, kind: {"caption": caption} if caption else {}}


@routes.post(_ALL, access=Access.OWNER, body=NewConversation, answer=ConversationView, idempotent=True)
def open_test_conversation(call: Call) -> Document:
    """Open a test conversation, without saying anything yet.

    The same flow and phone number give the same conversation again.
    """
    if call.store.test_versions.draft_revision(call.bot_id, call.body["flow_id"]) is None:
        raise not_found("flow")
    opening = Opening(call.bot_id, call.user_id, call.body["flow_id"], call.body["phone_number"])
    return _state(call, call.store.test_conversations.open(opening, call.body["name"]))


@routes.get(_ALL, access=Access.OWNER, query=ConversationsQuery, answer=page_of(ConversationListView))
def list_test_conversations(call: Call) -> Document:
    """List a flow's test conversations, the last used first."""
    query = call.query
    page = call.store.test_conversations.page(
        call.bot_id, query["flow_id"], limit=query["limit"], cursor=query["cursor"]
    )
    return page.as_document()


@routes.get(_ONE, access=Access.OWNER, answer=ConversationView)
def get_test_conversation(call: Call) -> Document:
    """Get a test conversation as it stands: node, wait, variables, clock, breakpoints.

    What was said is at `GET …/messages?contactId={conversationId}`.
    """
    return _state(call, _conversation(call))


@routes.post(
    f"{_ONE}/reset", access=Access.OWNER, answer=ControlledView, idempotent=True,
    other_statuses=(HTTPStatus.ACCEPTED,),
)  # fmt: skip
def reset_test_conversation(call: Call) -> tuple[Document, HTTPStatus]:
    """Reset a test conversation: the next message begins anew, on the draft as it is then, at the real time."""
    return _do(call, ControlAction.RESET, {})


@routes.post(
    f"{_ONE}/clock", access=Access.OWNER, body=ClockMove, answer=ControlledView, idempotent=True,
    other_statuses=(HTTPStatus.ACCEPTED,),
)  # fmt: skip
def move_test_clock(call: Call) -> tuple[Document, HTTPStatus]:
    """Let time pass in a test conversation.

    Timers that come due fire as they would have. 409 where `toNextTimer` is asked and none waits.
    """
    seconds = call.body["seconds"]
    return _do(
        call, ControlAction.ADVANCE_CLOCK, {"toNextTimer": True} if seconds is None else {"seconds": seconds}
    )


@routes.put(
    f"{_ONE}/breakpoints", access=Access.OWNER, body=Breakpoints, answer=ControlledView,
    other_statuses=(HTTPStatus.ACCEPTED,),
)  # fmt: skip
def set_test_breakpoints(call: Call) -> tuple[Document, HTTPStatus]:
    """Set the nodes that a test conversation stops before."""
    arguments = {"nodeIds": call.body["node_ids"], "stepMode": call.body["step_mode"]}
    return _do(call, ControlAction.SET_BREAKPOINTS, arguments)


@routes.post(
    f"{_ONE}/go-on", access=Access.OWNER, body=GoOn, answer=ControlledView, idempotent=True,
    other_statuses=(HTTPStatus.ACCEPTED,),
)  # fmt: skip
def go_on_in_test(call: Call) -> tuple[Document, HTTPStatus]:
    """Go on from a breakpoint, by one node or up to the next breakpoint.

    409 where the conversation stands at none. Messages that came meanwhile answer what is asked next.
    """
    return _do(call, ControlAction(call.body["action"]), {})


@routes.put(
    f"{_ONE}/calls", access=Access.OWNER, body=CallsChoice, answer=ControlledView,
    other_statuses=(HTTPStatus.ACCEPTED,),
)  # fmt: skip
def set_test_calls(call: Call) -> tuple[Document, HTTPStatus]:
    """Choose whether a test conversation's API and AI calls are made, or stand-ins answer."""
    return _do(call, ControlAction.SET_CALLS, {"calls": call.body["calls"]})


@routes.put(
    f"{_ONE}/variables/<name>", access=Access.OWNER, body=VariableValue, answer=ControlledView,
    other_statuses=(HTTPStatus.ACCEPTED,),
)  # fmt: skip
def set_test_variable(call: Call) -> tuple[Document, HTTPStatus]:
    """Set a variable of a test conversation. 409 where its type or name does not allow it, or none is under way."""
    arguments = {"name": call.path["name"], "value": call.body["value"], "type": call.body["type"]}
    return _do(call, ControlAction.SET_VARIABLE, arguments)


@routes.delete(
    f"{_ONE}/variables/<name>", access=Access.OWNER, answer=ControlledView, status=HTTPStatus.OK,
    other_statuses=(HTTPStatus.ACCEPTED,),
)  # fmt: skip
def delete_test_variable(call: Call) -> tuple[Document, HTTPStatus]:
    """Delete a variable of a test conversation."""
    return _do(call, ControlAction.DELETE_VARIABLE, {"name": call.path["name"]})


def _do(call: Call, action: ControlAction, arguments: dict[str, Any]) -> tuple[Document, HTTPStatus]:
    conversation = _conversation(call)
    call.store.test_versions.use_of(conversation["_id"])
    done = control(call, _where(conversation), Control(action, call.user_id, "", arguments))
    return {"control": done.as_document(), "conversation": _state(call, conversation)}, done.status


def _conversation(call: Call) -> Document:
    found = call.store.test_conversations.find(call.bot_id, call.path["conversation_id"])
    if found is None:
        raise not_found("test conversation")
    return found


def _where(conversation: Document) -> Conversation:
    return conversation_of_tester(
        conversation["botId"], conversation["userId"], conversation["flowId"], conversation["phoneNumber"]
    )


def _state(call: Call, conversation: Document) -> Document:
    sight = call.store.live.conversation(conversation["_id"], after=None)
    return test_state(conversation, sight, utc_now())
