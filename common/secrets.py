"""Secrets at rest and in sight: the key ring that encrypts them, password hashes, masks, and weakness."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

import bcrypt
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32  # AES-256
NONCE_BYTES: Final = 12  # 96 bits, what GCM is made for
BCRYPT_ROUNDS: Final = 12
MAX_PASSWORD_BYTES: Final = 72  # bcrypt reads no further
FORMAT: Final = "v1"

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}\Z")
# Checked where no account exists, so that an unknown address costs as long as a wrong password. Of random bytes.
_NOBODYS_HASH = "$2b$12$9XRodlrajhAhKMKymZJQO.PDccVDvShe3ItT/2aMOKFchh9iS8qtO"


class SecretError(Exception):
    """Something is wrong with a secret; the message never contains it."""


class KeySettingError(SecretError):
    """The text is no list of keys."""


class UnknownKeyError(SecretError):
    """It was encrypted with a key that the ring does not hold."""


class DecryptionError(SecretError):
    """It was changed, cut, or stored for another place than the one it is read from."""


class PasswordTooLongError(SecretError):
    """A password of more than 72 bytes, of which bcrypt would ignore the end."""


@dataclass(frozen=True, slots=True)
class KeyRing:
    """AES-256-GCM keys by id. The first one encrypts, all of them decrypt.

    The context ("collection:id:field") is authenticated: text moved to another record does not decrypt.
    To rotate: put a new key in front, encrypt again what `needs_rotation`, then take the old key away.
    """

    current: str
    keys: dict[str, bytes] = field(repr=False)

    @classmethod
    def from_setting(cls, text: str) -> KeyRing:
        """The ring in "kid:base64-of-32-bytes[,kid2:…]". Raises KeySettingError."""
        keys: dict[str, bytes] = {}
        for place, entry in enumerate(text.split(","), start=1):
            key_id, colon, encoded = entry.strip().partition(":")
            if not colon or not _KEY_ID.match(key_id):
                raise KeySettingError(f"key {place} must be written as name:base64-of-32-bytes")
            if key_id in keys:
                raise KeySettingError(f"the key name {key_id} stands there twice")
            keys[key_id] = _decode_key(key_id, encoded)
        return cls(next(iter(keys)), keys)

    def encrypt(self, plain: str, context: str) -> str:
        """The text as "v1.<kid>.<nonce>.<ciphertext>" (base64url without padding)."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(self.keys[self.current]).encrypt(nonce, plain.encode(), context.encode())
        return f"{FORMAT}.{self.current}.{_to_base64(nonce)}.{_to_base64(sealed)}"

    def decrypt(self, stored: str, context: str) -> str:
        """What `encrypt` was given. Raises UnknownKeyError or DecryptionError."""
        key_id, nonce, sealed = _split(stored)
        if key_id not in self.keys:
            raise UnknownKeyError(f"no key {key_id} in the key ring")
        try:
            return AESGCM(self.keys[key_id]).decrypt(nonce, sealed, context.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise DecryptionError("the secret was changed or belongs to another record") from error

    def needs_rotation(self, stored: str) -> bool:
        """Whether an older key than the first one encrypted it. Raises DecryptionError where it is no secret."""
        return _split(stored)[0] != self.current


def key_of(stored: str) -> str:
    """The name of the key that encrypted it. Raises DecryptionError where it is no secret."""
    return _split(stored)[0]


def new_key() -> str:
    """A fresh key as the setting takes it, without its name."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def hash_password(password: str) -> str:
    """The bcrypt hash. Raises PasswordTooLongError above 72 bytes of UTF-8."""
    encoded = password.encode()
    if len(encoded) > MAX_PASSWORD_BYTES:
        raise PasswordTooLongError(f"A password can have at most {MAX_PASSWORD_BYTES} bytes.")
    return bcrypt.hashpw(encoded, bcrypt.gensalt(BCRYPT_ROUNDS)).decode()


def check_password(password: str, hashed: str | None) -> bool:
    """Whether it is the password; as slow for no account (None) as for a wrong password."""
    encoded = password.encode()[:MAX_PASSWORD_BYTES]
    is_whole = len(encoded) == len(password.encode())
    try:
        is_same = bcrypt.checkpw(encoded, (hashed or _NOBODYS_HASH).encode())
    except ValueError:  # no bcrypt hash
        return False
    return is_same and is_whole and hashed is not None


def mask(secret: str) -> str:
    """The secret as people may see it: its last four characters, if it is long enough to spare them."""
    if not secret:
        return ""
    return "••••" + (secret[-4:] if len(secret) >= 12 else "")  # noqa: PLR2004 - four of twelve say little


# Pieces of secrets that stand in examples. Letters and digits only, long enough never to occur by chance.
_WELL_KNOWN = (
    "yoursecret", "secretkey", "supersecret", "topsecret", "changeme", "changethis", "changein", "replaceme",
    "replacethis", "placeholder", "password", "passw0rd", "12345678", "87654321", "qwertyui", "abcdefgh",
    "notasecret", "insecure", "mysecret", "jwtsecret", "testsecret", "devsecret", "default", "letmein",
)  # fmt: skip
_MIN_DIFFERENT = 8  # 32 random hexadecimal digits hold fewer once in a million


def weakness(secret: str, at_least: int) -> str | None:
    """Why a secret is too weak to protect anything ("is shorter than 32 bytes"), None if it is fine."""
    plain = re.sub(r"[^a-z0-9]", "", secret.lower())
    if plain in {"secret", "123456", "test", "dev", "admin"} or any(piece in plain for piece in _WELL_KNOWN):
        return "is a well-known example"
    if len(secret.encode()) < at_least:
        return f"is shorter than {at_least} bytes"
    if len(set(secret)) < _MIN_DIFFERENT or secret in (secret + secret)[1:-1]:
        return "repeats itself"
    return None


def _decode_key(key_id: str, encoded: str) -> bytes:
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise KeySettingError(f"key {key_id} is not base64") from error
    if len(key) != KEY_BYTES:
        raise KeySettingError(f"key {key_id} has {len(key)} bytes, not {KEY_BYTES}")
    return key


def _split(stored: str) -> tuple[str, bytes, bytes]:
    parts = stored.split(".")
    if len(parts) != 4 or parts[0] != FORMAT:  # noqa: PLR2004 - format, key, nonce, ciphertext
        raise DecryptionError("this is no encrypted secret")
    try:
        nonce, sealed = _from_base64(parts[2]), _from_base64(parts[3])
    except (binascii.Error, ValueError) as error:
        raise DecryptionError("the encrypted secret is damaged") from error
    if len(nonce) != NONCE_BYTES:
        raise DecryptionError("the encrypted secret is damaged")
    return parts[1], nonce, sealed


def _to_base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
