"""Accounts: register, sign in and out, change the password."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from flask import Response, request

from api.rest.access import Access
from api.rest.call import Call, conflict, invalid
from api.rest.routes import Routes, json_response
from api.rest.tokens import issue, put_in_cookie, revoke_this, take_out_of_cookie
from api.schemas.auth import Credentials, PasswordChange, Registration, SignedInView, UserView
from common.errors import AppError, ErrorCode
from common.secrets import check_password, hash_password
from common.store.database import Document

routes = Routes("auth", "/api/auth", "Accounts: register, sign in and out, change the password.")
log = structlog.get_logger()

_SIGNED_IN = SignedInView()
_DEFAULT_PASSWORD = (
    "This account still has the password that it was created with; everybody knows it. Change it now."  # noqa: S105 - a sentence
)


@routes.post("/register", access=Access.PUBLIC, body=Registration, answer=SignedInView, status=201)
def register(call: Call) -> Response:
    """Create an account and sign in.

    409 where the address has an account; 403 where this installation takes no registrations.
    """
    if not call.settings.allow_registration:
        raise AppError(ErrorCode.FORBIDDEN, HTTPStatus.FORBIDDEN, "This installation takes no registrations.")
    call.web.limits.count_registration()
    user = call.store.users.create(call.new_id, call.body["email"], hash_password(call.body["password"]))
    if user is None:
        raise conflict(
            ErrorCode.ALREADY_EXISTS, "This e-mail address has an account already. Sign in instead."
        )
    call.user_document = user
    call.audit("user.registered", target_type="user", target_id=user["_id"])
    return _signed_in(call, user, call.body["transport"], HTTPStatus.CREATED)


@routes.post("/login", access=Access.PUBLIC, body=Credentials, answer=SignedInView)
def login(call: Call) -> Response:
    """Sign in.

    401 `bad_credentials` where address or password is wrong. Attempts are counted for the caller's address and for
    the account.
    """
    email = call.body["email"].strip().lower()
    call.web.limits.count_login(email)
    user = call.store.users.by_email(email)
    if not check_password(call.body["password"], user["passwordHash"] if user else None) or user is None:
        log.warning("login.refused", known=user is not None)
        if user is not None:
            call.audit("user.login_refused", target_type="user", target_id=user["_id"])
        raise AppError(
            ErrorCode.BAD_CREDENTIALS, HTTPStatus.UNAUTHORIZED, "E-mail address or password is wrong."
        )
    call.user_document = user
    call.store.users.logged_in(user["_id"])
    call.audit("user.logged_in", target_type="user", target_id=user["_id"])
    return _signed_in(call, user, call.body["transport"])


@routes.post("/logout", access=Access.SIGNED_IN, status=204, while_changing_password=True)
def logout(call: Call) -> Response:
    """Sign out: this token counts no more."""
    revoke_this(call.store)
    call.audit("user.logged_out", target_type="user", target_id=call.user_id)
    return _signed_out()


@routes.post("/logout-everywhere", access=Access.SIGNED_IN, status=204, while_changing_password=True)
def logout_everywhere(call: Call) -> Response:
    """Sign out everywhere: no token of yours counts any more."""
    call.store.users.revoke_all(call.user_id)
    call.audit("user.logged_out_everywhere", target_type="user", target_id=call.user_id)
    return _signed_out()


@routes.get("/me", access=Access.SIGNED_IN, answer=UserView, while_changing_password=True)
def me(call: Call) -> Document:
    """Who is signed in."""
    return call.user


@routes.post(
    "/password",
    access=Access.SIGNED_IN,
    body=PasswordChange,
    answer=SignedInView,
    while_changing_password=True,
)
def change_password(call: Call) -> Response:
    """Change your password.

    Every token counts no more but the one in the answer, which comes as yours came: in the cookie or in the body.
    """
    call.web.limits.count_login(call.user["email"])
    user, new = call.user, call.body["new_password"]
    if not check_password(call.body["current_password"], user["passwordHash"]):
        call.audit("user.password_refused", target_type="user", target_id=user["_id"])
        raise invalid({"currentPassword": ["This is not your password."]})
    if new == call.body["current_password"]:
        raise invalid({"newPassword": ["This is the password that you have."]})
    changed = call.store.users.set_password(user["_id"], user["passwordHash"], hash_password(new))
    if changed is None:
        raise conflict(ErrorCode.CONFLICT, "The password was changed by somebody else at the same time.")
    call.audit("user.password_changed", target_type="user", target_id=user["_id"])
    return _signed_in(call, changed, "bearer" if "Authorization" in request.headers else "cookie")


def _signed_in(call: Call, user: Document, transport: str, status: int = HTTPStatus.OK) -> Response:
    token, expires_at = issue(user)
    is_cookie = transport == "cookie"
    answer = {
        "user": user,
        "accessToken": None if is_cookie else token,
        "expiresAt": expires_at,
        "warnings": [_DEFAULT_PASSWORD] if user["mustChangePassword"] else [],
    }
    del call
    response = json_response(_SIGNED_IN.dump(answer), status)
    if is_cookie:
        put_in_cookie(response, token)
    return response


def _signed_out() -> Response:
    response = Response(status=HTTPStatus.NO_CONTENT)
    take_out_of_cookie(response)
    return response
