"""The log of what ran, as it stands in the database."""

from __future__ import annotations

import json
import re
from typing import Any

from pymongo.database import Database

from common.store.database import Document
from common.store.paging import BadCursor, Page

_IN_ORDER = [("turn", 1), ("place", 1)]
_BACKWARDS = [("turn", -1), ("place", -1)]
_CURSOR = re.compile(r"([0-9]{1,9})\.([0-9]{1,4})")
_WAY = dict.fromkeys(("turn", "place", "flowVersionId", "nodeId", "nodeType", "handle", "cause"), 1)
# The cause of a turn may hold the answer of a call, a megabyte of it; who lists steps needs to know that it was one.
_ANSWERS_SHORTENED: Document = {
    "$set": {
        "cause": {
            "$switch": {
                "branches": [
                    {"case": {"$eq": [{"$type": "$cause"}, "missing"]}, "then": "$$REMOVE"},
                    {
                        "case": {
                            "$regexMatch": {
                                "input": "$cause",
                                "regex": r'^\{"turn":[0-9]+,"event":\{"kind":"answer"',
                            }
                        },
                        "then": {"$substrCP": ["$cause", 0, 400]},
                    },
                ],
                "default": "$cause",
            }
        }
    }
}


class ExecutionLogs:
    """The `execution_logs` collection. It is only ever appended to.

    An entry is a step: `turn` and `place` say where it stands. The first one of a turn has the turn's `cause`; in
    lists (`page`, `between`) that of an answer is only the beginning of its text.
    """

    def __init__(self, database: Database[Document]) -> None:
        self._logs = database["execution_logs"]

    def steps(self, session_id: str) -> list[Document]:
        """Every step of a session, in order."""
        return list(self._logs.find({"sessionId": session_id}).sort(_IN_ORDER))

    def causes(self, session_id: str) -> list[dict[str, Any]]:
        """What each turn of a session was told, in order, as `LoggedTurn.from_json` reads it."""
        return [json.loads(step["cause"]) for step in self.steps(session_id) if "cause" in step]

    def page(
        self, session_id: str, *, limit: int, cursor: str | None = None, is_newest_first: bool = False
    ) -> Page:
        """Some of a session's steps. Raises BadCursor."""
        query: Document = {"sessionId": session_id}
        if cursor is not None:
            query |= _behind(cursor, is_newest_first=is_newest_first)
        order = _BACKWARDS if is_newest_first else _IN_ORDER
        found = self._listed(query, order, limit + 1)
        last = found[limit - 1] if len(found) > limit else None
        return Page(found[:limit], f"{last['turn']}.{last['place']}" if last else None)

    def turn(self, session_id: str, number: int) -> list[Document]:
        """The steps of one turn; none where the log is not kept so long."""
        return list(self._logs.find({"sessionId": session_id, "turn": number}).sort(_IN_ORDER))

    def _listed(self, query: Document, order: list[tuple[str, int]], most: int) -> list[Document]:
        stages: list[Document] = [
            {"$match": query},
            {"$sort": dict(order)},
            {"$limit": most},
            _ANSWERS_SHORTENED,
        ]
        return list(self._logs.aggregate(stages))

    def ways(
        self, session_id: str, *, until_turn: int, most: int, most_characters: int
    ) -> list[Document] | None:
        """The way up to and with a turn, as far as running it again needs; None where that is more than so much."""
        query = {"sessionId": session_id, "turn": {"$lte": until_turn}}
        steps: list[Document] = []
        size = 0
        with self._logs.find(query, _WAY).sort(_IN_ORDER).limit(most + 1) as found:
            for step in found:
                steps.append(step)
                size += len(step.get("cause", ""))
                if len(steps) > most or size > most_characters:
                    return None
        return steps

    def beginnings(self, session_id: str, *, after_turn: int, most: int) -> list[Document]:
        """The first step of each turn behind this one, as {turn, executedAt, jobId}."""
        query = {"sessionId": session_id, "turn": {"$gt": after_turn}, "place": 0}
        return list(
            self._logs.find(query, {"turn": 1, "executedAt": 1, "jobId": 1}).sort(_IN_ORDER).limit(most)
        )

    def between(self, session_id: str, first_turn: int, last_turn: int, *, most: int) -> list[Document]:
        """The steps of these turns, in order; the first `most` of them."""
        query = {"sessionId": session_id, "turn": {"$gte": first_turn, "$lte": last_turn}}
        return self._listed(query, _IN_ORDER, most)

    def of_types(
        self, session_id: str, node_types: list[str], *, after: str | None, most: int
    ) -> list[Document]:
        """Steps of nodes of these types behind a cursor, in order, without causes. Raises BadCursor."""
        query: Document = {"sessionId": session_id, "nodeType": {"$in": node_types}}
        if after is not None:
            query |= _behind(after, is_newest_first=False)
        return list(self._logs.find(query, {"cause": 0}).sort(_IN_ORDER).limit(most))

    def answers(self, session_id: str, node_ids: list[str], *, after_turn: int, most: int) -> list[Document]:
        """First steps of turns behind this one in which one of these nodes heard what it had waited for."""
        query = {
            "sessionId": session_id,
            "turn": {"$gt": after_turn},
            "place": 0,
            "nodeId": {"$in": node_ids},
            "cause": {"$regex": '"kind":"answer"'},
        }
        return list(self._logs.find(query).sort(_IN_ORDER).limit(most))

    def last_step(self, session_id: str) -> Document | None:
        """The last thing that ran."""
        return self._logs.find_one({"sessionId": session_id}, sort=_BACKWARDS)

    def last_heard(self, session_id: str, until_turn: int) -> Document | None:
        """The first step of the last turn, up to this one, that a message caused."""
        query = {
            "sessionId": session_id,
            "turn": {"$lte": until_turn},
            "place": 0,
            "cause": {"$regex": '"event":{"kind":"message"'},
        }
        return self._logs.find_one(query, sort=_BACKWARDS)


def _behind(cursor: str, *, is_newest_first: bool) -> Document:
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise BadCursor("This is no cursor of this list.")
    turn, place = int(found[1]), int(found[2])
    beyond, up_to = ("$lt", "$lte") if is_newest_first else ("$gt", "$gte")
    return {"turn": {up_to: turn}, "$or": [{"turn": {beyond: turn}}, {"place": {beyond: place}}]}
