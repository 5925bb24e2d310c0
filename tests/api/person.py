"""Somebody who uses the API, and what was answered: every answer is checked against the OpenAPI document."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from api.rest.openapi import openapi_document

if TYPE_CHECKING:
    from flask import Flask
    from werkzeug.test import TestResponse

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class Answer:
    """What came back. `json` is None where it was none."""

    status: int
    json: Any
    text: str
    headers: dict[str, str]

    @property
    def code(self) -> str | None:
        """The error code, if it is an error."""
        return self.json["error"]["code"] if isinstance(self.json, dict) and "error" in self.json else None

    @property
    def fields(self) -> dict[str, Any]:
        """What the error says of fields."""
        fields: dict[str, Any] = self.json["error"]["fields"]
        return fields


@dataclass
class Person:
    """A user with a bearer token (or none)."""

    app: Flask
    user_id: str = ""
    email: str = ""
    token: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, **query: Any) -> Answer:
        return self.request("GET", path, query=query)

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.request("POST", path, body, headers=headers)

    def put(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.request("PUT", path, body, headers=headers)

    def patch(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.request("PATCH", path, body, headers=headers)

    def delete(self, path: str, body: Any = None, **headers: str) -> Answer:
        return self.request("DELETE", path, body, headers=headers)

    def request(
        self, method: str, path: str, body: Any = None, *, query: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        """Header names are written with _ for -."""
        named = {name.replace("_", "-"): text for name, text in {**self.headers, **(headers or {})}.items()}
        if self.token is not None:
            named = {"Authorization": f"Bearer {self.token}", **named}
        options: dict[str, Any] = {"json": body} if body is not None else {}
        response = self.app.test_client().open(
            path, method=method, query_string=query or {}, headers=named, **options
        )
        return check(response, method, path)


def check(response: TestResponse, method: str, path: str) -> Answer:
    """The answer, after it was found to be what the document promises."""
    answer = Answer(
        response.status_code,
        response.get_json(silent=True) if response.mimetype == "application/json" else None,
        "" if response.is_streamed else response.get_data(as_text=True),
        dict(response.headers),
    )
    described = _described(method, path.partition("?")[0])
    if described is not None:
        promised = described["responses"].get(str(answer.status))
        assert promised is not None, (
            f"{method} {path} answers {answer.status}, which is not documented: {answer.text}"
        )
        name = promised["$ref"].rpartition("/")[2] if "$ref" in promised else None
        promised = openapi_document()["components"]["responses"][name] if name else promised
        schema = promised.get("content", {}).get("application/json", {}).get("schema")
        if schema is not None:
            errors = [
                f"{error.json_path}: {error.message}"
                for error in _validator(str(schema), schema).iter_errors(answer.json)
            ]
            assert not errors, f"{method} {path}: {errors}"
    return answer


def _described(method: str, path: str) -> dict[str, Any] | None:
    for pattern, operations in _paths():
        if pattern.fullmatch(path) and method.lower() in operations:
            described: dict[str, Any] = operations[method.lower()]
            return described
    return None


@cache
def _paths() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    paths = openapi_document()["paths"].items()
    fixed_first = sorted(paths, key=lambda item: item[0].count("{"))
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), operations) for path, operations in fixed_first]


_VALIDATORS: dict[str, Draft202012Validator] = {}


def _validator(key: str, schema: dict[str, Any]) -> Draft202012Validator:
    if key not in _VALIDATORS:
        _VALIDATORS[key] = Draft202012Validator({**schema, "components": openapi_document()["components"]})
    return _VALIDATORS[key]
