"""Meta's webhook signature: HMAC-SHA256 of the raw body under the app secret (`X-Hub-Signature-256`)."""

from __future__ import annotations

import hashlib
import hmac

HEADER = "X-Hub-Signature-256"
_PREFIX = "sha256="


def sign(secret: str, raw: bytes) -> str:
    """The header value that Meta would send with this body."""
    return _PREFIX + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()


def is_signed(secret: str, raw: bytes, header: str | None) -> bool:
    """Whether the header is the signature of exactly these bytes. Never raises.

    An empty secret signs nothing: everybody could compute that signature. Compared as bytes, since
    `compare_digest` raises on text that is not ASCII; only Meta's lower-case hex counts.
    """
    if not secret or not header:
        return False
    return hmac.compare_digest(sign(secret, raw).encode(), header.encode("utf-8", "surrogatepass"))
