"""Contacts, by their derived id or by any alias."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pymongo import UpdateOne
from pymongo.database import Database

from common.clock import utc_now
from common.model.contacts import Contact
from common.model.control import CallMode
from common.model.simulation import TestSettings
from common.model.text_matching import folded
from common.store.database import Document


class Contacts:
    """The `contacts` collection."""

    def __init__(self, database: Database[Document]) -> None:
        self._contacts = database["contacts"]

    def load(self, contact_ids: Sequence[str]) -> dict[str, Contact]:
        """The stored ones among these, by id."""
        return {
            document["_id"]: _from_document(document)
            for document in self._contacts.find({"_id": {"$in": list(contact_ids)}})
        }

    def owners(self, bot_id: str, aliases: Iterable[str]) -> dict[str, Contact]:
        """Which contact of this bot each of these ids belongs to, by id; ids of nobody are missing."""
        wanted = set(aliases)
        found = self._contacts.find({"botId": bot_id, "aliases": {"$in": list(wanted)}})
        contacts = [_from_document(document) for document in found]
        return {alias: contact for contact in contacts for alias in contact.aliases if alias in wanted}


def upsert_contact(contact: Contact) -> UpdateOne:
    """The write that stores what a turn changed. `lastInboundAt` only ever grows."""
    fields: dict[str, Any] = {
        "botId": contact.bot_id,
        "aliases": list(contact.aliases),
        "waId": contact.wa_id,
        "bsuid": contact.bsuid,
        "profileName": contact.profile_name,
        "nameFolded": folded(contact.profile_name),
        "lastInboundNumber": contact.last_inbound_number,
        "messageSeq": contact.message_seq,
        "paceLevel": contact.pace_level,
        "paceAt": contact.pace_at,
        "inboundCount": contact.inbound_count,
        "inboundSince": contact.inbound_since,
        "botPausedAt": contact.bot_paused_at,
        "botPausedBy": contact.bot_paused_by,
        "pausedUntil": contact.paused_until,
    }
    update: dict[str, Any] = {
        "$set": fields,
        "$setOnInsert": {"createdAt": utc_now()},
        "$currentDate": {"updatedAt": True},
    }
    if contact.test is not None:
        fields["isTest"] = True
        fields["test"] = _test_document(contact.test)
        fields["conversationTurn"] = contact.conversation_turn
        fields["lastInboundAt"] = contact.last_inbound_at  # a reset takes it back
    elif contact.last_inbound_at is not None:
        update["$max"] = {"lastInboundAt": contact.last_inbound_at}
    return UpdateOne({"_id": contact.contact_id}, update, upsert=True)


def _from_document(document: Document) -> Contact:
    return Contact(
        contact_id=document["_id"],
        bot_id=document["botId"],
        aliases=tuple(document["aliases"]),
        wa_id=document.get("waId"),
        bsuid=document.get("bsuid"),
        profile_name=document.get("profileName") or "",
        last_inbound_at=document.get("lastInboundAt"),
        last_inbound_number=document.get("lastInboundNumber"),
        message_seq=document.get("messageSeq", 0),
        pace_level=document.get("paceLevel", 0.0),
        pace_at=document.get("paceAt"),
        inbound_count=document.get("inboundCount", 0),
        inbound_since=document.get("inboundSince"),
        bot_paused_at=document.get("botPausedAt"),
        bot_paused_by=document.get("botPausedBy"),
        paused_until=document.get("pausedUntil"),
        test=_test(document["test"]) if document.get("test") else None,
        conversation_turn=document.get("conversationTurn", 0),
        is_stored=True,
    )


def _test_document(test: TestSettings) -> Document:
    return {
        "clockOffsetSeconds": test.clock_offset_seconds,
        "breakpoints": list(test.breakpoints),
        "stepMode": test.stops_at_each_node,
        "calls": test.calls.value,
    }


def _test(document: Document) -> TestSettings:
    return TestSettings(
        clock_offset_seconds=document["clockOffsetSeconds"],
        breakpoints=tuple(document["breakpoints"]),
        stops_at_each_node=document["stepMode"],
        calls=CallMode(document["calls"]),
    )
