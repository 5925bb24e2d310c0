"""Every route × everybody who should not: what they get, what they see, and that nothing changes.

The routes come from the code itself, so a new one is attacked as soon as it exists.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import bson
import jwt
import pytest

from api.app import create_app
from api.rest.access import Access
from common.clock import utc_now
from common.ids import new_ulid
from common.store.indexes import Retention, ensure_indexes
from tests.api.examples import ALL, body_for, fill, query_for
from tests.api.person import Answer, Person
from tests.api.tokens import token_for
from tests.api.victim import MARK, give_everything
from tests.http.web_setup import settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from pymongo import MongoClient
    from pymongo.database import Database

    from api.rest.routes import Operation
    from common.store.store import Store

# What a refused request may write: how often somebody asked.
_NOT_LOOKED_AT = {"rate_limits", "rate_limit_windows"}
_PRIVATE = [operation for operation in ALL if operation.access is not Access.PUBLIC]
# What deletes comes last: a hole that lets somebody delete her bot must not hide the holes behind it.
_OF_A_BOT = sorted(
    (operation for operation in ALL if operation.access in (Access.OWNER, Access.READER)),
    key=lambda operation: (operation.method == "DELETE", -len(operation.path)),
)


def _name(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def _digest(database: Database[dict[str, Any]]) -> dict[str, str]:
    """One hash for each collection: what is in it, to the last byte."""
    return {
        name: hashlib.sha256(
            b"".join(bson.encode(one) for one in database[name].find().sort("_id", 1))
        ).hexdigest()
        for name in sorted(set(database.list_collection_names()) - _NOT_LOOKED_AT)
    }


def _try(who: Person, operation: Operation, ids: dict[str, str]) -> Answer:
    return who.request(
        operation.method, fill(operation.path, ids), body_for(operation, ids), query=query_for(operation, ids)
    )


_NOWHERE = "http://127.0.0.1:9"  # nothing listens there: Graph and OpenAI are away
_SETTINGS: dict[str, Any] = {
    "api_requests_per_minute": 1_000_000,
    "logins_per_minute": 1_000_000,
    "graph_base_url": _NOWHERE,
    "openai_base_url": _NOWHERE,
}


@pytest.fixture(scope="module")
def _app(mongo_uri: str, _mongo_client: MongoClient[dict[str, Any]]) -> Iterator[Flask]:
    """One application for all tests here: there are hundreds, and making the indexes takes a second."""
    name = f"test_{new_ulid()}"
    ensure_indexes(_mongo_client[name], Retention())
    app = create_app(settings_for(mongo_uri, name, **_SETTINGS))
    yield app
    app.extensions["web"].store.close()
    _mongo_client.drop_database(name)


@dataclass(frozen=True)
class Stage:
    """Everybody, and what Ann and Bob have. No test changes any of it: that is what they are about."""

    app: Flask
    ann: Person
    bob: Person
    admin: Person
    hers: dict[str, str]
    his: dict[str, str]

    @property
    def database(self) -> Database[dict[str, Any]]:
        database: Database[dict[str, Any]] = self.app.extensions["web"].store.database
        return database


@pytest.fixture(scope="module")
def stage(_app: Flask) -> Stage:
    ann, bob, admin = _somebody(_app, "USER"), _somebody(_app, "USER"), _somebody(_app, "ADMIN")
    database = _app.extensions["web"].store.database
    return Stage(
        _app, ann, bob, admin, give_everything(database, ann), give_everything(database, bob, "wombat")
    )


def _somebody(app: Flask, role: str) -> Person:
    store: Store = app.extensions["web"].store
    email = f"{new_ulid().lower()}@example.com"
    store.users.ensure(email, "no hash", role, must_change_password=False)
    user = store.users.by_email(email)
    assert user is not None
    return Person(app, user["_id"], email, token_for(user))


@pytest.mark.parametrize("operation", _PRIVATE, ids=_name)
def test_nobody_gets_in(stage: Stage, operation: Operation) -> None:
    """Without a token, with an expired one and with a revoked one: 401, and nothing changes."""
    secret = stage.app.config["JWT_SECRET_KEY"]
    claims = jwt.decode(
        stage.ann.token or "", secret, ["HS256"], issuer=stage.app.config["JWT_DECODE_ISSUER"]
    )
    expired = jwt.encode({**claims, "exp": utc_now() - timedelta(minutes=1)}, secret, "HS256")
    revoked = jwt.encode({**claims, "jti": "a-token-that-was-revoked"}, secret, "HS256")
    stage.app.extensions["web"].store.users.revoke("a-token-that-was-revoked", utc_now() + timedelta(days=1))
    before = _digest(stage.database)
    for token in (None, expired, revoked):
        answer = _try(Person(stage.app, token=token), operation, stage.hers)
        assert (answer.status, answer.code) == (401, "unauthenticated"), token
        assert MARK not in answer.text
    assert _digest(stage.database) == before


@pytest.mark.parametrize("operation", _OF_A_BOT, ids=_name)
def test_another_users_things_do_not_exist(stage: Stage, operation: Operation) -> None:
    """Neither under her bot, nor under a bot of his own: 404, and nothing changes."""
    mixed = {**stage.hers, "bot_id": stage.his["bot_id"]}
    before = _digest(stage.database)
    answer = _try(stage.bob, operation, stage.hers)
    assert (answer.status, answer.code) == (404, "not_found")
    # A name is not hers alone: he may give it to something of his own.
    named = ("name", "node_id") if operation.method == "PUT" else ()
    if any(f"<{name}>" in operation.path for name in stage.hers if name not in ("bot_id", *named)):
        answer = _try(stage.bob, operation, mixed)
        assert (answer.status, answer.code) == (404, "not_found"), "his bot, her things"
    assert _digest(stage.database) == before


@pytest.mark.parametrize("operation", [o for o in _OF_A_BOT if o.body or o.query], ids=_name)
def test_another_users_ids_in_a_body_reach_nothing(stage: Stage, operation: Operation) -> None:
    """His own bot in the path, her ids in the body and in the query: nothing of hers is shown, changed or linked."""
    his = give_everything(stage.database, stage.bob, "wombat")
    before = _digest_of(stage.database, stage.hers["bot_id"], stage.ann.user_id)
    linked = _links(stage.database, stage.hers)
    answer = stage.bob.request(
        operation.method,
        fill(operation.path, his),
        body_for(operation, stage.hers),
        query=query_for(operation, stage.hers),
    )
    assert answer.status < 500 or answer.code == "whatsapp_unreachable", answer.text
    assert MARK not in answer.text
    assert _digest_of(stage.database, stage.hers["bot_id"], stage.ann.user_id) == before
    assert _links(stage.database, stage.hers) == linked


def _links(database: Database[dict[str, Any]], ids: dict[str, str]) -> set[tuple[str, str]]:
    """The documents of others in which one of these ids stands somewhere: (collection, id)."""
    wanted = [value.encode() for name, value in ids.items() if name not in ("name", "node_id")]
    return {
        (name, str(document["_id"]))
        for name in set(database.list_collection_names()) - _NOT_LOOKED_AT
        for document in database[name].find({"botId": {"$ne": ids["bot_id"]}, "_id": {"$ne": ids["bot_id"]}})
        if any(value in bson.encode(document) for value in wanted)
    }


@pytest.mark.parametrize(
    "operation",
    [
        operation
        for operation in ALL
        if operation.access is Access.USER
        or (operation.access is Access.SIGNED_IN and operation.method == "GET")
    ],
    ids=_name,
)
def test_routes_without_a_bot_show_only_ones_own(stage: Stage, operation: Operation) -> None:
    """Her ids in his bodies and queries reach nothing of hers."""
    before = _digest_of(stage.database, stage.hers["bot_id"], stage.ann.user_id)
    answer = _try(stage.bob, operation, stage.hers)
    assert answer.status < 500
    assert MARK not in answer.text
    assert stage.hers["bot_id"] not in answer.text
    assert _digest_of(stage.database, stage.hers["bot_id"], stage.ann.user_id) == before


def _digest_of(database: Database[dict[str, Any]], bot_id: str, user_id: str) -> dict[str, str]:
    """What belongs to this bot or user, hashed by collection."""
    query = {"$or": [{"botId": bot_id}, {"_id": bot_id}, {"_id": user_id}, {"userId": user_id}]}
    return {
        name: hashlib.sha256(
            b"".join(bson.encode(one) for one in database[name].find(query).sort("_id", 1))
        ).hexdigest()
        for name in sorted(set(database.list_collection_names()) - _NOT_LOOKED_AT)
    }


@pytest.mark.parametrize("operation", [o for o in ALL if o.access in (Access.OWNER, Access.USER)], ids=_name)
def test_administrators_change_nothing(stage: Stage, operation: Operation) -> None:
    before = _digest(stage.database)
    answer = _try(stage.admin, operation, stage.hers)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert _digest(stage.database) == before


@pytest.mark.parametrize("operation", [o for o in ALL if o.access is Access.ADMIN], ids=_name)
def test_users_do_not_administrate(stage: Stage, operation: Operation) -> None:
    before = _digest(stage.database)
    answer = _try(stage.ann, operation, stage.hers)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert _digest(stage.database) == before


@pytest.mark.parametrize(
    "operation", [o for o in ALL if o.access in (Access.ADMIN, Access.READER)], ids=_name
)
def test_watching_changes_nothing(stage: Stage, operation: Operation) -> None:
    """What an administrator may look at answers, and is as it was afterwards."""
    before = _digest(stage.database)
    answer = _try(stage.admin, operation, stage.hers)
    assert answer.status < 500, answer.text
    assert answer.status not in (401, 403), answer.text
    assert {k: v for k, v in _digest(stage.database).items() if k != "audit_logs"} == {
        k: v for k, v in before.items() if k != "audit_logs"
    }


@pytest.mark.parametrize("operation", [o for o in _OF_A_BOT if o.method == "GET"], ids=_name)
def test_the_owner_gets_in(stage: Stage, operation: Operation) -> None:
    """The same requests with the right token: else the refusals above would prove nothing."""
    answer = _try(stage.ann, operation, stage.hers)
    assert answer.status == 200 or (answer.status, answer.code) == (503, "whatsapp_unreachable"), answer.text


def test_every_route_says_who_may_call_it() -> None:
    """The public ones are these and no others."""
    assert {_name(o) for o in ALL if o.access is Access.PUBLIC} == {
        "POST /api/auth/register",
        "POST /api/auth/login",
    }
    assert all(o.method == "GET" for o in ALL if o.access in (Access.ADMIN, Access.READER))
