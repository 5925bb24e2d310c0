"""Messages of a bot across its conversations: what did not arrive, what one contact said, why one was sent."""

from __future__ import annotations

from api.history.record import SessionRecord
from api.history.timeline import shown_message
from api.history.why import has_origin, why_of
from api.rest.access import Access
from api.rest.call import Call, not_found
from api.rest.routes import Routes
from api.rest.schemas import page_of
from api.schemas.transcripts import MessageQuery, TranscriptMessageView, WhyView
from common.model.outbox import MessageStatus
from common.store.database import Document
from common.store.transcripts import TROUBLED

routes = Routes(
    "messages",
    "/api/bots/<bot_id>/messages",
    "What did not arrive, what a contact said, why a message was sent.",
)


@routes.get("", access=Access.OWNER, query=MessageQuery, answer=page_of(TranscriptMessageView))
def list_messages(call: Call) -> Document:
    """List the messages that did not arrive, or all that was said with one contact.

    Without `contactId`: messages to customers that FAILED, or of which it is UNKNOWN whether they were sent, the
    newest first. With it: everything, also what was said while no conversation was open.
    """
    asked = call.query
    if asked["contact_id"] is not None:
        page = call.store.transcripts.of_contact(
            call.bot_id,
            asked["contact_id"],
            limit=asked["limit"],
            cursor=asked["cursor"],
            is_newest_first=asked["order"] == "newest",
        )
    else:
        page = call.store.transcripts.troubled(
            call.bot_id,
            [MessageStatus(status) for status in asked["status"] or TROUBLED],
            since=asked["from_"],
            until=asked["to"],
            limit=asked["limit"],
            cursor=asked["cursor"],
        )
    return {**page.as_document(), "items": [shown_message(message) for message in page.items]}


@routes.get("/<message_id>/why", access=Access.OWNER, answer=WhyView)
def explain_message(call: Call) -> Document:
    """Ask why the customer got a message.

    From the message back: what happened, each condition with the values it saw, the text it was made from, how it
    was sent and what became of it. Values of real conversations are not stored; the turn is run again to see them.
    """
    message = call.store.transcripts.find(call.bot_id, call.path["message_id"])
    if message is None or message["direction"] != "OUT" or not has_origin(message):
        raise not_found("message of the bot")
    session = call.store.session_history.find(call.bot_id, message["sessionId"])
    if session is None:
        raise not_found("message of the bot")
    return why_of(SessionRecord(call.store, session), message)
