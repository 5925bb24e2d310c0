"""Regular expressions: what they mean, what is refused in which words, and that none is slow."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.flow.patterns import MAX_TEXT_LENGTH, PatternError, compile_pattern
from tests.unit.language_strategies import any_text, assert_inside, calm


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("b", "abc", True),
        ("^b", "abc", False),
        ("^abc$", "abc", True),
        ("^abc$", "abc\n", False),
        ("a.c", "a\nc", False),
        ("(?i)ABC", "xabcx", True),
        (r"^\d{4}$", "2024", True),
        (r"^\d{4}$", "٢٠٢٤", False),
        (r"^[\p{L} '-]{2,60}$", "José O'Neill", True),
        ("^.{3}$", "a😀é", True),
        ("", "", True),
        ("x", "\ud800x", True),
        ("x", "x" * (MAX_TEXT_LENGTH + 1), False),
    ],
)
def test_where_a_pattern_is_found(pattern: str, text: str, *, found: bool) -> None:
    assert compile_pattern(pattern).matches(text) is found


@pytest.mark.parametrize(
    ("pattern", "position", "why"),
    [
        ("ab(?=c)", 2, "(?= looks ahead or behind"),
        ("ab(?!c)", 2, "(?! looks ahead or behind"),
        ("(?<=a)b", 0, "(?<= looks ahead or behind"),
        ("(?<!a)b", 0, "(?<! looks ahead or behind"),
        (r"(a)\1", 3, r"\1 repeats an earlier group"),
        (r"(?P<n>a)(?P=n)", 8, "(?P= repeats an earlier group"),
        ("(ab", 0, "A ( is never closed"),
        ("ab)", 0, "A ) has no ("),
        ("a[b", 1, "A [ is never closed"),
        ("*a", 0, "nothing before it"),
        ("a**", 1, "Two repetitions"),
        ("a{1001}", 1, "A repetition is too large"),
        ("((a{100}){100}){100}", 3, "A repetition is too large"),
        ("[z-a]", 1, "runs backwards"),
        ("a\\", 0, "nothing after it"),
        (r"\Z", 0, r"“\Z” is not understood"),
        (r"(\pL{1,300}){3}x", 0, "too large"),
        ("a" * 501, 500, "longer than 500"),
    ],
)
def test_a_wrong_pattern_says_where_and_why(pattern: str, position: int, why: str) -> None:
    with pytest.raises(PatternError) as refused:
        compile_pattern(pattern)
    assert why in refused.value.message
    assert refused.value.position == position


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*$", "(a*)*b", "(.*a){20}$", "^(([a-z])+.)+[A-Z]([a-z])+$"]
)
def test_a_bomb_is_fast(pattern: str) -> None:
    compiled = compile_pattern(pattern)
    started = time.perf_counter()
    compiled.matches("a" * (MAX_TEXT_LENGTH - 1) + "!")
    assert time.perf_counter() - started < 1.0  # a backtracking engine needs longer than the universe has


@calm
@given(
    st.lists(
        st.sampled_from(["(", ")", "[", "]", "*", "+", "?", "{2,}", "\\", "^", "$", "a"]) | any_text
    ).map("".join),
    any_text,
)
def test_no_text_raises_anything_undeclared(pattern: str, text: str) -> None:
    try:
        compiled = compile_pattern(pattern)
    except PatternError as refused:
        assert_inside(refused, pattern)
        return
    compiled.matches(text)
