"""Lists in pages: everything once, whatever is added or removed meanwhile; a forged cursor opens nothing."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from common.store.paging import BadCursor, Page, read_page

if TYPE_CHECKING:
    from pymongo.database import Database

START = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def things(database: Database[dict[str, Any]]) -> Database[dict[str, Any]]:
    """Fifty, three of each at the same moment."""
    documents = [
        {"_id": f"id{n:02}", "at": START + timedelta(seconds=n // 3), "owner": "a"} for n in range(50)
    ]
    database["things"].insert_many([*documents, {"_id": "other", "at": START, "owner": "b"}])
    return database


def _page(
    database: Database[dict[str, Any]], cursor: str | None, *, is_descending: bool, sort: str = "at"
) -> Page:
    return read_page(
        database["things"], {"owner": "a"}, sort=sort, is_descending=is_descending, limit=7, cursor=cursor
    )


@pytest.mark.parametrize("is_descending", [True, False])
@pytest.mark.parametrize("sort", ["at", "_id"])
def test_everything_once_and_in_order(
    things: Database[dict[str, Any]], sort: str, *, is_descending: bool
) -> None:
    seen: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        page = _page(things, cursor, is_descending=is_descending, sort=sort)
        seen += [item["_id"] for item in page.items]
        cursor, pages = page.next_cursor, pages + 1
    assert seen == sorted((f"id{n:02}" for n in range(50)), reverse=is_descending)
    assert pages == 8


def test_what_is_added_or_removed_moves_nothing(things: Database[dict[str, Any]]) -> None:
    first = _page(things, None, is_descending=True)
    things["things"].insert_one({"_id": "new", "at": START + timedelta(days=1), "owner": "a"})
    things["things"].delete_one({"_id": first.items[-1]["_id"]})
    second = _page(things, first.next_cursor, is_descending=True)
    assert [item["_id"] for item in second.items] == [f"id{n:02}" for n in range(42, 35, -1)]


def _cursor(*parts: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        "", "x", "%", "ä", "=" * 50, _cursor(), _cursor("v", {"$gt": ""}, "id"), _cursor("v", 1, {"$gt": ""}),
        _cursor("v", None, "id"), _cursor("t", "yesterday", "id"), _cursor("t", "2026-11-22", "id"),
        _cursor("v", "a", "\ud800"),
        _cursor("v", "\ud800", "id"),
        _cursor("v", 10**30, "id"), _cursor("t", 7, "id"), "W" * 600, _cursor("t", "0001-01-01T00:00:00+14:00", "id"),
    ],
)  # fmt: skip
def test_a_forged_cursor(things: Database[dict[str, Any]], cursor: str) -> None:
    with pytest.raises(BadCursor):
        _page(things, cursor, is_descending=True)


def test_a_cursor_of_another_owners_list_shows_nothing_of_theirs(things: Database[dict[str, Any]]) -> None:
    other = read_page(
        things["things"],
        {"owner": "b"},
        sort="at",
        is_descending=False,
        limit=7,
        cursor=_cursor("t", START.isoformat(), "id00"),
    )
    assert [item["_id"] for item in other.items] == ["other"]
