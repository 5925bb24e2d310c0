"""Accounts: who gets in, who stays out, and what a token is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.api.person import PASSWORD, Person

if TYPE_CHECKING:
    from flask import Flask

    from common.store.store import Store

CREDENTIALS = {"email": "ann@example.com", "password": PASSWORD, "transport": "bearer"}


def test_register_then_use(nobody: Person) -> None:
    answer = nobody.post(
        "/api/auth/register", {"email": " Eve@Example.com ", "password": "a long password", "transport": "bearer"}
    )
    assert answer.status == 201, answer.text
    assert answer.json["user"]["email"] == "eve@example.com"
    assert answer.json["user"]["role"] == "USER"
    eve = Person(nobody.app, token=answer.json["accessToken"])
    assert eve.get("/api/auth/me").json["email"] == "eve@example.com"


def test_login_logout(ann: Person, nobody: Person) -> None:
    token = nobody.post("/api/auth/login", CREDENTIALS).json["accessToken"]
    again = Person(nobody.app, token=token)
    assert again.get("/api/auth/me").status == 200
    assert again.post("/api/auth/logout").status == 204
    assert again.get("/api/auth/me").code == "unauthenticated"
    assert ann.get("/api/auth/me").status == 200, "the other token is not touched"


@pytest.mark.parametrize("wrong", [{"password": "123"}, {"email": "nobody@example.com"}])
def test_wrong_credentials_look_alike(ann: Person, nobody: Person, wrong: dict[str, str]) -> None:
    answer = nobody.post("/api/auth/login", {**CREDENTIALS, **wrong})
    assert (answer.status, answer.code) == (401, "bad_credentials")
