"""The CRM-like API: leads, orders, idempotency keys, planned failures."""

from __future__ import annotations

import pytest

from tests.peers.conftest import Caller

LEAD = {"name": "Ada", "email": "ada@example.com", "phone": "+44 20 7946 0000"}


def test_the_life_of_a_lead(caller: Caller) -> None:
    made = caller.crm("POST", "leads", json=LEAD)
    lead_id = made.json()["id"]
    assert made.status_code == 201
    assert made.headers["Location"] == f"/crm/leads/{lead_id}"
    assert caller.crm("GET", f"leads/{lead_id}").json() == {"id": lead_id, "status": "new"} | LEAD
    assert caller.crm("PATCH", f"leads/{lead_id}", json={"name": "Ada L."}).json()["email"] == LEAD["email"]
    replaced = caller.crm("PUT", f"leads/{lead_id}", json={"email": "new@example.com"}).json()
    assert replaced == {"id": lead_id, "status": "new", "email": "new@example.com"}
    assert len(caller.crm("GET", "leads").json()["data"]) == 1
    gone = caller.crm("DELETE", f"leads/{lead_id}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert caller.crm("GET", f"leads/{lead_id}").status_code == 404


def test_orders(caller: Caller) -> None:
    assert caller.crm("GET", "orders/1001").json()["data"]["status"] == "shipped"
    assert caller.crm("GET", "orders/77").status_code == 404
    caller.peers.control("PUT", "crm/orders/77", {"status": "lost"})
    assert caller.crm("GET", "orders/77").json() == {"data": {"id": "77", "status": "lost"}}


def test_an_idempotency_key_does_it_once(caller: Caller) -> None:
    headers = {"Idempotency-Key": "turn-5"}
    first, again = (caller.crm("POST", "leads", json=LEAD, headers=headers) for _ in range(2))
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert len(caller.crm("GET", "leads").json()["data"]) == 1
    other = caller.crm("POST", "leads", json=LEAD | {"name": "Bob"}, headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_mismatch")
    record = caller.peers.control("GET", "crm/calls")
    assert record["repeats"] == 1
    posts = [call for call in record["calls"] if call["method"] == "POST"]
    assert [call["repeat"] for call in posts] == [False, True, False]
    assert posts[0]["headers"]["idempotency-key"] == "turn-5"


def test_flaky_fails_as_often_as_told(caller: Caller) -> None:
    headers = {"Idempotency-Key": "same"}
    answers = [caller.crm("POST", "flaky?fail=2&key=a", headers=headers).status_code for _ in range(4)]
    assert answers == [503, 503, 200, 200]
    assert caller.crm("GET", "flaky?fail=2&key=b").status_code == 503
    assert caller.crm("GET", "flaky?fail=often").status_code == 400


def test_the_echo_shows_what_arrived(caller: Caller) -> None:
    seen = caller.crm("PATCH", "echo?a=1&b=%C3%A4", json={"x": 1}, headers={"X-One": "two"}).json()
    assert (seen["method"], seen["query"], seen["body"]) == ("PATCH", {"a": "1", "b": "ä"}, {"x": 1})
    assert seen["headers"]["x-one"] == "two"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "leads", b"{", 400),
        ("POST", "leads", b"[]", 422),
        ("POST", "leads", b"{}", 422),
        ("POST", "leads", b'{"email": "nobody"}', 422),
        ("POST", "leads", b'{"email": "a@b.co", "name": 5}', 422),
        ("POST", "leads", b'{"email": "a@b.co", "shoe": "x"}', 422),
        ("DELETE", "leads", b"", 405),
        ("POST", "orders/1001", b"", 405),
        ("GET", "leads/none", b"", 404),
        ("GET", "nowhere", b"", 404),
        ("POST", "leads", b"[" * 100_000, 400),
    ],
)
def test_bad_requests(caller: Caller, method: str, path: str, body: bytes, status: int) -> None:
    answer = caller.crm(method, path, data=body)
    assert answer.status_code == status
    assert set(answer.json()["error"]) >= {"code", "message"}
    assert caller.crm("GET", "leads").json() == {"data": []}


def test_the_wrong_fields_are_named(caller: Caller) -> None:
    answer = caller.crm("POST", "leads", json={"name": "", "shoe": "x"})
    assert set(answer.json()["error"]["fields"]) == {"name", "shoe", "email"}
