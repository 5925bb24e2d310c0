"""Secrets are taken out of other servers' words, whole, cut, or spelled for a URL."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.gateways.scrub import MOST_CHARACTERS, REDACTED, scrub

SECRETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=12, max_size=60)
WORDS = st.text(max_size=40)


@given(SECRETS, WORDS, WORDS)
def test_no_piece_of_a_secret_is_left(secret: str, before: str, after: str) -> None:
    for spelling in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1]):
        said = scrub(f"{before} {spelling} {after}", [secret])
        assert secret not in said
        assert REDACTED in said or len(before) > MOST_CHARACTERS


@given(SECRETS, st.integers(0, 4))
def test_a_cut_secret_is_found(secret: str, lost: int) -> None:
    said = scrub(f"token={secret[lost:]}", [secret])
    assert secret[lost:] not in said
    assert not any(secret[at : at + 8] in said.replace(REDACTED, "\0") for at in range(len(secret) - 7))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Incorrect API key provided: sk-other-123456.", f"Incorrect API key provided: {REDACTED}"),
        ("Session of EAAother1234567890 has expired.", f"Session of {REDACTED} has expired."),
        ("The access token is wrong.", "The access token is wrong."),
        ("\ud83d half", "� half"),
        (None, ""),
        ({"a": 1}, ""),
    ],
)
def test_what_looks_like_a_secret_goes_and_the_rest_stays(said: object, expected: str) -> None:
    assert scrub(said, ["token-of-somebody", ""]) == expected


def test_one_secret_in_two_spellings_is_one_mark() -> None:
    """Whichever spelling is looked for first, no end of the other one is left over."""
    secret = "token_of/somebody/x"
    assert scrub(f"<{secret}>", [secret]) == f"<{REDACTED}>"
    assert scrub("<token_of%2Fsomebody%2Fx>", [secret]) == f"<{REDACTED}>"


def test_it_is_cut_to_a_few_sentences() -> None:
    assert len(scrub("word " * 10_000, ["secret-of-mine"])) == MOST_CHARACTERS
