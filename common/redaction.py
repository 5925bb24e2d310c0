"""What a log line may not show: secrets, full phone numbers, URL queries and, in production, what people wrote."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping

REDACTED: Final = "[redacted]"
MIN_SECRET: Final = 6  # a shorter one would blacken ordinary words
MAX_DEPTH: Final = 6  # deeper values are cut: a log line is no place for documents

_SECRET_KEY = re.compile(
    r"passw(or)?d|secret|token|authori[sz]ation|api_?key|cookie|credential|private_?key|encryption_?key"
    r"|signature|mongodb_?uri"
)
_PHONE_KEYS: Final = frozenset(
    {
        "phone",
        "userphone",
        "phonenumber",
        "displayphonenumber",
        "waid",
        "from",
        "to",
        "recipient",
        "recipientid",
    }
)
_TEXT_KEYS: Final = frozenset(
    {
        "text", "body", "caption", "content", "messagetext", "lastmessage", "prompt", "question", "answer",
        "title", "variables", "changes", "values", "value", "payload", "history", "username", "profilename",
    }
)  # fmt: skip
_PHONE = re.compile(r"\+?\d[\d ().-]{5,}\d")
_SUSPICIOUS = re.compile(r"://|earer|EAA|sk-|eyJ|\+\d")  # cheap; most texts end here
_WAMID = re.compile(
    r"wamid\.[\w+/=-]+(?=[\w+/=-]{12})"
)  # its beginning holds the customer's number, in base64
_SENSITIVE_TEXT = re.compile(
    r"(?P<scheme>\b[a-z][a-z0-9+]*://)(?P<login>[^\s/@]+@)?(?P<address>[^\s?#\"'<>]*)(?P<query>[?#][^\s\"'<>)]*)?"
    r"|(?P<bearer>\b[Bb]earer\s+)\S+"
    r"|(?P<key>\bEAA[A-Za-z0-9]{16,}|\bsk-[\w-]{12,}|\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*)"
    r"|(?P<phone>(?<![\w+])\+\d{7,15}\b)"
)


class Redaction:
    """A structlog processor that blackens values by their names and by their looks.

    `secrets` are texts that never appear, wherever they turn up. `shows_texts`: whether what customers wrote
    (and variables, which hold it) and whole message ids, which hold their numbers, may appear.
    """

    def __init__(self, secrets: Iterable[str] = (), *, shows_texts: bool = False) -> None:
        long_enough = {secret for secret in secrets if len(secret) >= MIN_SECRET}
        self._secrets = tuple(sorted(long_enough, key=len, reverse=True))
        self._shows_texts = shows_texts

    def __call__(self, _logger: object, _method: str, line: MutableMapping[str, Any]) -> dict[str, Any]:
        return {key: self._value(key, value, 0) for key, value in line.items()}

    def _value(self, key: str, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        kind = _kind_of(key)
        if kind == "secret":
            return REDACTED
        if kind == "text" and not self._shows_texts:
            return f"[{len(value)} long]" if hasattr(value, "__len__") else REDACTED
        if isinstance(value, str):
            return shorten_phone(value) if kind == "phone" and _PHONE.fullmatch(value) else self.text(value)
        return self._nested(key, value, depth)

    def _nested(self, key: str, value: Any, depth: int) -> Any:
        if depth >= MAX_DEPTH:
            return "[…]"
        if isinstance(value, dict):
            return {str(name): self._value(str(name), item, depth + 1) for name, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(key, item, depth + 1) for item in value]
        return self.text(str(value))

    def text(self, text: str) -> str:
        """The text without the secrets, URL queries and phone numbers in it."""
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, REDACTED)
        if not self._shows_texts and "wamid." in text:
            text = _WAMID.sub("wamid.…", text)
        return _SENSITIVE_TEXT.sub(_blacken, text) if _SUSPICIOUS.search(text) else text


def shorten_phone(phone: str) -> str:
    """A phone number that tells two customers apart and calls neither: "+49…123"."""
    digits = "".join(character for character in phone if character.isdigit())
    return f"+{digits[:2]}…{digits[-3:]}"


def place_of(url: str) -> str:
    """Scheme, host and path of an address: where a call went, without what it was told."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return REDACTED
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _blacken(found: re.Match[str]) -> str:
    if found["scheme"]:
        return f"{found['scheme']}{found['address']}{'?…' if found['query'] else ''}"
    if found["bearer"]:
        return f"{found['bearer']}{REDACTED}"
    return shorten_phone(found["phone"]) if found["phone"] else REDACTED


@lru_cache(maxsize=1024)
def _kind_of(key: str) -> str:
    """What a name promises: "secret", "phone", "text" or "plain"."""
    name = key.lower()
    if _SECRET_KEY.search(name):
        return "secret"
    bare = name.replace("_", "").replace("-", "")
    if bare in _PHONE_KEYS:
        return "phone"
    return "text" if bare in _TEXT_KEYS else "plain"
