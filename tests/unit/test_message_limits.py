"""Texts and titles are made to fit WhatsApp's limits, counted in UTF-16 code units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.flow.message_limits import (
    TITLE_MAX,
    cut,
    fit_titles,
    is_blank,
    split,
    split_off_end,
    units,
    wire_prefix,
)


@pytest.mark.parametrize(("text", "length"), [("", 0), ("abc", 3), ("é", 1), ("🙂", 2), ("👨‍👩‍👧", 8)])
def test_units(text: str, length: int) -> None:
    assert units(text) == length


@pytest.mark.parametrize("text", ["", " ", "\n\t", "\u200b", "\ufeff \u2060", "\u3164"])
def test_blank(text: str) -> None:
    assert is_blank(text)


def test_a_dot_is_not_blank() -> None:
    assert not is_blank(" . ")


def test_a_text_breaks_at_the_largest_break_there_is() -> None:
    assert split("aaaa bbbb\n\ncccc dddd", 14) == ["aaaa bbbb", "cccc dddd"]
    assert split("aaaa bbbb\ncccc dddd", 14) == ["aaaa bbbb", "cccc dddd"]
    assert split("aaaa bbbb cccc", 10) == ["aaaa bbbb", "cccc"]
    assert split("aaaabbbbcccc", 5) == ["aaaab", "bbbcc", "cc"]


@given(st.text(max_size=200), st.integers(4, 50))
def test_pieces_fit_and_lose_only_white_space(text: str, limit: int) -> None:
    pieces = split(text, limit)
    assert all(0 < units(piece) <= limit for piece in pieces)
    if not is_blank(text):
        assert "".join("".join(pieces).split()) in "".join(text.split()) or len(pieces) > 1


@given(st.text(st.characters(codec="utf-8", categories=("L", "So")), max_size=200), st.integers(4, 50))
def test_without_white_space_nothing_is_lost(text: str, limit: int) -> None:
    assert "".join(split(text, limit)) == text
    beginning, end = split_off_end(text, limit)
    assert beginning + end == text
    assert units(end) <= limit


@given(st.text(max_size=100), st.integers(1, 30))
def test_a_cut_text_fits(text: str, limit: int) -> None:
    assert units(cut(text, limit)) <= limit


def test_a_cut_does_not_leave_half_an_emoji() -> None:
    assert cut("ab👨‍👩‍👧", 5) == "ab👨"
    assert cut("a🙂", 2) == "a"


@given(st.lists(st.text(max_size=40), min_size=1, max_size=3))
def test_titles_are_legal_and_differ(labels: list[str]) -> None:
    titles = [title for title, _ in fit_titles(labels)]
    assert len(titles) == len(labels)
    assert all(not is_blank(title) and units(title) <= TITLE_MAX for title in titles)
    assert len({title.casefold() for title in titles}) == len(titles)


def test_a_good_title_is_left_alone() -> None:
    assert list(fit_titles(["Yes 👍", "No"])) == [("Yes 👍", None), ("No", None)]


def test_a_long_version_id_becomes_a_digest() -> None:
    assert wire_prefix("v1") == "v1"
    assert len(wire_prefix("v" * 500)) == 64
    assert wire_prefix("v" * 500) != wire_prefix("v" * 501)
