"""Lists in pages: each page ends with a cursor that says where the next one begins, whatever is added meanwhile."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pymongo.collection import Collection

from common.store.database import Document


class BadCursor(ValueError):  # noqa: N818 - what it is
    """The text is no cursor of this list."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list, and the cursor of the next page (None: this is the last one)."""

    items: list[Document]
    next_cursor: str | None

    def as_document(self) -> Document:
        """As answers show it."""
        return {"items": self.items, "nextCursor": self.next_cursor}


def read_page(
    collection: Collection[Document], query: Document, *, sort: str, is_descending: bool, limit: int,
    cursor: str | None, fields: Document | None = None, hint: str | None = None,
) -> Page:  # fmt: skip
    """A page of what the query finds, by the field `sort` and then by `_id`. Raises BadCursor.

    Every document must have the field, of one type. The index is (what the query names, sort, _id).
    """
    direction = -1 if is_descending else 1
    if cursor is not None:
        query = {"$and": [query, _after(sort, is_descending, *_read(cursor))]} if query else _after(
            sort, is_descending, *_read(cursor)
        )  # fmt: skip
    if fields is not None and not fields.get(sort):
        fields = {**fields, sort: 1} if any(fields.values()) else fields
    order = [(sort, direction)] if sort == "_id" else [(sort, direction), ("_id", direction)]
    found = list(collection.find(query, fields, hint=hint).sort(order).limit(limit + 1))
    items = found[:limit]
    next_cursor = _write(items[-1], sort) if len(found) > limit else None
    return Page(items, next_cursor)


def _after(sort: str, is_descending: bool, value: Any, last_id: str) -> Document:  # noqa: FBT001 - private
    beyond, up_to = ("$lt", "$lte") if is_descending else ("$gt", "$gte")
    if sort == "_id":
        return {"_id": {beyond: last_id}}
    # The bound on `sort` alone lets the index be entered at the right place; the rest breaks ties.
    return {sort: {up_to: value}, "$or": [{sort: {beyond: value}}, {"_id": {beyond: last_id}}]}


def _write(document: Document, sort: str) -> str:
    value = document[sort]
    tagged = ["t", value.isoformat()] if isinstance(value, datetime) else ["v", value]
    text = json.dumps([*tagged, document["_id"]], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _read(cursor: str) -> tuple[Any, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        kind, value, last_id = json.loads(text)
        for text in (value, last_id):
            if isinstance(text, str):
                text.encode()  # half a character (a lone surrogate) cannot be asked for
        if kind == "t":
            value = datetime.fromisoformat(value)
            value = value.astimezone(UTC) if value.tzinfo else None
    except (binascii.Error, ValueError, TypeError, RecursionError, OverflowError):
        raise BadCursor("This is no cursor of this list.") from None
    if not isinstance(value, str | int | float | datetime) or not isinstance(last_id, str):
        raise BadCursor("This is no cursor of this list.")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise BadCursor("This is no cursor of this list.")
    return value, last_id
