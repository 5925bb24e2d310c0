"""What a logged call may not show, and what the log of a customer's conversation may not keep."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from api.history.masking import MASK, is_secret_name, mask_pairs, mask_text, mask_url, mask_value
from common.redaction import place_of
from worker.step_log import without_values

SECRET = "sk-live-0123456789abcdefghij"


def test_secrets_go_by_their_names() -> None:
    for name in (
        "Authorization", "X-Api-Key", "api_key", "apikey", "Cookie", "Set-Cookie", "client_secret", "password",
        "accessToken", "X-Auth-Token", "private_key", "X-Hub-Signature-256", "token", "key", "auth",
    ):  # fmt: skip
        assert is_secret_name(name), name
    for name in ("X-Shop", "Content-Type", "max_tokens", "tokens", "keyboard", "monkey", "author", "name"):
        assert not is_secret_name(name), name


def test_and_by_their_looks() -> None:
    for text in (
        f"use {SECRET}.",
        "Bearer abcdefghijkl",
        "Basic dXNlcjpwYXNz",
        "EAAB1234567890abcdef1234",
        "eyJhbGciOiJI.eyJzdWIi.abc",
    ):
        assert MASK in mask_text(text), text
    assert mask_text("sk-8 is a ski") == "sk-8 is a ski"
    value = mask_value(
        {"a": [{"password": "x", "empty": "", "note": f"({SECRET})"}], "secret": {"deep": 1}, "token": None}
    )
    assert value == {
        "a": [{"password": MASK, "empty": "", "note": f"({MASK})"}],
        "secret": MASK,
        "token": None,
    }
    assert mask_pairs([("X-Api-Key", "1"), ("X-Shop", "ducks")]) == [
        {"name": "X-Api-Key", "value": MASK}, {"name": "X-Shop", "value": "ducks"},
    ]  # fmt: skip


def test_addresses() -> None:
    url = f"https://ada:pass@shop.test:8443/a%20b?api_key=1&q=x%20y&n={SECRET}#part"
    assert mask_url(url) == f"https://shop.test:8443/a%20b?api_key={MASK}&q=x%20y&n={MASK}"
    assert place_of(url) == "https://shop.test:8443/a%20b"
    assert mask_url("https://[") == MASK


@given(st.text())
def test_no_text_is_too_strange(text: str) -> None:
    assert SECRET not in mask_url(f"https://x.test/?q={text}&k={SECRET}")
    mask_url(text)
    place_of(text)
    mask_value({text: [text]})


def test_depth_does_not_matter() -> None:
    value: object = SECRET
    for _ in range(500):
        value = [value]
    assert SECRET not in json.dumps(mask_value(value), ensure_ascii=False)


def test_a_customers_log_keeps_no_values() -> None:
    detail = {
        "saw": {"age": 42}, "branch": "Adult", "request": {"method": "GET", "url": "https://a.test/x?phone=49170"},
    }  # fmt: skip
    kept = without_values(detail)
    assert kept == {"branch": "Adult", "request": {"method": "GET", "url": "https://a.test/x"}}
    assert detail["saw"] == {"age": 42}, "the step itself is left alone"
    assert without_values({"request": {"model": "gpt-4", "messages": 2}}) == {
        "request": {"model": "gpt-4", "messages": 2}
    }
