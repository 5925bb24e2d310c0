"""Rotating keys: every stored secret is encrypted again with the first key of the ring, while everything runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from common.model.encrypted_fields import ENCRYPTED_FIELDS, EncryptedField
from common.secrets import DecryptionError, KeyRing, SecretError, key_of
from common.store.encrypted_records import EncryptedRecords

# Somebody saves the same secret again and again: after so many times it is left to the next run.
_MOST_TRIES = 5


@dataclass(slots=True)
class Rotated:
    """What became of one field's secrets. `failed`: (record id, reason)."""

    again: int = 0
    current: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)


def rotate(records: EncryptedRecords, keys: KeyRing, kind: EncryptedField) -> Rotated:
    """Encrypt again what an older key encrypted.

    Safe to repeat and to interrupt: what is done needs no rotation any more. What cannot be decrypted is named and
    stays as it is; the rest goes on.
    """
    done = Rotated()
    for record_id, stored in records.each(kind):
        try:
            if _rotate_one(records, keys, kind, record_id, stored):
                done.again += 1
            else:
                done.current += 1
        except SecretError as error:
            done.failed.append((record_id, str(error)))
    return done


def _rotate_one(
    records: EncryptedRecords, keys: KeyRing, kind: EncryptedField, record_id: str, stored: object
) -> bool:
    """Whether there was something to do. Raises SecretError."""
    for _ in range(_MOST_TRIES):
        if stored is None:
            return False  # deleted meanwhile
        if not isinstance(stored, str):
            raise DecryptionError("this is no encrypted secret")
        context = kind.context(record_id)
        plain = keys.decrypt(stored, context)
        if not keys.needs_rotation(stored):
            return False
        if records.replace(kind, record_id, stored, keys.encrypt(plain, context)):
            return True
        stored = records.find(kind, record_id)  # saved meanwhile: look at what stands there now
    raise SecretError("it is being saved all the time; run this again")


def count_by_key(records: EncryptedRecords) -> Counter[str]:
    """How many stored secrets each key has encrypted; "" for what is no secret at all."""
    used: Counter[str] = Counter()
    for kind in ENCRYPTED_FIELDS:
        for _, stored in records.each(kind):
            try:
                used[key_of(stored) if isinstance(stored, str) else ""] += 1
            except DecryptionError:
                used[""] += 1
    return used
