"""The OpenAPI document of the API, made from the routes themselves."""

from __future__ import annotations

import re
from functools import cache
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from marshmallow import Schema

from api.resources import resources
from api.rest.access import Access
from api.rest.routes import Operation
from api.rest.schemas import Anything, ErrorView, JsonObject, Listed, Moment, camel
from api.rest.webhook_docs import webhook_paths

VERSION = "1.0.0"
_ABOUT = """\
Everything that the builder in the browser can do. JSON in camelCase; times are ISO 8601 in UTC.

**Signing in.** `POST /api/auth/login` with `"transport": "bearer"` answers with a token for
`Authorization: Bearer …`; a browser gets it in a cookie and repeats the `csrf_token` cookie in an `X-CSRF-Token`
header with each write. Tokens last 24 hours.

**Lists** come in pages: ask again with `cursor` set to `nextCursor`. **Writes** that can be repeated take an
`Idempotency-Key` header (8 to 200 characters): the same key gets the same answer, for a day. **Saves** carry the
`revision` they started from; 409 `revision_conflict` says who saved meanwhile. **Limits**: each answer tells how
many requests are left (`X-RateLimit-*`); 429 says when to go on (`Retry-After`).

**Errors** have one shape, `{"error": {code, message, fields, requestId}}`, with the codes of docs/errors.md.
"""
_REFUSALS: dict[int, str] = {
    HTTPStatus.BAD_REQUEST: "The body cannot be read.",
    HTTPStatus.UNAUTHORIZED: "Nobody is signed in, or the token counts no more.",
    HTTPStatus.FORBIDDEN: "Not for this role, or the CSRF check failed.",
    HTTPStatus.NOT_FOUND: "There is none, or it is somebody else's.",
    HTTPStatus.CONFLICT: "Not in this state of things, or somebody saved meanwhile.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.REQUEST_URI_TOO_LONG: "The address with its parameters is longer than 4,094 bytes.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not JSON.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A field or a parameter is not as it must be; `fields` says why.",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests.",
    HTTPStatus.SERVICE_UNAVAILABLE: "The database, or WhatsApp or OpenAI where they are asked, does not answer; repeat it.",
}


@cache
def openapi_document() -> dict[str, Any]:
    """The document as JSON values, the same for every installation."""
    plugin = MarshmallowPlugin(schema_name_resolver=_schema_name)
    spec = APISpec(
        title="WhatsApp Flow Builder",
        version=VERSION,
        openapi_version="3.1.0",
        info={"description": _ABOUT},
        plugins=[plugin],
        tags=[{"name": routes.name, "description": routes.about} for routes in resources()],
    )
    _teach(plugin)
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    spec.components.security_scheme("cookie", {"type": "apiKey", "in": "cookie", "name": "access_token"})
    spec.components.schema("Error", schema=ErrorView)
    for status, words in _REFUSALS.items():
        answer: dict[str, Any] = {"description": words}
        if (
            status != HTTPStatus.REQUEST_URI_TOO_LONG
        ):  # the server in front of us refuses it, in words of its own
            answer["content"] = {"application/json": {"schema": ErrorView}}
        spec.components.response(_refusal_name(status), answer)
    by_path: dict[str, dict[str, Any]] = {}
    for routes in resources():
        for operation in routes.operations:
            path = re.sub(r"<(\w+)>", lambda match: f"{{{match[1]}}}", operation.path)
            by_path.setdefault(path, {})[operation.method.lower()] = _describe(operation)
    for path, described in by_path.items():
        spec.path(path=path, operations=described)
    document: dict[str, Any] = spec.to_dict()
    document["paths"] |= webhook_paths()
    return document


def _schema_name(schema: type[Schema] | Schema) -> str:
    cls = schema if isinstance(schema, type) else type(schema)
    return cls.__name__.removesuffix("View")


def _refusal_name(status: int) -> str:
    return HTTPStatus(status).phrase.replace(" ", "")


def _teach(plugin: MarshmallowPlugin) -> None:
    converter = plugin.converter
    if converter is None:
        raise TypeError("the plugin belongs to no document")
    types: tuple[tuple[type, str | None, str | None], ...] = (
        (Moment, "string", "date-time"),
        (JsonObject, "object", None),
        (Anything, None, None),
        (Listed, "string", None),
    )
    for field, kind, form in types:
        converter.map_to_openapi_type(field, kind, form)  # type: ignore[no-untyped-call]


def _describe(operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": camel(operation.name),
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": f"{operation.description}\n\nFor {operation.access.value}.".strip(),
        "x-access": operation.access.name,
        "security": [] if operation.access is Access.PUBLIC else [{"bearer": []}, {"cookie": []}],
        "parameters": [*_path_parameters(operation), *_header_parameters(operation)],
        "responses": _responses(operation),
    }
    if operation.query is not None:
        described["parameters"].append({"in": "query", "schema": operation.query})
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": operation.body}},
        }
    return described


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {
            "in": "path",
            "name": name,
            "required": True,
            "schema": {"type": "string", "pattern": "^[A-Za-z0-9_:.@+-]{1,160}$"},
        }
        for name in re.findall(r"<(\w+)>", operation.path)
    ]


def _header_parameters(operation: Operation) -> list[dict[str, Any]]:
    if not operation.idempotent:
        return []
    return [
        {
            "in": "header",
            "name": "Idempotency-Key",
            "required": False,
            "description": "Send the same one when you repeat this request: it is done only once.",
            "schema": {"type": "string", "minLength": 8, "maxLength": 200},
        }
    ]


def _responses(operation: Operation) -> dict[str, Any]:
    done: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if operation.answer is not None:
        done["content"] = {"application/json": {"schema": operation.answer}}
    elif operation.media is not None:
        done["content"] = {operation.media: {"schema": {"type": "string"}}}
    responses: dict[str, Any] = {str(int(operation.status)): done}
    responses |= {
        str(int(status)): {**done, "description": HTTPStatus(status).phrase}
        for status in operation.other_statuses
    }
    for status in _refusals(operation):
        responses.setdefault(str(int(status)), _refusal_name(status))
    return responses


def _refusals(operation: Operation) -> list[int]:
    refusals = [HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE]
    if operation.access is not Access.PUBLIC:
        refusals += [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN]
    else:
        refusals += [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN]
    if "<" in operation.path or operation.body is not None:
        refusals.append(HTTPStatus.NOT_FOUND)
    if operation.query is not None:
        refusals.append(HTTPStatus.REQUEST_URI_TOO_LONG)
    if operation.method != "GET":
        refusals.append(HTTPStatus.CONFLICT)
    if operation.body is not None or operation.idempotent:
        refusals += [
            HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE
        ]  # fmt: skip
    return [int(status) for status in (*refusals, *operation.refusals)]
