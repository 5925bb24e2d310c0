"""Routes with conventions: who may call, what is read, what is answered, all in one place and all documented.

routes = Routes("flows", "/api/bots/<bot_id>/flows", "Flows, their drafts and their history.")

@routes.post("", access=Access.OWNER, body=NewFlow, answer=FlowView, status=201, idempotent=True)
def create_flow(call: Call) -> Document:
    "Create a flow."
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from flask import Blueprint, Response, g, request
from marshmallow import Schema, ValidationError

from api.rest.access import Access, Role
from api.rest.call import Call, invalid, not_found, this_web
from api.rest.idempotency import run_once
from api.rest.json_body import read_body
from api.rest.schemas import Body, View
from api.rest.tokens import authenticate
from common.errors import AppError, ErrorCode
from common.ids import new_ulid
from common.store.database import Document

Handler = Callable[[Call], Any]

# Anything else in a path names nothing of ours.
_PATH_VALUE = re.compile(r"[A-Za-z0-9_:.@+-]{1,160}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One route and method, as it runs and as the documentation shows it.

    `answer` is None where nothing (204) or no JSON (`media`) is answered. `idempotent`: takes an Idempotency-Key.
    `while_changing_password`: also for somebody who has to change a default password first.
    """

    name: str
    method: str
    path: str
    tag: str
    access: Access
    summary: str
    description: str
    handler: Handler = field(repr=False)
    body: type[Body] | None = None
    query: type[Body] | None = None
    answer: type[View] | None = None
    status: int = HTTPStatus.OK
    other_statuses: tuple[int, ...] = ()
    refusals: tuple[int, ...] = ()  # beside those that follow from all the rest
    media: str | None = None
    idempotent: bool = False
    while_changing_password: bool = False
    most_bytes: int | None = None  # of the body, where it is not what MAX_API_BODY_BYTES says
    body_schema: Schema | None = field(default=None, repr=False)
    query_schema: Schema | None = field(default=None, repr=False)
    answer_schema: Schema | None = field(default=None, repr=False)

    def run(self, path: dict[str, str]) -> Response:
        """Answer the request at hand. Raises AppError and HTTPException."""
        call = Call(web=this_web(), new_id=new_ulid(), path=path)
        self._admit(call)
        call.query = self._read_query()
        if self.body_schema is not None:
            call.body = _load(
                self.body_schema, read_body(self.most_bytes or call.settings.max_api_body_bytes)
            )
        if self.idempotent and (key := request.headers.get("Idempotency-Key")):
            return run_once(call, key, self.name, lambda: self._answer(call))
        return self._answer(call)

    def _admit(self, call: Call) -> None:
        if self.access is Access.PUBLIC:
            call.web.limits.count_visitor()
            return
        try:
            user = call.user_document = authenticate(call.store)
        except AppError:
            call.web.limits.count_visitor()
            raise
        g.rate_key = user["_id"]
        call.web.limits.count_user()
        if user["mustChangePassword"] and call.settings.is_production and not self.while_changing_password:
            raise AppError(
                ErrorCode.PASSWORD_CHANGE_REQUIRED,
                HTTPStatus.FORBIDDEN,
                "This account still has the password that it was created with. Change it first.",
            )
        _check_role(user["role"], self.access)
        if not all(_PATH_VALUE.fullmatch(value) for value in call.path.values()):
            raise not_found("thing")
        if self.access in (Access.OWNER, Access.READER):
            call.bot_document = _bot(call)

    def _read_query(self) -> dict[str, Any]:
        if self.query_schema is None:
            if request.args:
                raise invalid({name: ["There is no such parameter."] for name in request.args})
            return {}
        repeated = [name for name, values in request.args.lists() if len(values) > 1]
        if repeated:
            raise invalid({name: ["Give it once."] for name in repeated})
        return _load(self.query_schema, request.args.to_dict())

    def _answer(self, call: Call) -> Response:
        made = self.handler(call)
        if isinstance(made, Response):
            return made
        status: int = self.status
        if isinstance(made, tuple):
            made, status = made
        if self.answer_schema is None:
            return Response(status=HTTPStatus.NO_CONTENT)
        return json_response(self.answer_schema.dump(made), status)


def json_response(value: Any, status: int = HTTPStatus.OK) -> Response:
    """An answer in JSON."""
    return Response(
        json.dumps(value, ensure_ascii=False, separators=(",", ":")),
        status=status,
        mimetype="application/json",
    )


class Routes:
    """The routes of one resource. `blueprint` is registered with the application, `operations` documented."""

    def __init__(self, name: str, prefix: str, about: str) -> None:
        self.name = name
        self.prefix = prefix
        self.about = about
        self.blueprint = Blueprint(name, f"api.routes.{name}")
        self.operations: list[Operation] = []

    def get(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("GET", path, options)

    def post(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("POST", path, options)

    def put(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("PUT", path, options)

    def patch(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("PATCH", path, options)

    def delete(self, path: str, **options: Any) -> Callable[[Handler], Handler]:
        return self._route("DELETE", path, {"status": HTTPStatus.NO_CONTENT, **options})

    def _route(self, method: str, path: str, options: dict[str, Any]) -> Callable[[Handler], Handler]:
        def register(handler: Handler) -> Handler:
            operation = self._operation(method, path, handler, options)
            self.operations.append(operation)
            self.blueprint.add_url_rule(
                operation.path,
                endpoint=operation.name,
                view_func=lambda **values: operation.run(values),
                methods=[method],
                provide_automatic_options=False,
            )
            return handler

        return register

    def _operation(self, method: str, path: str, handler: Handler, options: dict[str, Any]) -> Operation:
        summary, _, description = inspect.getdoc(handler).partition("\n") if handler.__doc__ else ("", "", "")  # type: ignore[union-attr]
        if not summary:
            raise ValueError(f"{handler.__name__} needs a docstring: it is the documentation of its route")
        access = options["access"]
        if access in (Access.OWNER, Access.READER) and "<bot_id>" not in self.prefix + path:
            raise ValueError(f"{handler.__name__}: whose bot?")
        if access is Access.READER and method != "GET":
            raise ValueError(f"{handler.__name__}: administrators only watch")
        schemas = {
            f"{part}_schema": options[part]() for part in ("body", "query", "answer") if options.get(part)
        }
        return Operation(
            name=handler.__name__,
            method=method,
            path=self.prefix + path,
            tag=self.name,
            summary=summary.rstrip("."),
            description=description.strip(),
            handler=handler,
            **options,
            **schemas,
        )


def _check_role(role: str, access: Access) -> None:
    if access is Access.ADMIN and role != Role.ADMIN.value:
        raise AppError(ErrorCode.FORBIDDEN, HTTPStatus.FORBIDDEN, "This is for administrators.")
    if access in (Access.USER, Access.OWNER) and role == Role.ADMIN.value:
        raise AppError(
            ErrorCode.FORBIDDEN,
            HTTPStatus.FORBIDDEN,
            "Administrators watch; they have no bots and change none.",
        )


def _bot(call: Call) -> Document:
    """The bot of the path, if the caller may know of it. Raises AppError 404."""
    bot_id = call.path["bot_id"]
    bot = call.store.bot_records.find(bot_id, owner_id=None if call.is_admin else call.user_id)
    if bot is None:
        raise not_found("bot")
    return bot


def _load(schema: Schema, value: Any) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema.load(value)
    except ValidationError as error:
        messages = error.messages if isinstance(error.messages, dict) else {"_schema": error.messages}
        raise invalid(messages) from None
    return loaded
