"""Names and spans of figures: nothing that a flow is called can hurt, and every moment has its place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.model.counters import (
    DURATION_BOUNDS,
    OTHER,
    CountKey,
    NodeFigure,
    decode,
    duration_path,
    edge_path,
    encode,
    flatten,
    merge,
    node_error_path,
    node_path,
)
from common.model.periods import DAY, Bucket, period
from common.store.counters import SPAN, span_of

NOW = datetime(2026, 11, 22, 12, 34, 56, tzinfo=UTC)
NAMES = st.text(max_size=100)


@given(NAMES)
def test_a_name_comes_back_as_it_was(name: str) -> None:
    assert decode(encode(name)) == name


@given(NAMES, NAMES)
def test_two_names_never_share_a_key(one: str, other: str) -> None:
    assert (encode(one) == encode(other)) == (one == other)


@given(NAMES)
def test_no_name_is_an_operator_a_level_or_empty(name: str) -> None:
    key = encode(name)
    assert key
    assert not key.startswith("$")
    assert not set(key) & {".", "$", "\x00"}


@pytest.mark.parametrize("name", ["$set", "a.b", "", "%2E", "x" * 5000, "__proto__", "\x00", "é$"])
def test_hostile_names_stay_below_their_node(name: str) -> None:
    """As many levels as there should be, whatever the name."""
    assert node_path(name, NodeFigure.VISITS).count(".") == 2
    assert edge_path(name, name).count(".") == 3
    assert node_error_path(name, name).count(".") == 3
    assert len(edge_path(name, name)) < 700


def test_endless_names_share_one_key() -> None:
    assert encode("x" * 101) == encode("y" * 500) == OTHER


def test_amounts_of_one_key_are_added() -> None:
    one, other = CountKey("bot", "flow", "version"), CountKey("bot")
    merged = merge([(one, {"n.turns": 1}), (other, {"n.turns": 1}), (one, {"n.turns": 2, "n.starts": 1})])
    assert merged == {one: {"n.turns": 3, "n.starts": 1}, other: {"n.turns": 1}}


def test_a_document_is_read_as_it_was_written() -> None:
    document = {"_id": "x", "at": NOW, "n": {"turns": 2}, "nodes": {"ask": {"v": 1, "x": {"yes": 3}}}}
    assert flatten(document) == {"n.turns": 2, "nodes.ask.v": 1, "nodes.ask.x.yes": 3}


@pytest.mark.parametrize(
    ("seconds", "place"),
    [(0, 0), (10, 0), (10.1, 1), (604_800, 11), (604_801, len(DURATION_BOUNDS)), (1e9, 12)],
)
def test_every_duration_has_a_class(seconds: float, place: int) -> None:
    assert duration_path(seconds) == f"h.{place}"


def test_a_span_begins_at_a_multiple_of_its_length() -> None:
    assert span_of(NOW) == datetime(2026, 11, 22, 12, 30, tzinfo=UTC)
    assert span_of(NOW.replace(minute=59)) == datetime(2026, 11, 22, 12, 55, tzinfo=UTC)
    assert timedelta(hours=1) % SPAN == timedelta(0)


def test_a_period_of_late_is_of_whole_hours() -> None:
    found = period(NOW - timedelta(hours=24), NOW, NOW)
    assert (found.since, found.until) == (
        datetime(2026, 11, 21, 12, tzinfo=UTC), datetime(2026, 11, 22, 13, tzinfo=UTC),
    )  # fmt: skip
    assert found.whole_days is None
    assert len(list(found.buckets(Bucket.HOUR))) == 25
    assert len(list(found.buckets(Bucket.DAY))) == 2


def test_a_period_from_long_ago_begins_at_midnight_and_ends_at_the_hour() -> None:
    found = period(NOW - timedelta(days=30), NOW, NOW)
    assert (found.since, found.until) == (
        datetime(2026, 10, 23, tzinfo=UTC), datetime(2026, 11, 22, 13, tzinfo=UTC),
    )  # fmt: skip
    assert found.whole_days == (found.since, found.until.replace(hour=0))


def test_a_period_that_is_long_over_is_of_whole_days() -> None:
    found = period(NOW - timedelta(days=30), NOW - timedelta(days=20), NOW)
    assert found.whole_days == (found.since, found.until)
    assert found.until - found.since == 11 * DAY


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 - hypothesis adds the zone
    st.timedeltas(timedelta(seconds=1), timedelta(days=400)),
    st.timedeltas(timedelta(0), timedelta(days=400)),
)
def test_a_period_holds_what_was_asked_for(now: datetime, length: timedelta, ago: timedelta) -> None:
    since, until = now - ago - length, now - ago
    found = period(since, until, now)
    assert found.since <= since < until <= found.until
    assert since - found.since < DAY
    assert found.until - until < DAY
