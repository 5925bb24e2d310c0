"""Telling database errors apart where it matters."""

from __future__ import annotations

from bson.errors import BSONError
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    OperationFailure,
    PyMongoError,
)

_TOO_LARGE = frozenset({10334, 17419, 17420, 17280})  # BSON object too large, in its several spellings
_TRANSACTION_TOO_LARGE = 257


_DUPLICATE_KEY = 11000


def is_duplicate(error: BaseException) -> bool:
    """Whether a unique index refused the write: somebody else was first."""
    if isinstance(error, BulkWriteError):
        details = error.details or {}
        return any(e.get("code") == _DUPLICATE_KEY for e in details.get("writeErrors", []))
    return isinstance(error, OperationFailure) and error.code == _DUPLICATE_KEY


def is_unstorable(error: BaseException) -> bool:
    """Whether a document can never be stored as it is: repeating the write would only repeat the error."""
    if isinstance(error, DocumentTooLarge | BSONError | OverflowError | UnicodeError | RecursionError):
        return True
    if isinstance(error, BulkWriteError):
        details = error.details or {}
        return any(e.get("code") in _TOO_LARGE for e in details.get("writeErrors", []))
    return isinstance(error, OperationFailure) and error.code in {*_TOO_LARGE, _TRANSACTION_TOO_LARGE}


def is_away(error: PyMongoError) -> bool:
    """Whether the database did not answer in time or not at all, whatever was asked."""
    return isinstance(error, ConnectionFailure) or error.timeout
