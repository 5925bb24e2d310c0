"""Human takeover: pause the bot for one contact, resume it; and what became of a control."""

from __future__ import annotations

from api.control import find_control
from api.rest.access import Access
from api.rest.call import Call
from api.rest.routes import Routes
from api.schemas.controls import ControlledContactView, ControlView, Pause, PauseByNumber
from api.takeover import conversation_by_number, conversation_of, pause, resume
from common.store.database import Document

routes = Routes(
    "takeover", "/api/bots/<bot_id>", "A person takes a conversation over from the bot, and gives it back."
)


@routes.post(
    "/contacts/<contact_id>/pause",
    access=Access.OWNER,
    body=Pause,
    answer=ControlledContactView,
    other_statuses=(202,),
    idempotent=True,
)
def pause_contact(call: Call) -> tuple[Document, int]:
    """Take a conversation over: the bot is silent, for some minutes or until it is resumed.

    What the contact writes meanwhile stands in the transcript. Timers and calls of the flow wait for the bot. Without
    `minutes` (an empty object) until somebody resumes it.
    """
    return pause(call, conversation_of(call, call.path["contact_id"]), call.body["minutes"])


@routes.post(
    "/contacts/<contact_id>/resume",
    access=Access.OWNER,
    answer=ControlledContactView,
    other_statuses=(202,),
    idempotent=True,
)
def resume_contact(call: Call) -> tuple[Document, int]:
    """Give a conversation back to the bot."""
    return resume(call, conversation_of(call, call.path["contact_id"]))


@routes.post(
    "/pauses",
    access=Access.OWNER,
    body=PauseByNumber,
    answer=ControlledContactView,
    other_statuses=(202,),
    idempotent=True,
)
def pause_number(call: Call) -> tuple[Document, int]:
    """Take the conversation with a phone number over, also before anybody has written from it."""
    where = conversation_by_number(call, call.body["phone_number"])
    return pause(call, where, call.body["minutes"])


@routes.get("/controls/<control_id>", access=Access.OWNER, answer=ControlView)
def get_control(call: Call) -> Document:
    """Ask what became of a control that was answered with 202."""
    return find_control(call.store, call.bot_id, call.path["control_id"]).as_document()
