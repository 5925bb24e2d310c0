"""The key ring, password hashes, masks."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.secrets import (
    DecryptionError,
    KeyRing,
    KeySettingError,
    PasswordTooLongError,
    SecretError,
    UnknownKeyError,
    check_password,
    hash_password,
    mask,
    new_key,
    weakness,
)

OLD, NEW = new_key(), new_key()
RING = KeyRing.from_setting(f"old:{OLD}")
CONTEXT = "bots:1:accessToken"


def test_what_is_encrypted_comes_back() -> None:
    stored = RING.encrypt("EAA-tökén", CONTEXT)
    version, key_id, _, _ = stored.split(".")
    assert (version, key_id) == ("v1", "old")
    assert "EAA" not in stored
    assert RING.decrypt(stored, CONTEXT) == "EAA-tökén"


def test_the_same_text_never_looks_the_same() -> None:
    assert RING.encrypt("x", CONTEXT) != RING.encrypt("x", CONTEXT)


@pytest.mark.parametrize("elsewhere", ["bots:2:accessToken", "bots:1:apiKey", "users:1:accessToken", ""])
def test_a_secret_moved_to_another_place_does_not_decrypt(elsewhere: str) -> None:
    with pytest.raises(DecryptionError):
        RING.decrypt(RING.encrypt("x", CONTEXT), elsewhere)


def test_every_changed_bit_is_noticed() -> None:
    version, key_id, nonce, sealed = RING.encrypt("a longer secret", CONTEXT).split(".")
    for part, rebuild in ((nonce, "v1.old.{}." + sealed), (sealed, f"v1.old.{nonce}." + "{}")):
        data = bytearray(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        for place in range(len(data)):
            data[place] ^= 1
            changed = base64.urlsafe_b64encode(bytes(data)).rstrip(b"=").decode()
            with pytest.raises(DecryptionError):
                RING.decrypt(rebuild.format(changed), CONTEXT)
            data[place] ^= 1
    assert (version, key_id) == ("v1", "old")


def test_rotation_keeps_old_secrets_readable_and_tells_them_apart() -> None:
    stored = RING.encrypt("x", CONTEXT)
    rotated = KeyRing.from_setting(f"new:{NEW}, old:{OLD}")
    assert rotated.decrypt(stored, CONTEXT) == "x"
    assert rotated.needs_rotation(stored)
    again = rotated.encrypt("x", CONTEXT)
    assert not rotated.needs_rotation(again)
    with pytest.raises(UnknownKeyError, match="new"):
        RING.decrypt(again, CONTEXT)


def test_a_key_of_the_same_name_but_other_bytes_does_not_decrypt() -> None:
    with pytest.raises(DecryptionError):
        KeyRing.from_setting(f"old:{NEW}").decrypt(RING.encrypt("x", CONTEXT), CONTEXT)


@given(st.text())
def test_no_stored_text_raises_anything_undeclared(stored: str) -> None:
    with pytest.raises(SecretError):
        RING.decrypt(stored, CONTEXT)


@given(st.text(alphabet="v1.old-_AZ=é", max_size=60))
def test_nearly_stored_text_raises_nothing_undeclared(rest: str) -> None:
    with pytest.raises(SecretError):
        RING.decrypt(f"v1.old.{rest}", CONTEXT)


@given(st.text())
def test_no_setting_raises_anything_undeclared(text: str) -> None:
    with pytest.raises(KeySettingError):
        KeyRing.from_setting(text)


def test_the_ring_shows_no_key() -> None:
    assert OLD not in repr(RING)
    assert "keys" not in repr(RING)


def test_passwords() -> None:
    hashed = hash_password("123456")
    assert hashed.startswith("$2b$12$")
    assert check_password("123456", hashed)
    assert not check_password("1234567", hashed)
    assert not check_password("123456", None)
    assert not check_password("123456", "no hash")


def test_a_password_beyond_bcrypts_reach_is_refused_and_never_matches() -> None:
    with pytest.raises(PasswordTooLongError, match="72 bytes"):
        hash_password("é" * 37)
    hashed = hash_password("a" * 72)
    assert check_password("a" * 72, hashed)
    assert not check_password("a" * 73, hashed)


def test_masks_show_four_characters_of_long_secrets_only() -> None:
    assert mask("EAAGm0PX4ZCpsBA1234") == "••••1234"
    assert mask("short") == "••••"
    assert mask("") == ""


def test_generated_secrets_are_never_called_weak() -> None:
    assert all(weakness(new_key(), 32) is None for _ in range(500))
