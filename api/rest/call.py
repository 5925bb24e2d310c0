"""One request as its handler sees it: who asks, about which bot, with what."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flask import current_app, g, request

from api.rest.access import Role
from api.web import Web
from common.errors import AppError, ErrorCode
from common.settings import Settings
from common.store.audit import audit_entry
from common.store.database import Document
from common.store.store import Store


def this_web() -> Web:
    """What the running application works with."""
    web = current_app.extensions["web"]
    if not isinstance(web, Web):
        raise TypeError("the application was not made by create_app")
    return web


@dataclass(slots=True)
class Call:
    """`path`, `query` and `body` are checked already; names in snake_case. `new_id` is the id of what it creates.

    A request that is repeated with its Idempotency-Key has the same `new_id` again.
    """

    web: Web
    new_id: str
    user_document: Document | None = None
    bot_document: Document | None = None
    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return self.web.store

    @property
    def settings(self) -> Settings:
        return self.web.settings

    @property
    def user(self) -> Document:
        """The user who asks. Raises TypeError on a public route."""
        if self.user_document is None:
            raise TypeError("nobody has to be signed in on this route")
        return self.user_document

    @property
    def user_id(self) -> str:
        user_id: str = self.user["_id"]
        return user_id

    @property
    def is_admin(self) -> bool:
        return bool(self.user["role"] == Role.ADMIN.value)

    @property
    def bot(self) -> Document:
        """The bot that the path names. Raises TypeError on a route without one."""
        if self.bot_document is None:
            raise TypeError("this route is not about a bot")
        return self.bot_document

    @property
    def bot_id(self) -> str:
        bot_id: str = self.bot["_id"]
        return bot_id

    @property
    def request_id(self) -> str:
        request_id: str = g.request_id
        return request_id

    def audit(
        self, action: str, *, target_type: str, target_id: str, detail: dict[str, Any] | None = None
    ) -> None:
        """Write down who did what: `flow.deployed`, `user.logged_in`, … Never a secret in `detail`."""
        self.store.audit.record(
            self.audit_entry(action, target_type=target_type, target_id=target_id, detail=detail)
        )

    def audit_entry(
        self, action: str, *, target_type: str, target_id: str, detail: dict[str, Any] | None = None
    ) -> Document:
        """What `audit` would write, for a store's method that writes it in the transaction of what it tells of."""
        return audit_entry(
            action=action,
            actor_id=self.user_document["_id"] if self.user_document else None,
            actor_email=self.user_document["email"] if self.user_document else None,
            target_type=target_type,
            target_id=target_id,
            bot_id=self.bot_document["_id"] if self.bot_document else None,
            ip=request.remote_addr or "",
            request_id=self.request_id,
            detail=detail or {},
        )


def not_found(what: str) -> AppError:
    """There is none, or it is somebody else's: nobody learns which."""
    return AppError(ErrorCode.NOT_FOUND, HTTPStatus.NOT_FOUND, f"There is no such {what}.")


def invalid(fields: dict[str, list[str]]) -> AppError:
    """A body that has the right shape and cannot be: `{"phoneNumber": ["why"]}`, names as the caller writes them."""
    return AppError(
        ErrorCode.VALIDATION_FAILED,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Some of it is not as it must be.",
        dict(fields),
    )


def conflict(code: ErrorCode, message: str, fields: dict[str, Any] | None = None) -> AppError:
    """The thing is not in a state that allows it."""
    return AppError(code, HTTPStatus.CONFLICT, message, fields)
