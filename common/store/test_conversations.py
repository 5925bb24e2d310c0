"""Test conversations: whose they are, which flow they try, and which phone number they play."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymongo import ReturnDocument
from pymongo.database import Database

from common.model.conversation_jobs import conversation_of_tester
from common.store.database import Document
from common.store.paging import Page, read_page


@dataclass(frozen=True, slots=True)
class Opening:
    """What makes a test conversation: the same again is the same conversation."""

    bot_id: str
    user_id: str
    flow_id: str
    digits: str


class TestConversations:
    """The `test_conversations` collection; `_id` is the contact's. What nobody used for a month goes."""

    __test__ = False  # pytest takes everything called Test… for one

    def __init__(self, database: Database[Document]) -> None:
        self._conversations = database["test_conversations"]

    def open(self, opening: Opening, name: str | None) -> Document:
        """The conversation, made if there is none. A name that is given replaces the old one."""
        where = conversation_of_tester(opening.bot_id, opening.user_id, opening.flow_id, opening.digits)
        fields = {
            "botId": opening.bot_id,
            "userId": opening.user_id,
            "flowId": opening.flow_id,
            "phoneNumber": opening.digits,
        }
        named = {"$set": {"name": name}} if name is not None else {}
        unnamed = {} if name is not None else {"name": ""}
        found: Any = self._conversations.find_one_and_update(
            {"_id": where.contact_id},
            {"$setOnInsert": {**fields, **unnamed}, "$currentDate": {"usedAt": True}, **named},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        return dict(found)

    def find(self, bot_id: str, conversation_id: str) -> Document | None:
        """A test conversation of the bot."""
        return self._conversations.find_one({"_id": conversation_id, "botId": bot_id})

    def page(self, bot_id: str, flow_id: str, *, limit: int, cursor: str | None) -> Page:
        """The flow's test conversations, the last used first. Raises BadCursor."""
        return read_page(
            self._conversations, {"botId": bot_id, "flowId": flow_id}, sort="usedAt", is_descending=True,
            limit=limit, cursor=cursor,
        )  # fmt: skip
