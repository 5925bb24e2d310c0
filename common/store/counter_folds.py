"""Folding: finished spans of `counters` become hours and days, in one transaction that also deletes them.

Each amount is added for the version (with its nodes), the flow, the bot, the bot's owner (with starts by flow)
and the whole platform, so that whatever is asked later is a handful of documents.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from pymongo import UpdateOne
from pymongo.client_session import ClientSession
from pymongo.database import Database

from common.model.counters import OTHER, Amounts, Total, add, encode, flatten
from common.model.periods import DAY, HOUR, floor_to
from common.store.counters import SPAN
from common.store.database import Document
from common.store.transaction import in_transaction

# A span is left alone for so long after its end: transactions under way would meet the fold's.
_MARGIN: Final = timedelta(seconds=30)
MOST_SPANS: Final = 200  # in one transaction
_MOST_SECONDS: Final = 10.0
# Flows that an owner's document tells apart; starts of further ones are summed up.
MOST_FLOWS: Final = 2_000


class Scope(NamedTuple):
    """Whose figures a document holds: `owner` is a bot, a user or the platform, `name` the part of it."""

    owner: str
    name: str


PLATFORM: Final = Scope("*", "*")
_COLLECTIONS: Final = {HOUR: "counter_hours", DAY: "counter_days"}


def bot_scope(bot_id: str) -> Scope:
    return Scope(bot_id, "b")


def flow_scope(bot_id: str, flow_id: str) -> Scope:
    return Scope(bot_id, f"f:{flow_id}")


def version_scope(bot_id: str, version_id: str) -> Scope:
    return Scope(bot_id, f"v:{version_id}")


def user_scope(user_id: str) -> Scope:
    return Scope(f"u:{user_id}", "*")


class CounterFolds:
    """From `counters` to `counter_hours` and `counter_days`."""

    def __init__(self, database: Database[Document]) -> None:
        self._database = database

    def fold(self, now: datetime) -> int:
        """Fold the oldest finished spans; returns how many documents went. Several may try at once."""
        return self._fold({"at": {"$lte": now - SPAN - _MARGIN}})

    def fold_bot(self, bot_id: str) -> int:
        """Fold some of a deleted bot's spans, whether finished or not; returns how many documents went."""
        return self._fold({"botId": bot_id})

    def _fold(self, query: Document) -> int:
        folded = [0]

        def write(tx: ClientSession) -> None:
            spans = list(self._database["counters"].find(query, session=tx).sort("at", 1).limit(MOST_SPANS))
            folded[0] = len(spans)
            if spans:
                self._add(spans, tx)
                ids = [span["_id"] for span in spans]
                self._database["counters"].delete_many({"_id": {"$in": ids}}, session=tx)

        in_transaction(self._database, write, most_seconds=_MOST_SECONDS)
        return folded[0]

    def _owners(self, bot_ids: set[str], tx: ClientSession) -> dict[str, str]:
        bots = self._database["bots"].find({"_id": {"$in": list(bot_ids)}}, {"userId": 1}, session=tx)
        return {bot["_id"]: bot["userId"] for bot in bots}

    def _former_owners(self, bot_ids: set[str], tx: ClientSession) -> dict[str, str]:
        """Of bots that are gone, whose they were, as long as their tombstones stand."""
        query = {"_id": {"$in": [tombstone_of(bot_id) for bot_id in bot_ids]}, "userId": {"$gt": ""}}
        found = self._database["deletions"].find(query, {"botId": 1, "userId": 1}, session=tx)
        return {tombstone["botId"]: tombstone["userId"] for tombstone in found}

    def _add(self, spans: list[Document], tx: ClientSession) -> None:
        bot_ids = {span["botId"] for span in spans}
        owners = self._owners(bot_ids, tx)
        gone = bot_ids - owners.keys()
        former = self._former_owners(gone, tx) if gone else {}
        for length, collection in _COLLECTIONS.items():
            merged: dict[tuple[Scope, datetime], Amounts] = {}
            for span in spans:
                at = floor_to(span["at"], length)
                bot = span["botId"]
                all_shares = (
                    shares_of_gone(span, former.get(bot)) if bot in gone else shares(span, owners[bot])
                )
                for scope, amounts in all_shares:
                    add(merged.setdefault((scope, at), {}), amounts)
            self._bound(collection, merged, tx)
            writes = [_increment(scope, at, amounts) for (scope, at), amounts in merged.items()]
            self._database[collection].bulk_write(writes, ordered=False, session=tx)

    def _bound(
        self, collection: str, merged: dict[tuple[Scope, datetime], Amounts], tx: ClientSession
    ) -> None:
        """Documents of owners name so many flows and no more."""
        ids = {document_id(*key): key for key, amounts in merged.items() if any(map(_is_flow, amounts))}
        if not ids:
            return
        stored = self._database[collection].find({"_id": {"$in": list(ids)}}, {"flows": 1}, session=tx)
        known = {document["_id"]: set(document.get("flows", ())) for document in stored}
        for name, key in ids.items():
            merged[key] = _bounded(merged[key], known.get(name, set()))


def tombstone_of(bot_id: str) -> str:
    """The key of what stands for a bot that is gone, in `deletions`."""
    return f"bot:{bot_id}"


def shares_of_gone(span: Document, user_id: str | None) -> Iterator[tuple[Scope, Amounts]]:
    """Whose figures a span adds to when its bot is gone: the platform's, and whose it was, where that is known."""
    totals = _totals(flatten(span))
    yield PLATFORM, totals
    if user_id is not None:
        yield user_scope(user_id), totals


def _totals(amounts: Amounts) -> Amounts:
    return {path: amount for path, amount in amounts.items() if not path.startswith("nodes.")}


def shares(span: Document, user_id: str) -> Iterator[tuple[Scope, Amounts]]:
    """Whose figures a span adds to."""
    amounts = flatten(span)
    totals = _totals(amounts)
    bot_id, flow_id, version_id = span["botId"], span["flowId"], span["versionId"]
    yield PLATFORM, totals
    yield user_scope(user_id), totals | (_by_flow(flow_id, totals) if flow_id else {})
    yield bot_scope(bot_id), totals
    if flow_id:
        yield flow_scope(bot_id, flow_id), totals
    if version_id:
        yield version_scope(bot_id, version_id), amounts


def _by_flow(flow_id: str, totals: Amounts) -> Amounts:
    starts = totals.get(Total.STARTS.path, 0)
    ended = totals.get(Total.COMPLETED.path, 0) + totals.get(Total.ENDED_IN_ERROR.path, 0)
    counts = {f"flows.{encode(flow_id)}.s": starts, f"flows.{encode(flow_id)}.c": ended}
    return {path: amount for path, amount in counts.items() if amount}


def _is_flow(path: str) -> bool:
    return path.startswith("flows.")


def _bounded(amounts: Amounts, known: set[str]) -> Amounts:
    bounded: Amounts = {}
    for path, amount in amounts.items():
        if _is_flow(path):
            _, flow_id, figure = path.split(".")
            if flow_id not in known and len(known) >= MOST_FLOWS:
                path = f"flows.{OTHER}.{figure}"  # noqa: PLW2901 - the same amount under another name
            else:
                known.add(flow_id)
        add(bounded, {path: amount})
    return bounded


def document_id(scope: Scope, at: datetime) -> str:
    """The key of the document of an hour or a day."""
    return f"{scope.owner}|{scope.name}|{at:%Y%m%d%H}"


def _increment(scope: Scope, at: datetime, amounts: Amounts) -> UpdateOne:
    fields = {"owner": scope.owner, "scope": scope.name, "at": at}
    return UpdateOne({"_id": document_id(scope, at)}, {"$inc": amounts, "$setOnInsert": fields}, upsert=True)
