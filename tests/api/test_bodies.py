"""What is sent as a body: strict JSON, or one clear error; never a 500, and nothing stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from flask import Flask

    from tests.api.person import Person

PATH = "/api/auth/register"
JSON = "application/json"


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{", JSON, 400, "bad_request"),
        (b"", JSON, 400, "bad_request"),
        (b"\xff\xfe", JSON, 400, "bad_request"),
        (b"nan", JSON, 400, "bad_request"),
        (b'{"email": NaN}', JSON, 400, "bad_request"),
        (b'{"email": -Infinity}', JSON, 400, "bad_request"),
        (b'{"email": 1e999}', JSON, 400, "bad_request"),
        (b'{"email": 99999999999999999999}', JSON, 400, "bad_request"),
        (b'{"email": ' + b"9" * 5000 + b"}", JSON, 400, "bad_request"),
        (b'{"email": "\\ud800"}', JSON, 400, "bad_request"),
        (b'{"\\ud800": 1}', JSON, 400, "bad_request"),
        (b'{"a\\u0000b": 1}', JSON, 400, "bad_request"),
        (b"[" * 100_000, JSON, 400, "bad_request"),
        (b"[" * 61 + b"]" * 61, JSON, 400, "bad_request"),
        (b"[" + b"{}," * 300_000 + b"{}]", JSON, 400, "bad_request"),
        (b"[]", JSON, 422, "validation_failed"),
        (b"7", JSON, 422, "validation_failed"),
        (b"null", JSON, 422, "validation_failed"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"{}", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"{}", "multipart/form-data; boundary=x", 415, "unsupported_media_type"),
        (b" " * (1024 * 1024 + 1), JSON, 413, "too_large"),
    ],
    ids=str,
)
def test_a_body_that_is_none(api: Flask, body: bytes, kind: str, status: int, code: str) -> None:
    answer = api.test_client().post(PATH, data=body, content_type=kind)
    assert answer.json is not None
    assert (answer.status_code, answer.json["error"]["code"]) == (status, code)
    assert set(answer.json["error"]) == {"code", "message", "fields", "requestId"}


@given(body=st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children), max_leaves=20,
))  # fmt: skip
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_gets_an_answer(nobody: Person, body: object) -> None:
    import json  # noqa: PLC0415 - only here

    answer = nobody.app.test_client().post(PATH, data=json.dumps(body), content_type=JSON)
    assert answer.status_code in {400, 422}


def test_unknown_parameters_are_refused(ann: Person) -> None:
    answer = ann.get("/api/auth/me", admin="true")
    assert (answer.status, list(answer.fields)) == (422, ["admin"])


def test_every_answer_carries_the_usual_headers(nobody: Person) -> None:
    for answer in (nobody.get("/api/auth/me"), nobody.get("/health/live"), nobody.get("/api/nothing")):
        headers = answer.headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["Cache-Control"] == "no-store"
        assert "Access-Control-Allow-Origin" not in headers
        assert len(headers["X-Request-Id"]) >= 8


def test_a_request_id_is_kept_if_it_is_one(nobody: Person) -> None:
    assert (
        nobody.request("GET", "/health/live", headers={"X-Request-Id": "abc-12345"}).headers["X-Request-Id"]
        == "abc-12345"
    )
    strange = "x\u00e4 <script>"
    assert (
        nobody.request("GET", "/health/live", headers={"X-Request-Id": strange}).headers["X-Request-Id"]
        != strange
    )


def test_the_documentation_is_served_from_here(nobody: Person) -> None:
    client = nobody.app.test_client()
    with client.get("/api/docs/") as page:
        assert page.status_code == 200
        assert "://" not in page.get_data(as_text=True), "nothing from elsewhere"
    paths = {
        "swagger-ui.css": 200,
        "swagger-ui-bundle.js": 200,
        "start.js": 200,
        "index.html": 404,
        "../app.py": 404,
    }
    for name, status in paths.items():
        with client.get(f"/api/docs/{name}") as answer:
            assert answer.status_code == status, name
