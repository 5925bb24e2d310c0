"""Log lines: their shape, what they never show, and that the libraries' lines look the same."""

from __future__ import annotations

import base64
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from common.log import accept_request_id, bound, configure_logging, get_logger
from common.redaction import Redaction, shorten_phone
from common.settings import Settings

SETTINGS = Settings(app_env="test", jwt_secret="jwt-canary-1", log_format="json")
PRODUCTION = Settings(app_env="production", jwt_secret="jwt-canary-1", encryption_keys="main:key-canary-2")


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def line_of(settings: Settings = SETTINGS, **values: Any) -> dict[str, Any]:
    stream = io.StringIO()
    configure_logging(settings, "worker", stream)
    get_logger().info("test.happened", **values)
    (line,) = lines(stream)
    return line


def test_a_line_has_time_level_event_process_and_its_values() -> None:
    line = line_of(lanes=3, empty=None)
    assert list(line) == ["timestamp", "level", "event", "process", "lanes", "empty"]
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["event"], line["process"], line["lanes"]) == (
        "info",
        "test.happened",
        "worker",
        3,
    )


def test_bound_values_stand_on_every_line_meanwhile() -> None:
    stream = io.StringIO()
    configure_logging(SETTINGS, "web", stream)
    with bound(request_id="0123456789"):
        get_logger().info("test.inside")
        logging.getLogger("somewhere").warning("library %s", "line")
    get_logger().info("test.outside")
    inside, library, outside = lines(stream)
    assert inside["request_id"] == library["request_id"] == "0123456789"
    assert (library["event"], library["logger"], library["level"]) == ("library line", "somewhere", "warning")
    assert "request_id" not in outside


def test_lines_below_the_level_are_not_written() -> None:
    stream = io.StringIO()
    configure_logging(SETTINGS, "web", stream)
    get_logger().debug("test.hidden")
    logging.getLogger("somewhere").debug("hidden")
    logging.getLogger("pymongo").info("hidden")
    assert stream.getvalue() == ""


def test_configuring_twice_writes_each_line_once() -> None:
    stream = io.StringIO()
    configure_logging(SETTINGS, "web", io.StringIO())
    configure_logging(SETTINGS, "web", stream)
    logging.getLogger("somewhere").warning("once")
    assert len(lines(stream)) == 1


def test_secrets_go_by_name_and_by_value() -> None:
    line = line_of(
        access_token="anything",
        Authorization="anything",
        nested={"appSecret": "anything", "list": [{"api_key": "anything"}]},
        harmless="it was jwt-canary-1, sent as Bearer abc.def and sk-proj-abcdefghijklmnop",
        prompt_tokens=12,
    )
    text = json.dumps(line)
    for canary in ("anything", "jwt-canary-1", "abc.def", "sk-proj"):
        assert canary not in text
    assert line["prompt_tokens"] == 12


def test_settings_secrets_never_appear_not_even_in_a_traceback() -> None:
    stream = io.StringIO()
    configure_logging(PRODUCTION, "web", stream)
    try:
        int("key-canary-2 in mongodb://user:pw-canary@host/db?authSource=q-canary")
    except ValueError:
        get_logger().exception("test.broke")
    assert "canary" not in stream.getvalue()
    assert "mongodb://host/db" in lines(stream)[0]["exception"]


def test_phone_numbers_are_shortened() -> None:
    line = line_of(
        wa_id="4917012345123", to="+49 170 12345-123", note="call +4917012345123 now", job="4917012345123"
    )
    assert line["wa_id"] == line["to"] == "+49…123"
    assert line["note"] == "call +49…123 now"
    assert line["job"] == "4917012345123"  # a number with another name is no phone number


def test_url_queries_are_cut() -> None:
    line = line_of(
        url="https://crm.test/leads?mail=a@b.c#x", detail="GET https://me:pw@crm.test/x?key=1 failed"
    )
    assert line["url"] == "https://crm.test/leads?…"
    assert line["detail"] == "GET https://crm.test/x?… failed"


def test_production_shows_nothing_that_people_wrote() -> None:
    written = {"text": "hello", "variables": {"name": "Ada"}, "step": {"prompt": "hello", "node": "n1"}}
    shown = line_of(PRODUCTION, **written)
    assert shown["text"] == "[5 long]"
    assert shown["variables"] == "[1 long]"
    assert shown["step"] == {"prompt": "[5 long]", "node": "n1"}
    assert line_of(SETTINGS, **written)["text"] == "hello"


def test_production_shortens_message_ids_which_hold_the_number_in_base64() -> None:
    number = base64.b64encode(b"\x1c\x18\x0b16505551234").decode()
    wamid = f"wamid.{number}VAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"
    line = line_of(PRODUCTION, job_id=f"1065403:{wamid}", note="wamid.x")
    assert line["job_id"] == f"1065403:wamid.…{wamid[-12:]}"
    assert line["note"] == "wamid.x"
    assert line_of(SETTINGS, job_id=wamid)["job_id"] == wamid


def test_development_is_readable() -> None:
    stream = io.StringIO()
    configure_logging(Settings(), "web", stream)
    get_logger().info("test.happened", lanes=3)
    assert "test.happened" in stream.getvalue()
    assert "lanes=3" in stream.getvalue()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.binary(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_redaction_takes_anything(line: dict[str, Any]) -> None:
    assert Redaction(["canary"])(None, "info", dict(line)).keys() == line.keys()


def test_deep_values_are_cut_and_objects_shown_as_text() -> None:
    deep: Any = "bottom"
    for _ in range(10_000):
        deep = [deep]
    assert "bottom" not in json.dumps(line_of(deep=deep))
    assert line_of(error=ValueError("Bearer abcdef"))["error"] == "Bearer [redacted]"


@pytest.mark.parametrize("given_id", ["abcdefgh", "A-b_" * 16, "01ARZ3NDEKTSV4RRFFQ69G5FAV"])
def test_a_callers_request_id_is_kept(given_id: str) -> None:
    assert accept_request_id(given_id) == given_id


@pytest.mark.parametrize(
    "given_id", [None, "", "short", "x" * 65, "with space", "line\nbreak", "abcdefgh\n", "ünïcodé-id"]
)
def test_anything_else_gets_a_fresh_one(given_id: str | None) -> None:
    fresh = accept_request_id(given_id)
    assert fresh != given_id
    assert accept_request_id(fresh) == fresh


def test_shortened_phones_keep_too_little_to_call() -> None:
    assert shorten_phone("+1 (650) 555-1234") == "+16…234"
