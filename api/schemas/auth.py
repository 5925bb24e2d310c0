"""What goes in and out when people sign in."""

from __future__ import annotations

from typing import Any

from marshmallow import ValidationError, fields, validate

from api.rest.schemas import Body, Moment, View
from common.secrets import MAX_PASSWORD_BYTES

EMAIL_MOST = 254
PASSWORD_LEAST = 8


class Email(fields.Email):
    """An e-mail address; its case and the blanks around it do not count."""

    def __init__(self, **options: Any) -> None:
        super().__init__(validate=validate.Length(max=EMAIL_MOST), **options)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **more: Any) -> str:
        stripped = value.strip() if isinstance(value, str) else value
        return str(super()._deserialize(stripped, attr, data, **more)).lower()


def _fits(password: str) -> None:
    if len(password) < PASSWORD_LEAST:
        raise ValidationError(f"A password has at least {PASSWORD_LEAST} characters.")
    if len(password.encode()) > MAX_PASSWORD_BYTES:
        raise ValidationError(f"A password can have at most {MAX_PASSWORD_BYTES} bytes.")


class Credentials(Body):
    """`transport`: `cookie` for a browser, `bearer` for a program (the token is then in the answer)."""

    email = fields.String(required=True, validate=validate.Length(min=1, max=EMAIL_MOST))
    password = fields.String(required=True, validate=validate.Length(min=1, max=1000))
    transport = fields.String(load_default="cookie", validate=validate.OneOf(["cookie", "bearer"]))


class Registration(Body):
    """A new account; its role is USER. `transport` as for signing in."""

    email = Email(required=True)
    password = fields.String(required=True, validate=[validate.Length(max=1000), _fits])
    transport = fields.String(load_default="cookie", validate=validate.OneOf(["cookie", "bearer"]))


class PasswordChange(Body):
    """The password that is, and the one that shall be."""

    current_password = fields.String(required=True, validate=validate.Length(min=1, max=1000))
    new_password = fields.String(required=True, validate=[validate.Length(max=1000), _fits])


class UserView(View):
    """A user. `mustChangePassword`: it still has the password that it was created with."""

    id = fields.String()
    email = fields.String()
    role = fields.String(validate=validate.OneOf(["ADMIN", "USER"]))
    must_change_password = fields.Boolean()
    created_at = Moment(allow_none=True)
    last_login_at = Moment(allow_none=True)


class SignedInView(View):
    """Who is signed in, and until when. `accessToken` is null where the token went into a cookie."""

    user = fields.Nested(UserView)
    access_token = fields.String(allow_none=True)
    expires_at = Moment()
    warnings = fields.List(
        fields.String(), metadata={"description": "What should be changed, for people to read."}
    )
