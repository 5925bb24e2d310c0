"""Secrets in the API: they go in, and only their mask comes out; the mask sent back means "keep what is stored"."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from marshmallow import ValidationError, fields, validate

from api.rest.call import Call, invalid
from common.model.encrypted_fields import EncryptedField
from common.secrets import SecretError, mask
from common.store.database import Document

_DOT = "•"
SECRET_MOST = 4096


class Secret(fields.String):
    """A secret as it was given out by whoever made it, or the mask of the one that is stored."""

    def __init__(self, *, least: int = 8, most: int = SECRET_MOST, **options: Any) -> None:
        about = {"description": "A secret. Its mask, as answers show it, keeps the one that is stored."}
        super().__init__(validate=validate.Length(max=most), metadata=about, **options)
        self._least = least

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> str:
        secret = super()._deserialize(value, attr, data, **more).strip()
        if secret.startswith(_DOT):
            return secret
        if not secret.isascii() or not secret.isprintable() or " " in secret:
            raise ValidationError("A secret is one word of printable characters; copy it once more.")
        if len(secret) < self._least:
            raise ValidationError("This is too short; copy all of it.")
        return secret


@dataclass(frozen=True, slots=True)
class GivenSecret:
    """`plain` is what holds from now on. `is_kept`: it is stored already."""

    plain: str = field(repr=False)
    is_kept: bool


def read_given(call: Call, kind: EncryptedField, given: str, stored: Document | None) -> GivenSecret:
    """What a secret of a body stands for. Raises AppError 422 for a mask of something else than what is stored."""
    if not given.startswith(_DOT):
        return GivenSecret(given, is_kept=False)
    kept = read_stored(call, kind, stored)
    if kept is None or mask(kept) != given:
        raise invalid(
            {kind.name: ["This is the mask of another secret than the stored one. Enter all of it."]}
        )
    return GivenSecret(kept, is_kept=True)


def read_stored(call: Call, kind: EncryptedField, stored: Document | None) -> str | None:
    """The secret that a document holds; None where it holds none that can be decrypted."""
    ciphertext = stored.get(kind.name) if stored else None
    if stored is None or not isinstance(ciphertext, str):
        return None
    try:
        return call.web.keys.decrypt(ciphertext, kind.context(stored["_id"]))
    except SecretError:
        return None


def shown(call: Call, kind: EncryptedField, stored: Document | None) -> str | None:
    """The mask of what a document holds; of one that cannot be decrypted only that there is one."""
    if stored is None or not stored.get(kind.name):
        return None
    return mask(read_stored(call, kind, stored) or _DOT)
