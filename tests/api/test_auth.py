"""Accounts: who gets in, who stays out, and what a token is worth."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from api.rest.tokens import ISSUER
from api.seed import DEFAULT_PASSWORD
from common.clock import utc_now
from common.secrets import hash_password
from tests.api.person import PASSWORD, Person

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask import Flask

    from common.store.store import Store

CREDENTIALS = {"email": "ann@example.com", "password": PASSWORD, "transport": "bearer"}
NEW_PASSWORD = "another good password"


def _login(nobody: Person, **changes: str) -> Person:
    answer = nobody.post("/api/auth/login", {**CREDENTIALS, **changes})
    assert answer.status == 200, answer.text
    return Person(nobody.app, token=answer.json["accessToken"])


# Getting in


def test_register_then_use(nobody: Person) -> None:
    body = {"email": " Eve@Example.com ", "password": "a long password", "transport": "bearer"}
    answer = nobody.post("/api/auth/register", body)
    assert answer.status == 201, answer.text
    assert answer.json["user"]["email"] == "eve@example.com"
    assert answer.json["user"]["role"] == "USER"
    eve = Person(nobody.app, token=answer.json["accessToken"])
    assert eve.get("/api/auth/me").json["email"] == "eve@example.com"


def test_an_address_is_registered_once(nobody: Person, store: Store) -> None:
    def register(n: int) -> int:
        email = "EVE@example.com" if n % 2 else "eve@example.com"
        return nobody.post("/api/auth/register", {"email": email, "password": "a long password"}).status

    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(register, range(6)))
    assert sorted(statuses) == [201, 409, 409, 409, 409, 409]
    assert store.database["users"].count_documents({"email": "eve@example.com"}) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"email": "no address", "password": "a long password"}, "email"),
        ({"email": "a@b.example", "password": "short"}, "password"),
        ({"email": "a@b.example", "password": "ä" * 37}, "password"),
        ({"email": {"$ne": None}, "password": "a long password"}, "email"),
        ({"email": "a@b.example", "password": "a long password", "role": "ADMIN"}, "role"),
        ({"email": "a@b.example", "password": "a long password", "tokenVersion": 7}, "tokenVersion"),
        ({"password": "a long password"}, "email"),
    ],
)
def test_a_registration_that_cannot_be(
    nobody: Person, store: Store, body: dict[str, Any], field: str
) -> None:
    answer = nobody.post("/api/auth/register", body)
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert list(answer.fields) == [field]
    assert store.database["users"].count_documents({}) == 0


def test_registration_can_be_closed(app_with: Callable[..., Flask]) -> None:
    app = app_with(allow_registration=False)
    answer = Person(app).post("/api/auth/register", {"email": "a@b.example", "password": "a long password"})
    assert (answer.status, answer.code) == (403, "forbidden")


@pytest.mark.parametrize(
    "wrong",
    [
        {"password": "123"},
        {"email": "nobody@example.com"},
        {"password": PASSWORD + " "},
        {"email": "ann@example.co"},
    ],
)
def test_wrong_credentials_look_alike(ann: Person, nobody: Person, wrong: dict[str, str]) -> None:
    answer = nobody.post("/api/auth/login", {**CREDENTIALS, **wrong})
    assert (answer.status, answer.code) == (401, "bad_credentials")
    assert answer.json["error"]["message"] == "E-mail address or password is wrong."


def test_operators_are_no_credentials(ann: Person, nobody: Person) -> None:
    for body in ({**CREDENTIALS, "email": {"$gt": ""}}, {**CREDENTIALS, "password": {"$ne": None}}):
        assert nobody.post("/api/auth/login", body).status == 422


# Tokens


def test_logout_revokes_this_token_and_no_other(ann: Person, nobody: Person) -> None:
    other = _login(nobody)
    assert other.get("/api/auth/me").status == 200
    assert other.post("/api/auth/logout").status == 204
    assert other.get("/api/auth/me").code == "unauthenticated"
    assert ann.get("/api/auth/me").status == 200


def test_logout_everywhere(ann: Person, bob: Person, nobody: Person) -> None:
    other = _login(nobody)
    assert ann.post("/api/auth/logout-everywhere").status == 204
    assert [who.get("/api/auth/me").status for who in (ann, other, bob)] == [401, 401, 200]
    assert _login(nobody).get("/api/auth/me").status == 200


def _claims(person: Person) -> dict[str, Any]:
    assert person.token is not None
    return jwt.decode(person.token, options={"verify_signature": False})


def test_a_token_lasts_a_day(ann: Person) -> None:
    claims = _claims(ann)
    assert claims["exp"] - claims["iat"] == 24 * 3600


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
def test_forged_tokens(ann: Person) -> None:
    """None of these opens anything: other secrets, other algorithms, other times, other people."""
    secret = ann.app.config["JWT_SECRET_KEY"]
    claims, now = _claims(ann), utc_now()
    forged = {
        "another secret": jwt.encode(claims, "x" * 40, "HS256"),
        "another algorithm": jwt.encode(claims, secret, "HS384"),
        "no signature": jwt.encode(claims, "", "none"),
        "expired": jwt.encode({**claims, "exp": now - timedelta(seconds=1)}, secret, "HS256"),
        "not yet": jwt.encode({**claims, "nbf": now + timedelta(hours=1)}, secret, "HS256"),
        "without end": jwt.encode({k: v for k, v in claims.items() if k != "exp"}, secret, "HS256"),
        "without id": jwt.encode({k: v for k, v in claims.items() if k != "jti"}, secret, "HS256"),
        "without subject": jwt.encode({k: v for k, v in claims.items() if k != "sub"}, secret, "HS256"),
        "another issuer": jwt.encode({**claims, "iss": "somebody"}, secret, "HS256"),
        "unknown user": jwt.encode({**claims, "sub": "01M82K1FJAR0TMH0H8XWVBKCQW"}, secret, "HS256"),
        "subject no text": jwt.encode({**claims, "sub": 7}, secret, "HS256"),
        "another version": jwt.encode({**claims, "ver": 1}, secret, "HS256"),
        "version true": jwt.encode({**claims, "ver": False}, secret, "HS256"),
        "without version": jwt.encode({k: v for k, v in claims.items() if k != "ver"}, secret, "HS256"),
        "a refresh token": jwt.encode({**claims, "type": "refresh"}, secret, "HS256"),
        "cut": (ann.token or "")[:-2],
        "garbage": "a.b.c",
        "empty": "",
        "umlaut": "ä",
    }
    assert _claims(ann)["iss"] == ISSUER
    let_in = [
        what
        for what, token in forged.items()
        if Person(ann.app, token=token).get("/api/auth/me").status != 401
    ]
    assert let_in == []
    again = jwt.encode(claims, secret, "HS256")
    assert Person(ann.app, token=again).get("/api/auth/me").status == 200, "the forger is able to forge"


# Browsers


def test_a_browser_uses_a_cookie_and_repeats_the_csrf_token(ann: Person) -> None:
    browser = ann.app.test_client()
    answer = browser.post("/api/auth/login", json={**CREDENTIALS, "transport": "cookie"})
    assert answer.json is not None
    assert answer.json["accessToken"] is None
    cookies = {text.partition("=")[0]: text for text in answer.headers.getlist("Set-Cookie")}
    assert {"HttpOnly", "SameSite=Lax", "Path=/api"} <= set(cookies["access_token"].split("; "))
    assert "HttpOnly" not in cookies["csrf_token"]
    assert browser.get("/api/auth/me").status_code == 200
    refused = browser.post("/api/auth/logout")
    assert refused.json is not None
    assert (refused.status_code, refused.json["error"]["code"]) == (403, "csrf_failed")
    assert browser.post("/api/auth/logout", headers={"X-CSRF-Token": "guess"}).status_code == 403
    csrf = browser.get_cookie("csrf_token")
    assert csrf is not None
    assert browser.post("/api/auth/logout", headers={"X-CSRF-Token": csrf.value}).status_code == 204
    assert browser.get("/api/auth/me").status_code == 401


def test_cookies_are_secure_in_production(app_with: Callable[..., Flask], ann: Person) -> None:
    app = app_with(app_env="production")
    answer = app.test_client().post("/api/auth/login", json={**CREDENTIALS, "transport": "cookie"})
    assert all("Secure" in text.split("; ") for text in answer.headers.getlist("Set-Cookie"))


# Passwords


def test_changing_the_password_ends_every_other_token(ann: Person, nobody: Person) -> None:
    other = _login(nobody)
    answer = ann.post("/api/auth/password", {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD})
    assert answer.status == 200, answer.text
    assert [who.get("/api/auth/me").status for who in (ann, other)] == [401, 401]
    assert Person(ann.app, token=answer.json["accessToken"]).get("/api/auth/me").status == 200
    assert nobody.post("/api/auth/login", CREDENTIALS).status == 401
    assert _login(nobody, password=NEW_PASSWORD).get("/api/auth/me").status == 200


@pytest.mark.parametrize(
    ("current", "new", "field"),
    [
        ("wrong", NEW_PASSWORD, "currentPassword"),
        (PASSWORD, PASSWORD, "newPassword"),
        (PASSWORD, "short", "newPassword"),
    ],
)
def test_a_password_that_cannot_be(ann: Person, current: str, new: str, field: str) -> None:
    answer = ann.post("/api/auth/password", {"currentPassword": current, "newPassword": new})
    assert (answer.status, list(answer.fields)) == (422, [field])
    assert ann.get("/api/auth/me").status == 200


def test_of_two_changes_at_once_one_wins(ann: Person) -> None:
    def change(n: int) -> int:
        return ann.post(
            "/api/auth/password", {"currentPassword": PASSWORD, "newPassword": f"{NEW_PASSWORD} {n}"}
        ).status

    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(change, range(4)))
    assert statuses.count(200) == 1, statuses
    assert set(statuses) <= {200, 401, 409, 422}


@pytest.fixture
def seeded(store: Store) -> Callable[[], None]:
    def seed() -> None:
        store.users.ensure(
            "abhi@gmail.com", hash_password(DEFAULT_PASSWORD), "USER", must_change_password=True
        )

    return seed


def test_a_default_password_works_and_warns(nobody: Person, seeded: Callable[[], None]) -> None:
    seeded()
    body = {"email": "abhi@gmail.com", "password": DEFAULT_PASSWORD, "transport": "bearer"}
    answer = nobody.post("/api/auth/login", body)
    assert answer.status == 200
    assert answer.json["user"]["mustChangePassword"] is True
    assert len(answer.json["warnings"]) == 1
    abhi = Person(nobody.app, token=answer.json["accessToken"])
    assert abhi.get("/api/auth/me").json["mustChangePassword"] is True
    answer = abhi.post(
        "/api/auth/password", {"currentPassword": DEFAULT_PASSWORD, "newPassword": NEW_PASSWORD}
    )
    assert answer.json["warnings"] == []
    assert answer.json["user"]["mustChangePassword"] is False


def test_production_wants_the_default_password_changed_first(
    app_with: Callable[..., Flask], seeded: Callable[[], None]
) -> None:
    seeded()
    app = app_with(app_env="production")
    body = {"email": "abhi@gmail.com", "password": DEFAULT_PASSWORD, "transport": "bearer"}
    abhi = Person(app, token=Person(app).post("/api/auth/login", body).json["accessToken"])
    refused = abhi.get("/api/bots")
    assert (refused.status, refused.code) == (403, "password_change_required")
    assert abhi.get("/api/auth/me").status == 200
    answer = abhi.post(
        "/api/auth/password", {"currentPassword": DEFAULT_PASSWORD, "newPassword": NEW_PASSWORD}
    )
    assert Person(app, token=answer.json["accessToken"]).get("/api/bots").status == 200


# Limits


def test_guessing_is_slowed_down(app_with: Callable[..., Flask], ann: Person) -> None:
    """Counted for the account, and across processes: here two applications over one database."""
    apps = [app_with(logins_per_minute=3) for _ in range(2)]
    guess = {**CREDENTIALS, "password": "guess"}
    people = [Person(apps[n % 2]) for n in range(4)]
    answers = [person.post("/api/auth/login", guess) for person in people]
    assert [answer.status for answer in answers] == [401, 401, 401, 429]
    assert answers[-1].code == "rate_limited"
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60
    assert Person(apps[0]).post("/api/auth/login", CREDENTIALS).status == 429, "nor with the right one"


def test_requests_of_a_user_are_limited(app_with: Callable[..., Flask], ann: Person, bob: Person) -> None:
    app = app_with(api_requests_per_minute=5)
    mine = Person(app, token=ann.token)
    answers = [mine.get("/api/auth/me") for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert [answers[n].headers["X-RateLimit-Remaining"] for n in (0, 4)] == ["4", "0"]
    assert answers[0].headers["X-RateLimit-Limit"] == "5"
    assert Person(app, token=bob.token).get("/api/auth/me").status == 200, "somebody else is not touched"


def test_bad_tokens_are_counted_for_their_address(app_with: Callable[..., Flask]) -> None:
    stranger = Person(app_with(api_requests_per_minute=3), token="a.b.c")
    assert [stranger.get("/api/auth/me").status for _ in range(5)] == [401, 401, 401, 429, 429]


# What is written down


def test_sign_ins_are_in_the_audit_log(ann: Person, nobody: Person, store: Store) -> None:
    _login(nobody)
    nobody.post("/api/auth/login", {**CREDENTIALS, "password": "wrong"})
    ann.post("/api/auth/logout-everywhere")
    entries = list(store.database["audit_logs"].find().sort("_id", 1))
    assert [(e["action"], e["actorEmail"]) for e in entries] == [
        ("user.logged_in", "ann@example.com"),
        ("user.login_refused", None),
        ("user.logged_out_everywhere", "ann@example.com"),
    ]
    assert all(PASSWORD not in str(entry) for entry in entries)
