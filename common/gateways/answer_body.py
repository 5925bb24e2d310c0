"""Bodies from outside as values that can be kept: bounded, decoded, and without what no database can hold."""

from __future__ import annotations

import codecs
import json
import math
import re
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from common.model.values import Value

MAX_DEPTH = 64  # deeper JSON is a mistake or an attack; MongoDB holds 100 levels
_INT64 = 2**63
# Encodings that servers use for text. Python knows more, among them some that take quadratic time (punycode).
_CHARSETS = re.compile(
    r"(utf-?(8|16|32)([-_](le|be|sig))?|ascii|iso8859-\d+|cp\d+|koi8-[ru]|gb\w*|big5\w*|shift_jis\w*|euc_\w+)"
)
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class BadBody(Exception):  # noqa: N818 - what the body is
    """The body is not what its type says; the message says how."""


def read_body(raw: bytes, content_type: str) -> Value:
    """JSON as values, everything else as text; no body as None. Raises BadBody for a JSON type that is no JSON.

    A body without a JSON type that nevertheless begins like an object or a list is read as JSON if it is.
    """
    media_type, _, parameters = content_type.partition(";")
    media_type = media_type.strip().lower()
    if not raw.strip():
        return None
    if media_type.endswith(("/json", "+json")):
        return parse_json(raw)
    if raw.lstrip()[:1] in {b"{", b"["}:
        try:
            return parse_json(raw)
        except BadBody:
            pass
    return decode_text(raw, parameters)


def parse_json(raw: bytes) -> Value:
    """Strict JSON. Raises BadBody for NaN, infinities, numbers out of range, and nesting beyond MAX_DEPTH."""
    try:
        parsed = json.loads(
            raw.removeprefix(codecs.BOM_UTF8),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
    except (ValueError, RecursionError) as error:
        raise BadBody("The answer is not valid JSON.") from error
    return _clean(parsed, 0)


def decode_text(raw: bytes, parameters: str = "") -> str:
    """Text in the `charset` that the parameters of a content type name; UTF-8 where it is unknown or wrong."""
    match = re.search(r"charset\s*=\s*[\"']?([\w.:\-]{1,40})", parameters, re.IGNORECASE)
    charset = "utf-8"
    if match:
        try:
            charset = codecs.lookup(match[1]).name
        except LookupError:
            charset = "utf-8"
    if not _CHARSETS.fullmatch(charset):
        charset = "utf-8"
    return clean_text(raw.decode(charset, "replace").removeprefix("\ufeff"))


def clean_text(text: str) -> str:
    """The text with halves of surrogate pairs replaced: they cannot be written as UTF-8."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _clean(value: Any, depth: int) -> Value:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict | list) and depth >= MAX_DEPTH:
        raise BadBody(f"The answer's JSON is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, dict):
        return {_clean_key(key): _clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item, depth + 1) for item in value]
    return value  # type: ignore[no-any-return]


def _clean_key(key: str) -> str:
    return clean_text(key.replace("\0", _REPLACEMENT))  # BSON ends a key at a NUL


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("a number out of range")
    return number


def _integer(text: str) -> int | float:
    """Whole numbers beyond 64 bits become floating point, as they would in a browser."""
    if len(text) > 400:  # noqa: PLR2004 - no float has that many digits before the point
        raise ValueError("a number out of range")
    number = int(text)
    return number if -_INT64 <= number < _INT64 else _finite(text)
