"""What a conversation did since somebody last looked, all of it from one snapshot of the database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pymongo.client_session import ClientSession
from pymongo.database import Database

from common.store.database import Document


@dataclass(slots=True)
class Sight:
    """A test conversation at its turn `number`, and what turns since `after` wrote; `contact` None: not begun.

    `is_whole`: everything up to `number` is there. If not, ask again from `read_to` on.
    """

    number: int = 0
    read_to: int = 0
    contact: Document | None = None
    session: Document | None = None
    variables: list[Document] = field(default_factory=list)
    steps: list[Document] = field(default_factory=list)
    messages: list[Document] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        return self.read_to >= self.number


class Live:
    """Reads for streams and for the state that they begin with."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database

    def conversation(self, contact_id: str, *, after: int | None, most_turns: int = 100) -> Sight:
        """A test conversation; `after` None: only how it stands."""
        with self._database.client.start_session(snapshot=True) as snapshot:
            sight = Sight(contact=self._one("contacts", {"_id": contact_id}, snapshot))
            if sight.contact is None:
                return sight
            sight.number = sight.contact.get("conversationTurn", 0)
            sight.read_to = sight.number if after is None else min(sight.number, after + most_turns)
            query = {"contactId": contact_id, "channel": "SIMULATOR"}
            sight.session = self._one("sessions", {**query, "isOpen": True}, snapshot) or self._one(
                "sessions", query, snapshot, sort=[("_id", -1)]
            )
            if sight.session is not None:
                sight.variables = self._variables(sight.session["_id"], snapshot)
            if after is not None and after < sight.read_to:
                turns = {"$gt": after, "$lte": sight.read_to}
                sight.steps = self._numbered("execution_logs", contact_id, turns, "place", snapshot)
                sight.messages = self._numbered("messages", contact_id, turns, "seq", snapshot)
            return sight

    def session(self, session_id: str, *, after: int | None, most_turns: int = 100) -> Sight:
        """A session: how it stands, and its steps since turn `after`, so many turns at most in one look."""
        with self._database.client.start_session(snapshot=True) as snapshot:
            sight = Sight(session=self._one("sessions", {"_id": session_id}, snapshot))
            if sight.session is None:
                return sight
            sight.number = sight.read_to = sight.session["turn"]
            if after is not None and after < sight.number:
                logs, order = self._database["execution_logs"], [("turn", 1), ("place", 1)]
                query: Document = {"sessionId": session_id, "turn": {"$gt": after}}
                # Of a long conversation the log may begin late: what retention took is not looked through.
                first = logs.find_one(query, {"turn": 1}, sort=order, session=snapshot)
                if first is not None:
                    sight.read_to = min(sight.number, first["turn"] - 1 + most_turns)
                    query["turn"] = {"$gt": after, "$lte": sight.read_to}
                    sight.steps = list(logs.find(query, session=snapshot).sort(order))
            return sight

    def _one(self, collection: str, query: Document, snapshot: ClientSession, **more: Any) -> Document | None:
        return self._database[collection].find_one(query, session=snapshot, **more)

    def _variables(self, session_id: str, snapshot: ClientSession) -> list[Document]:
        found = self._database["session_variables"].find({"sessionId": session_id}, session=snapshot)
        return list(found.sort("variableName", 1))

    def _numbered(
        self, collection: str, contact_id: str, turns: Document, then: str, snapshot: ClientSession
    ) -> list[Document]:
        query = {"lane": f"sim:{contact_id}", "conversationTurn": turns}
        found = self._database[collection].find(query, session=snapshot)
        return list(found.sort([("conversationTurn", 1), (then, 1)]))
