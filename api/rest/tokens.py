"""Tokens: who a request comes from. A browser holds one in a cookie it cannot read, a program sends it as Bearer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from flask import Flask, Response
from flask_jwt_extended import (
    JWTManager,
    create_access_token,
    decode_token,
    get_jwt,
    set_access_cookies,
    unset_jwt_cookies,
    verify_jwt_in_request,
)
from flask_jwt_extended.exceptions import CSRFError, JWTExtendedException
from jwt.exceptions import PyJWTError

from common.clock import utc_now
from common.errors import AppError, ErrorCode
from common.settings import Settings
from common.store.database import Document
from common.store.store import Store

LIFETIME = timedelta(hours=24)
ISSUER = "whatsapp-flow-builder"


def set_up_tokens(app: Flask, settings: Settings) -> None:
    """Configure flask-jwt-extended: HS256 only, 24 hours, header first, else cookie with CSRF protection."""
    app.config.update(
        JWT_SECRET_KEY=settings.jwt_secret,
        JWT_ALGORITHM="HS256",
        JWT_DECODE_ALGORITHMS=["HS256"],
        JWT_ENCODE_ISSUER=ISSUER,
        JWT_DECODE_ISSUER=ISSUER,
        JWT_ACCESS_TOKEN_EXPIRES=LIFETIME,
        JWT_TOKEN_LOCATION=["headers", "cookies"],
        JWT_ACCESS_COOKIE_NAME="access_token",
        JWT_ACCESS_COOKIE_PATH="/api",
        JWT_ACCESS_CSRF_COOKIE_NAME="csrf_token",
        JWT_ACCESS_CSRF_HEADER_NAME="X-CSRF-Token",
        JWT_COOKIE_SAMESITE="Lax",
        JWT_COOKIE_SECURE=settings.is_production,
        JWT_COOKIE_CSRF_PROTECT=True,
        JWT_SESSION_COOKIE=False,
    )
    JWTManager(app)


def authenticate(store: Store) -> Document:
    """The user whose token the request carries. Raises AppError 401 without a good one, 403 for a failed CSRF check."""
    try:
        verify_jwt_in_request()
    except CSRFError:
        raise AppError(
            ErrorCode.CSRF_FAILED,
            HTTPStatus.FORBIDDEN,
            "The X-CSRF-Token header must repeat the csrf_token cookie.",
        ) from None
    except (JWTExtendedException, PyJWTError):
        raise unauthenticated() from None
    claims = get_jwt()
    # A token that never ends or cannot be revoked is none of ours, whoever signed it.
    if not isinstance(claims.get("exp"), int) or not isinstance(claims.get("jti"), str):
        raise unauthenticated()
    user = store.users.of_token(str(claims["sub"]), claims["jti"], claims.get("ver"))
    if user is None:
        raise unauthenticated()
    return user


def unauthenticated() -> AppError:
    """Nobody, as far as we know."""
    return AppError(ErrorCode.UNAUTHENTICATED, HTTPStatus.UNAUTHORIZED, "Sign in first.")


def issue(user: Document) -> tuple[str, datetime]:
    """A fresh token for this user, and when it ends."""
    token = create_access_token(identity=user["_id"], additional_claims={"ver": user["tokenVersion"]})
    return token, datetime.fromtimestamp(decode_token(token)["exp"], UTC)


def put_in_cookie(response: Response, token: str) -> None:
    """Have the browser keep the token."""
    set_access_cookies(response, token, max_age=int(LIFETIME.total_seconds()))


def take_out_of_cookie(response: Response) -> None:
    """Have the browser forget its token."""
    unset_jwt_cookies(response)


def revoke_this(store: Store) -> None:
    """The request's own token counts no more."""
    claims = get_jwt()
    store.users.revoke(str(claims["jti"]), datetime.fromtimestamp(claims["exp"], UTC))


def is_still_good(store: Store) -> bool:
    """Whether the request's token counts still: asked again and again by what stays open long."""
    claims = get_jwt()
    if datetime.fromtimestamp(claims["exp"], UTC) <= utc_now():
        return False
    return store.users.of_token(str(claims["sub"]), str(claims["jti"]), claims.get("ver")) is not None
