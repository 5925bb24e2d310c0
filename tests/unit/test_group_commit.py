"""Group commit: everybody is served, errors reach the right caller, nobody waits for a lost cause."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from common.group_commit import GroupCommit


class DatabaseAwayError(Exception):
    pass


def is_away(error: Exception) -> bool:
    return isinstance(error, DatabaseAwayError)


def test_callers_that_come_during_a_write_share_the_next_one() -> None:
    groups: list[list[int]] = []
    first_is_writing, go_on = threading.Event(), threading.Event()

    def flush(items: list[int]) -> None:
        groups.append(items)
        if items == [0]:
            first_is_writing.set()
            assert go_on.wait(10)

    commit = GroupCommit(flush, is_away)
    with ThreadPoolExecutor(20) as pool:
        first = pool.submit(commit.submit, 0)
        assert first_is_writing.wait(10)
        others = [pool.submit(commit.submit, number) for number in range(1, 20)]
        while len(commit._queue) < 19:  # all 19 are waiting now
            pass
        go_on.set()
        for future in (first, *others):
            future.result(10)
    assert groups[0] == [0]
    assert len(groups) == 2
    assert sorted(groups[1]) == list(range(1, 20))


def test_a_bad_item_costs_nobody_else() -> None:
    written: list[int] = []
    gate = threading.Event()

    def flush(items: list[int]) -> None:
        if items == [0]:
            assert gate.wait(10)
        if 13 in items:
            raise ValueError("13")
        written.extend(items)

    commit = GroupCommit(flush, is_away)
    with ThreadPoolExecutor(20) as pool:
        futures = [pool.submit(commit.submit, number) for number in range(20)]
        gate.set()
        for number, future in enumerate(futures):
            if number == 13:
                with pytest.raises(ValueError, match="13"):
                    future.result(10)
            else:
                future.result(10)
    assert sorted(written) == [number for number in range(20) if number != 13]


def test_when_the_database_is_away_all_who_wait_fail_at_once() -> None:
    calls = 0
    first_is_writing, go_on = threading.Event(), threading.Event()

    def flush(_items: list[int]) -> None:
        nonlocal calls
        calls += 1
        first_is_writing.set()
        assert go_on.wait(10)
        raise DatabaseAwayError

    commit = GroupCommit(flush, is_away)
    with ThreadPoolExecutor(10) as pool:
        futures = [pool.submit(commit.submit, 0)]
        assert first_is_writing.wait(10)
        futures += [pool.submit(commit.submit, number) for number in range(1, 10)]
        while len(commit._queue) < 9:
            pass
        go_on.set()
        for future in futures:
            with pytest.raises(DatabaseAwayError):
                future.result(10)
    assert calls == 1


def test_it_works_again_after_a_failure() -> None:
    outcomes = [DatabaseAwayError(), None]

    def flush(_items: list[int]) -> None:
        outcome = outcomes.pop(0)
        if outcome is not None:
            raise outcome

    commit = GroupCommit(flush, is_away)
    with pytest.raises(DatabaseAwayError):
        commit.submit(1)
    commit.submit(2)
    assert outcomes == []


def test_a_group_has_a_limit_and_keeps_the_order_of_arrival() -> None:
    groups: list[list[int]] = []
    first_is_writing, go_on = threading.Event(), threading.Event()

    def flush(items: list[int]) -> None:
        groups.append(items)
        if items == [0]:
            first_is_writing.set()
            assert go_on.wait(10)

    commit = GroupCommit(flush, is_away, most=4)
    with ThreadPoolExecutor(11) as pool:
        futures = [pool.submit(commit.submit, 0)]
        assert first_is_writing.wait(10)
        for number in range(1, 11):
            futures.append(pool.submit(commit.submit, number))
            while len(commit._queue) < number:
                pass
        go_on.set()
        for future in futures:
            future.result(10)
    assert groups == [[0], [1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]


def test_a_write_that_succeeds_in_part_does_not_fail_those_who_came_later() -> None:
    """Only an error of the whole group spoils the queue behind it; one bad item does not."""
    first_is_writing, go_on = threading.Event(), threading.Event()
    written: list[int] = []

    def flush(items: list[int]) -> None:
        if items == [0]:
            first_is_writing.set()
            assert go_on.wait(10)
            raise ValueError("0")
        written.extend(items)

    commit = GroupCommit(flush, is_away)
    with ThreadPoolExecutor(5) as pool:
        bad = pool.submit(commit.submit, 0)
        assert first_is_writing.wait(10)
        later = [pool.submit(commit.submit, number) for number in range(1, 5)]
        while len(commit._queue) < 4:
            pass
        go_on.set()
        with pytest.raises(ValueError, match="0"):
            bad.result(10)
        for future in later:
            future.result(10)
    assert sorted(written) == [1, 2, 3, 4]
