"""Tokens as the application would issue them, made outside of it."""

from __future__ import annotations

from typing import Any

import jwt

from api.rest.tokens import ISSUER, LIFETIME
from common.clock import utc_now
from common.ids import new_ulid
from tests.http.web_setup import JWT_SECRET


def token_for(user: dict[str, Any]) -> str:
    """A fresh token of this user's."""
    now = utc_now()
    claims = {
        "sub": user["_id"], "jti": new_ulid(), "ver": user["tokenVersion"], "iss": ISSUER, "type": "access",
        "fresh": False, "iat": now, "nbf": now, "exp": now + LIFETIME, "csrf": new_ulid(),
    }  # fmt: skip
    return jwt.encode(claims, JWT_SECRET, "HS256")
