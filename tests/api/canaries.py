"""Secrets made up to be looked for: planted once, they must turn up nowhere, whole, in pieces, or in disguise."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import bson

from tests.api.pdf_text import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pymongo.database import Database

PIECE = 10  # so many characters of a secret in a row are a leak; a mask shows four


@dataclass
class Canaries:
    """`secrets` by name. `sightings` say where one was seen."""

    secrets: dict[str, str]
    sightings: list[str] = field(default_factory=list)
    looked_at: int = 0

    def look(self, where: str, content: bytes | str) -> None:
        """Look for every secret in what somebody could see or store."""
        self.looked_at += 1
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
        if raw.startswith(b"%PDF"):
            raw += text_of(raw).encode()
        for name, secret in self.secrets.items():
            for spelling in _spellings(secret):
                if spelling in raw:
                    at = raw.find(spelling)
                    seen = raw[max(0, at - 60) : at + len(spelling) + 20]
                    self.sightings.append(f"{name} in {where}: {seen!r}")
                    break

    def look_into(self, database: Database[dict[str, Any]]) -> None:
        """Look at every document of every collection, byte for byte."""
        for collection in database.list_collection_names():
            for document in database[collection].find():
                self.look(f"{collection} {document['_id']}", bson.encode(document))


@cache
def _spellings(secret: str) -> tuple[bytes, ...]:
    return tuple(_spelled(secret))


def _spelled(secret: str) -> Iterator[bytes]:
    """Every piece of it, and what it looks like in base64, hexadecimal, URLs and JSON."""
    for start in range(len(secret) - PIECE + 1):
        yield secret[start : start + PIECE].encode()
    raw = secret.encode()
    yield raw.hex().encode()
    yield quote(secret, safe="").encode()
    yield json.dumps(secret)[1:-1].encode()
    for shift in range(3):  # where a secret stands within a longer text decides how base64 spells it
        whole = base64.b64encode(b"\0" * shift + raw)
        yield whole[4 : len(whole) // 4 * 4 - 4]


def without(text: str, allowed: Iterable[str]) -> str:
    """The text without what may stand in it."""
    for each in allowed:
        text = text.replace(each, "")
    return text
