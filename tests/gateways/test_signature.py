"""Meta's webhook signature: right bytes only, and no header makes it raise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.signature import is_signed, sign

SECRET = "0123456789abcdef"
RAW = b'{"object":"whatsapp_business_account","text":"\\u00e4\\/"}'


def test_the_known_answer() -> None:
    """RFC 4231 test case 2."""
    expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert sign("Jefe", b"what do ya want for nothing?") == expected


def test_meta_is_believed() -> None:
    assert is_signed(SECRET, RAW, sign(SECRET, RAW))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        sign(SECRET, RAW).removeprefix("sha256="),
        sign(SECRET, RAW).replace("sha256", "sha1"),
        sign(SECRET, RAW).upper(),
        sign(SECRET, RAW)[:-1],
        sign(SECRET, RAW) + "0",
        " " + sign(SECRET, RAW),
        sign("another secret", RAW),
        sign(SECRET, RAW.replace(b"\\/", b"/")),
        sign(SECRET, RAW)[:-1] + "é",
        "sha256=" + "\ud800" * 64,
        "sha256=" + "０" * 64,
    ],
)
def test_everything_else_is_not(header: str | None) -> None:
    assert not is_signed(SECRET, RAW, header)


def test_an_empty_secret_signs_nothing() -> None:
    assert not is_signed("", RAW, sign("", RAW))


@given(st.text(), st.binary(), st.text() | st.none())
def test_no_header_raises(secret: str, raw: bytes, header: str | None) -> None:
    secret = secret.encode("utf-8", "ignore").decode()
    assert is_signed(secret, raw, header) == bool(secret and header == sign(secret, raw))
