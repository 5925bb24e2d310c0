"""Contacts: who wrote to a bot, and all that is kept of one of them, to be handed out or deleted."""

from __future__ import annotations

import re
import time
from http import HTTPStatus
from typing import Final

import structlog
from flask import Response

from api.attachment import streamed_attachment
from api.contact_file import contact_file
from api.rest.access import Access
from api.rest.call import Call, not_found
from api.rest.routes import Routes
from api.rest.schemas import page_of
from api.schemas.contacts import ContactFileView, ContactsQuery, ContactView
from common.clock import utc_now
from common.store.contact_records import is_paused
from common.store.database import Document
from common.store.deletions import DeletionLost, settle_seconds
from common.store.store import DatabaseError

routes = Routes("contacts", "/api/bots/<bot_id>/contacts", "Contacts: who wrote to a bot.")
log = structlog.get_logger()

# What is gone by then is answered with 204; the rest goes on in the background.
_PATIENCE_SECONDS: Final = 1.0
_NO_DIGIT: Final = re.compile(r"\D+", re.ASCII)


@routes.get("", access=Access.OWNER, query=ContactsQuery, answer=page_of(ContactView))
def list_contacts(call: Call) -> Document:
    """List a bot's contacts.

    The newest first; by number or name where one is looked for. Testers of the simulator are not among them.
    """
    phone = call.query["phone"]
    page = call.store.contact_records.page(
        call.bot_id,
        limit=call.query["limit"],
        cursor=call.query["cursor"],
        phone=_NO_DIGIT.sub("", phone) if phone else None,
        name=call.query["name"],
        is_paused=call.query["paused"],
    )
    return {"items": [_shown(contact) for contact in page.items], "nextCursor": page.next_cursor}


@routes.get("/<contact_id>", access=Access.OWNER, answer=ContactView)
def get_contact(call: Call) -> Document:
    """Show a contact."""
    return _shown(_contact(call))


@routes.get("/<contact_id>/export", access=Access.OWNER, answer=ContactFileView)
def export_contact(call: Call) -> Response:
    """Export all that is kept of a contact.

    The contact, their sessions with variables and execution log, and all messages, as a JSON file. What APIs were
    sent and answered is in the log; keys and tokens in it are masked.
    """
    contact = _contact(call)
    place = call.web.downloads.begin(call.user_id)
    call.audit("contact.exported", target_type="contact", target_id=contact["_id"])
    pieces = contact_file(call.store.contact_records, contact)
    return streamed_attachment(pieces, f"contact-{contact['_id']}", place)


@routes.delete("/<contact_id>", access=Access.OWNER, other_statuses=(HTTPStatus.ACCEPTED,))
def delete_contact(call: Call) -> Response:
    """Delete all that is kept of a contact.

    Messages, sessions with variables and execution log, and what waits to be worked on. The figures stay; nobody can
    be found in them. 202 where it takes longer: it then goes on in the background. Should the person write again,
    they are a new contact.
    """
    contact = _contact(call)
    tombstone_id = call.store.deletions.ask_for_contact(contact)
    call.audit("contact.deleted", target_type="contact", target_id=contact["_id"])
    with call.web.patience.may_wait() as may_wait:
        is_done = may_wait and _is_done_soon(call, tombstone_id)
    return Response(status=HTTPStatus.NO_CONTENT if is_done else HTTPStatus.ACCEPTED)


def _is_done_soon(call: Call, tombstone_id: str) -> bool:
    """Do it at once, as far as that goes. A timer process does the rest."""
    lease = call.settings.lease_seconds
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    try:
        tombstone = call.store.deletions.claim(lease, tombstone_id)
        if tombstone is None:
            return False
        work = call.store.deletions.work(tombstone, lease_seconds=lease, settle_seconds=settle_seconds(lease))
        if all(time.monotonic() < give_up_at for _ in work):
            return True
        call.store.deletions.let_go(tombstone)
        return False  # noqa: TRY300 - within the border
    except (DeletionLost, DatabaseError) as error:
        log.warning("contact.deletion_goes_on", tombstone=tombstone_id, error=type(error).__name__)
        return False


def _contact(call: Call) -> Document:
    contact = call.store.contact_records.find(call.bot_id, call.path["contact_id"])
    if contact is None:
        raise not_found("contact")
    return contact


def _shown(contact: Document) -> Document:
    is_bot_paused = is_paused(contact, utc_now())
    return {
        **contact,
        "profileName": contact.get("profileName") or "",
        "messageSeq": contact.get("messageSeq", 0),
        "isBotPaused": is_bot_paused,
        **({} if is_bot_paused else {"botPausedAt": None, "pausedUntil": None}),
    }
