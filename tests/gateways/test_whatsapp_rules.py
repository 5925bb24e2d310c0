"""The error table, waiting, numbers, the window and the pace: rules without a network."""

from __future__ import annotations

import datetime as dt
import email.utils
from http.client import HTTPMessage
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.clock import utc_now
from common.gateways.whatsapp.answer import retry_after_seconds
from common.gateways.whatsapp.backoff import retry_delay, transport_retry_delay
from common.gateways.whatsapp.error_table import Action, action_for
from common.gateways.whatsapp.pace import NUMBER_BURST_SECONDS, NumberPace
from common.model.pair_pace import PairPace
from common.model.phone_numbers import alternative, normalise
from common.model.reply_window import is_window_open, window_expires_at

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)


def seconds(count: float) -> dt.timedelta:
    return dt.timedelta(seconds=count)


# Error table


@pytest.mark.parametrize(
    ("codes", "action"),
    [
        ((131056,), Action.RETRY_PAIR),
        ((130429,), Action.RETRY_NUMBER),
        ((4, 80007), Action.RETRY_APP),
        ((2, 131016, 131057, 133004), Action.RETRY_MAINTENANCE),
        ((1, 131000), Action.RETRY_TRANSIENT),
        ((131053,), Action.RETRY_ONCE),
        ((131030,), Action.RETRY_ALTERNATIVE_NUMBER),
        ((131026, 131021, 131050, 131062, 130403), Action.FAIL_RECIPIENT),
        ((100, 131008, 131009, 131051, 33, 135000, 777777, -5), Action.FAIL_PAYLOAD),
        ((131047,), Action.FAIL_WINDOW),
        ((132000, 132001, 132015, 132069), Action.FAIL_TEMPLATE),
        ((131048, 131049, 130472, 131064), Action.FAIL_ECOSYSTEM),
        ((0, 3, 10, 190, 200, 299, 131005), Action.STOP_BOT_AUTH),
        ((368, 130497, 131031, 131042, 131045, 133010), Action.STOP_BOT_ACCOUNT),
    ],
)
def test_each_code_has_its_action(codes: Sequence[int], action: Action) -> None:
    assert [action_for(code) for code in codes] == [action] * len(codes)


def test_code_1_may_be_a_fault_of_ours() -> None:
    assert action_for(1, details="An unknown error occurred") is Action.RETRY_TRANSIENT
    assert action_for(1, details="Invalid parameter: to") is Action.FAIL_PAYLOAD
    assert action_for(1, details="Invalid parameter", is_transient=True) is Action.RETRY_TRANSIENT


def test_a_transient_code_nobody_knows_is_retried() -> None:
    assert action_for(777777, is_transient=True) is Action.RETRY_TRANSIENT
    assert action_for(131047, is_transient=True) is Action.FAIL_WINDOW


def test_actions_say_what_they_are() -> None:
    assert [a for a in Action if a.stops_bot] == [Action.STOP_BOT_AUTH, Action.STOP_BOT_ACCOUNT]
    assert {a for a in Action if a.is_retry} == {
        a for a in Action if retry_delay(a, 1, lambda: 0) is not None
    }


# Waiting


@pytest.mark.parametrize(
    ("action", "delays"),
    [
        (Action.RETRY_PAIR, [1, 4, 16, 64, 256, None]),
        (Action.RETRY_NUMBER, [1, 2, 4, 8, 16, 32, *[60] * 14, None]),
        (Action.RETRY_APP, [60, 120, 240, 300, 300, 300, None]),
        (Action.RETRY_MAINTENANCE, [5, 10, 20, 40, 60, None]),
        (Action.RETRY_TRANSIENT, [2, 8, 30, None]),
        (Action.RETRY_ONCE, [2, None]),
        (Action.RETRY_ALTERNATIVE_NUMBER, [0, None]),
        (Action.FAIL_WINDOW, [None]),
        (Action.STOP_BOT_AUTH, [None]),
    ],
)
def test_delays(action: Action, delays: list[float | None]) -> None:
    assert [retry_delay(action, attempt + 1, lambda: 0) for attempt in range(len(delays))] == delays


def test_jitter_only_lengthens() -> None:
    assert retry_delay(Action.RETRY_PAIR, 3, lambda: 0.999) == pytest.approx(20, abs=0.1)


def test_metas_wish_is_not_undercut() -> None:
    assert retry_delay(Action.RETRY_NUMBER, 1, lambda: 0, 30) == 30
    assert retry_delay(Action.RETRY_NUMBER, 6, lambda: 0, 30) == 32
    assert retry_delay(Action.RETRY_NUMBER, 1, lambda: 0, 1e9) == 3600
    assert retry_delay(Action.RETRY_NUMBER, 99, lambda: 0, 30) is None
    assert retry_delay(Action.RETRY_NUMBER, 0, lambda: 0) is None


def test_what_was_never_sent_is_tried_again_for_minutes() -> None:
    assert [transport_retry_delay(n, lambda: 0) for n in (1, 5, 6)] == [5, 60, None]


def headers(**values: str) -> HTTPMessage:
    message = HTTPMessage()
    for name, value in values.items():
        message[name.replace("_", "-")] = value
    return message


@pytest.mark.parametrize(
    ("given_headers", "expected"),
    [
        (headers(), None),
        (headers(Retry_After="30"), 30),
        (headers(Retry_After=" 7 "), 7),
        (headers(Retry_After="-5"), None),
        (headers(Retry_After="0"), None),
        (headers(Retry_After="soon"), None),
        (headers(Retry_After="٣"), None),
        (headers(Retry_After="9" * 5000), 999999999),
        (headers(X_Business_Use_Case_Usage='{"1":[{"estimated_time_to_regain_access":3}]}'), 180),
        (
            headers(X_Business_Use_Case_Usage='{"1":[{"estimated_time_to_regain_access":"3"}, 4], "2": 5}'),
            None,
        ),
        (headers(X_Business_Use_Case_Usage="[1]"), None),
        (headers(X_Business_Use_Case_Usage="{"), None),
        (
            headers(
                Retry_After="200", X_Business_Use_Case_Usage='{"1":[{"estimated_time_to_regain_access":3}]}'
            ),
            200,
        ),
    ],
)
def test_how_long_meta_wants_us_to_wait(given_headers: HTTPMessage, expected: float | None) -> None:
    assert retry_after_seconds(given_headers) == expected


def test_retry_after_as_a_date() -> None:
    date = email.utils.format_datetime(utc_now() + seconds(90), usegmt=True)
    assert retry_after_seconds(headers(Retry_After=date)) == pytest.approx(90, abs=5)
    assert retry_after_seconds(headers(Retry_After="Sun, 06 Nov 1994 08:49:37 -0000")) is None


# Numbers


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("+1 (631) 555-5555", "16315555555"),
        ("49.151/2345 678", "491512345678"),
        ("16505551234", "16505551234"),
        ("+", None),
        ("", None),
        ("+0123", None),
        ("++49123", None),
        ("49 abc", None),
        ("1" * 16, None),
        ("٤٩١٢٣", None),
    ],
)
def test_normalise(text: str, digits: str | None) -> None:
    assert normalise(text) == digits


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5491123456789", "541123456789"),
        ("5215512345678", "525512345678"),
        ("5511987654321", "551187654321"),
    ],
)
def test_two_spellings(one: str, other: str) -> None:
    assert (alternative(one), alternative(other)) == (other, one)


@pytest.mark.parametrize(
    "number", ["16505551234", "551133334444", "54112345", "52551234567", "549112345678", ""]
)
def test_one_spelling(number: str) -> None:
    assert alternative(number) is None


@given(st.from_regex(r"\A(54|549|52|521|55)[0-9]{10,11}\Z"))
def test_the_other_spelling_of_the_other_spelling(number: str) -> None:
    other = alternative(number)
    assert other is None or (other != number and alternative(other) == number)


# Window


def test_the_window() -> None:
    assert window_expires_at(NOW) == NOW + seconds(24 * 3600)
    assert is_window_open(NOW, NOW)
    assert is_window_open(NOW, NOW + seconds(24 * 3600 - 61))
    assert not is_window_open(NOW, NOW + seconds(24 * 3600 - 60))
    assert not is_window_open(None, NOW)


# Pace


def test_a_burst_is_borrowed_and_paid_back() -> None:
    pace = PairPace(0, NOW)
    for _ in range(45):
        pace, wait = pace.after(NOW)
        assert wait == 0
    assert pace.after(NOW)[1] == 6
    assert pace.after(NOW, 3)[1] == 18
    assert pace.after(NOW + seconds(6))[1] == 0
    assert pace.after(NOW + seconds(45 * 6))[0].level == 1


def test_the_limits_are_settings() -> None:
    pace, wait = PairPace(2, NOW).after(NOW, burst=2, seconds=1)
    assert (pace.level, wait) == (3, 1)


def test_a_clock_that_goes_backwards_leaks_nothing() -> None:
    pace, _ = PairPace(10, NOW).after(NOW - seconds(600))
    assert pace == PairPace(11, NOW)


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(1, 5)), max_size=80))
def test_no_contact_ever_gets_more_than_meta_allows(arrivals: list[tuple[float, int]]) -> None:
    """Whatever comes when: sent after the wait, every span carries at most burst + span / 6 s messages."""
    pace, now, sent = PairPace(0, NOW), NOW, list[dt.datetime]()
    for gap, count in arrivals:
        now += seconds(gap)
        pace, wait = pace.after(now, count)
        now += seconds(wait)
        sent += [now] * count
    for first in range(len(sent)):
        for last in range(first, len(sent)):
            span = (sent[last] - sent[first]).total_seconds()
            assert last - first + 1 <= 45 + span / 6 + 1e-3


def test_a_number_is_spaced_evenly() -> None:
    pace = NumberPace(10)
    waits = [pace.reserve("a", 100.0) for _ in range(12)]
    assert waits[:2] == [0, 0]
    assert waits[11] == pytest.approx(1.1 - NUMBER_BURST_SECONDS)
    assert pace.reserve("b", 100.0) == 0
    assert pace.reserve("a", 200.0) == 0


def test_a_number_is_held() -> None:
    pace = NumberPace(10)
    pace.hold("a", 5, 100.0)
    assert pace.reserve("a", 100.0) == pytest.approx(5)
    assert pace.reserve("a", 101.0) == pytest.approx(4.1)
    pace.hold("a", 1, 100.0)
    assert pace.reserve("a", 101.0) == pytest.approx(4.2)


def test_idle_numbers_are_forgotten() -> None:
    pace = NumberPace(10)
    for number in range(5000):
        pace.reserve(str(number), number * 1.0)
    assert len(pace._next_at) < 4200


@given(st.lists(st.floats(0, 0.5), max_size=200))
def test_no_second_carries_more_than_a_tenth_too_many(gaps: list[float]) -> None:
    pace, now, sent = NumberPace(80), 1000.0, list[float]()
    for gap in gaps:
        now += gap
        sent.append(now + pace.reserve("a", now))
    sent.sort()
    for index, at in enumerate(sent):
        assert sum(1 for other in sent[index:] if other < at + 1) <= 80 * 1.1 + 1


def test_messages_that_already_count_wait_only_for_what_goes_before_them() -> None:
    full = PairPace(47, NOW)  # 47 messages were decided on; none of the last three is sent yet
    assert full.wait_for_first_of(3, NOW, burst=45, seconds=6) == 0
    assert full.wait_for_first_of(2, NOW, burst=45, seconds=6) == 6
    assert full.wait_for_first_of(1, NOW, burst=45, seconds=6) == 12
    assert full.wait_for_first_of(1, NOW + seconds(12), burst=45, seconds=6) == 0


def test_no_seconds_mean_no_limit() -> None:
    pace, wait = PairPace(1000, NOW).after(NOW, 1000, seconds=0)
    assert (pace.level, wait) == (0, 0)
    assert PairPace(1000, NOW).wait_for_first_of(1, NOW, seconds=0) == 0


def test_who_will_not_wait_reserves_nothing() -> None:
    """A thousand conversations that come back for their turn are all served: nobody's place is lost to no one."""
    pace, now, served = NumberPace(per_second=80), 0.0, 0
    waiting = [0.0] * 1000  # when each of them looks again
    while served < 1000:
        now = min(waiting)
        waiting.remove(now)
        wait = pace.reserve("n", now, most=2.0)
        if wait > 2.0:
            waiting.append(now + wait)
        else:
            served += 1
        assert now < 60, f"{served} served"
