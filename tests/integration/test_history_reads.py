"""A page of history costs the same whatever else there is: one bot with thousands of sessions, one with a long log."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from common.ids import new_ulid
from common.model.outbox import MessageStatus
from common.model.session import SessionStatus
from common.store.indexes import Retention, ensure_indexes
from common.store.session_history import NotListed, SessionFilters
from common.store.store import Store
from tests.integration.test_indexes import profiled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pymongo import MongoClient

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
SESSIONS, STEPS, MESSAGES = 4_000, 6_000, 4_000
LIMIT = 25
STATUSES = tuple(SessionStatus)


def _session(n: int) -> dict[str, Any]:
    """All of one bot: what an index does not lead to has to be passed over."""
    is_test = n % 40 == 0
    return {
        "_id": f"s{n:05}", "botId": "bot", "contactId": f"c{n % 800}", "channel": "WHATSAPP", "isTest": is_test,
        # rare things lie far back: FAILED ones, tests, the node "rare"
        "status": "FAILED" if n < 30 else STATUSES[n % 3].value, "isOpen": False, "turn": 1,
        "flowId": f"f{n % 4}", "flowVersionId": f"draft:{n % 4}" if is_test else f"v{n % 8}",
        "currentNodeId": "rare" if n < 60 else f"n{n % 7}", "createdAt": BEGIN + timedelta(minutes=n // 2),
        "updatedAt": BEGIN, "wait": None,
    }  # fmt: skip


@pytest.fixture(scope="module")
def crowded(_mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Store]:
    database = _mongo_client[f"test_{new_ulid()}"]
    database["sessions"].insert_many(random.Random(1).sample(ALL, SESSIONS))  # noqa: S311 - the order on disk must not help
    database["execution_logs"].insert_many(
        {
            "_id": f"long:{n // 3}:{n % 3}", "sessionId": "long", "turn": 1 + n // 3, "place": n % 3, "nodeId": "n",
            "nodeType": "API" if n % 50 == 0 else "MESSAGE", "executedAt": BEGIN, "handle": "output",
            **({"cause": '{"event":{"kind":"message"}}'} if n % 3 == 0 else {}),
        }
        for n in range(STEPS)
    )  # fmt: skip
    database["messages"].insert_many(
        {
            "_id": f"m{n}", "botId": "bot", "contactId": "c1", "lane": "wa:c1", "seq": n,
            "sessionId": None if n % 100 == 7 else f"said{n // 500}", "direction": "OUT",
            "status": "FAILED" if n % 1000 == 3 else "DELIVERED", "createdAt": BEGIN + timedelta(seconds=n),
            "sentAt": BEGIN,
        }
        for n in range(MESSAGES)
    )  # fmt: skip
    ensure_indexes(database, Retention())
    yield Store(database)
    _mongo_client.drop_database(database)


def _combinations() -> list[SessionFilters]:
    """Every combination that is not refused."""
    found = []
    for statuses, flow, version, node, contact, is_test, span in product(
        ((), (SessionStatus.FAILED,), (SessionStatus.PAUSED, SessionStatus.FAILED)),
        (None, "f1"), (None, "v1"), (None, "rare", "n3"), (None, "c17"), (None, True, False), (False, True),
    ):  # fmt: skip
        since = BEGIN + timedelta(hours=5) if span else None
        until = BEGIN + timedelta(hours=20) if span else None
        filters = SessionFilters(statuses, flow, version, node, contact, is_test, since, until)
        try:
            filters.check()
        except NotListed:
            continue
        found.append(filters)
    return found


ALL = [_session(n) for n in range(SESSIONS)]


def _expected(filters: SessionFilters) -> list[str]:
    """The answer by looking at everything."""
    wanted = {
        "flowId": filters.flow_id,
        "flowVersionId": filters.version_id,
        "currentNodeId": filters.node_id,
        "contactId": filters.contact_id,
        "isTest": filters.is_test,
    }
    kept = [
        session
        for session in ALL
        if all(value is None or session[name] == value for name, value in wanted.items())
        and (not filters.statuses or session["status"] in filters.statuses)
        and (filters.since is None or session["createdAt"] >= filters.since)
        and (filters.until is None or session["createdAt"] < filters.until)
    ]
    kept.sort(key=lambda session: (session["createdAt"], session["_id"]), reverse=True)
    return [session["_id"] for session in kept]


def _examined(operations: list[dict[str, Any]]) -> tuple[int, int]:
    assert not [each for each in operations if "COLLSCAN" in each.get("planSummary", "")]
    assert not [each for each in operations if each.get("hasSortStage")], "sorted in memory"
    return (
        max(each.get("keysExamined", 0) for each in operations),
        max(each.get("docsExamined", 0) for each in operations),
    )


def test_every_combination_of_filters_is_bounded_and_right(crowded: Store) -> None:
    combinations = _combinations()
    assert len(combinations) > 100
    for filters in combinations:
        pages: list[Any] = []
        keys, documents = _examined(
            profiled(
                crowded,
                lambda store, filters=filters, pages=pages: pages.append(  # type: ignore[misc]
                    store.session_history.page("bot", filters, limit=LIMIT)
                ),
            )
        )
        expected = _expected(filters)
        assert [session["_id"] for session in pages[0].items] == expected[:LIMIT], filters
        assert (pages[0].next_cursor is not None) == (len(expected) > LIMIT), filters
        # Ten merged scans begin with a key or two each. A contact's few sessions are all looked at.
        assert keys <= LIMIT + 1 + 25, (filters, keys)
        assert documents <= LIMIT + 1, (filters, documents)


@pytest.mark.parametrize(
    "filters",
    [SessionFilters(), SessionFilters(version_id="v3"), SessionFilters(flow_id="f2", is_test=False)],
)
def test_the_hundredth_page_costs_what_the_first_does(crowded: Store, filters: SessionFilters) -> None:
    found: list[str] = []
    cursor, most = None, 0
    while True:
        pages: list[Any] = []
        operations = profiled(
            crowded,
            lambda store, cursor=cursor, pages=pages: pages.append(  # type: ignore[misc]
                store.session_history.page("bot", filters, limit=100, cursor=cursor)
            ),
        )
        most = max(most, _examined(operations)[0])
        found += [session["_id"] for session in pages[0].items]
        cursor = pages[0].next_cursor
        if cursor is None:
            break
    assert found == _expected(filters)
    assert most <= 101 + 25


def test_of_another_bot_nothing_is_found(crowded: Store) -> None:
    for filters in (SessionFilters(), SessionFilters(version_id="v1"), SessionFilters(contact_id="c17")):
        assert crowded.session_history.page("other", filters, limit=5).items == []
    assert crowded.session_history.find("other", "s00001") is None
    assert crowded.transcripts.find("other", "m1") is None


# A long log, a long conversation

LONG: dict[str, tuple[Callable[[Store], object], int]] = {
    "first page": (lambda s: s.execution_logs.page("long", limit=LIMIT), LIMIT + 1),
    "late page": (lambda s: s.execution_logs.page("long", limit=LIMIT, cursor="1900.2"), LIMIT + 4),
    "last page": (lambda s: s.execution_logs.page("long", limit=LIMIT, is_newest_first=True), LIMIT + 1),
    "a turn": (lambda s: s.execution_logs.turn("long", 1000), 4),
    "turns begin": (lambda s: s.execution_logs.beginnings("long", after_turn=1500, most=26), 26 * 3 + 26),
    "last heard": (lambda s: s.execution_logs.last_heard("long", 1999), 8),
    "transcript": (lambda s: s.transcripts.of_contact("bot", "c1", limit=LIMIT), LIMIT + 1),
    "transcript, newest": (
        lambda s: s.transcripts.of_contact("bot", "c1", limit=LIMIT, is_newest_first=True), LIMIT + 1,
    ),
    "session": (
        lambda s: s.transcripts.of_session({"_id": "said3", "botId": "bot", "contactId": "c1"}, limit=LIMIT),
        LIMIT + 2,
    ),
    "troubled": (
        lambda s: s.transcripts.troubled(
            "bot", [MessageStatus.FAILED, MessageStatus.UNKNOWN], since=None, until=None, limit=3
        ),
        7,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LONG)
def test_a_page_of_something_long_costs_a_page(crowded: Store, name: str) -> None:
    read, most = LONG[name]
    keys, documents = _examined(profiled(crowded, read))
    assert keys <= most, keys
    assert documents <= most, documents


def test_pages_of_steps_meet_without_a_gap(crowded: Store) -> None:
    seen: list[tuple[int, int]] = []
    cursor: str | None = "1980.1"
    while cursor is not None:
        page = crowded.execution_logs.page("long", limit=7, cursor=cursor)
        seen += [(step["turn"], step["place"]) for step in page.items]
        cursor = page.next_cursor
    assert seen == [(turn, place) for turn in range(1980, 2001) for place in range(3)][2:]


def test_a_transcript_ends_where_the_next_session_begins(crowded: Store) -> None:
    session = {"_id": "said3", "botId": "bot", "contactId": "c1"}
    said = crowded.transcripts.of_session(session, limit=1000).items
    assert [message["seq"] for message in said] == list(range(1500, 2000))
    assert sum(message["sessionId"] is None for message in said) == 5
    nothing = crowded.transcripts.of_session({**session, "_id": "silent"}, limit=5)
    assert (nothing.items, nothing.next_cursor) == ([], None)
