"""Every route × everybody who should not: what they get, what they see, and that nothing changes.

The routes come from the code itself, so a new one is attacked as soon as it exists.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import bson
import jwt
import pytest

from api.rest.access import Access
from common.clock import utc_now
from tests.api.examples import ALL, body_for, fill, query_for
from tests.api.person import Answer, Person
from tests.api.victim import MARK, give_everything

if TYPE_CHECKING:
    from flask import Flask
    from pymongo.database import Database

    from api.rest.routes import Operation

# What a refused request may write: how often somebody asked.
_NOT_LOOKED_AT = {"rate_limits", "rate_limit_windows"}
_PRIVATE = [operation for operation in ALL if operation.access is not Access.PUBLIC]
_OF_A_BOT = [operation for operation in ALL if operation.access in (Access.OWNER, Access.READER)]


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


@pytest.fixture
def ids(database: Database[dict[str, Any]], ann: Person) -> dict[str, str]:
    """What Ann has; `bot_id`, `flow_id`, …"""
    return give_everything(database, ann)


@pytest.mark.parametrize("operation", _PRIVATE, ids=_name)
def test_nobody_gets_in(
    api: Flask, database: Database[dict[str, Any]], ann: Person, ids: dict[str, str], operation: Operation
) -> None:
    """Without a token, with an expired one and with a revoked one: 401, and nothing changes."""
    secret = api.config["JWT_SECRET_KEY"]
    claims = jwt.decode(ann.token or "", secret, ["HS256"], issuer=api.config["JWT_DECODE_ISSUER"])
    expired = jwt.encode({**claims, "exp": utc_now() - timedelta(minutes=1)}, secret, "HS256")
    revoked = jwt.encode({**claims, "jti": "a-token-that-was-revoked"}, secret, "HS256")
    database["revoked_tokens"].insert_one(
        {"_id": "a-token-that-was-revoked", "expiresAt": utc_now() + timedelta(days=1)}
    )
    before = _digest(database)
    for token in (None, expired, revoked):
        answer = _try(Person(api, token=token), operation, ids)
        assert (answer.status, answer.code) == (401, "unauthenticated"), token
        assert MARK not in answer.text
    assert _digest(database) == before


@pytest.mark.parametrize("operation", _OF_A_BOT, ids=_name)
def test_another_users_things_do_not_exist(
    database: Database[dict[str, Any]], bob: Person, ids: dict[str, str], operation: Operation
) -> None:
    """Neither under her bot, nor under a bot of his own: 404, and nothing changes."""
    his = give_everything(database, bob)
    mixed = {**ids, "bot_id": his["bot_id"]}
    before = _digest(database)
    answer = _try(bob, operation, ids)
    assert (answer.status, answer.code) == (404, "not_found")
    if any(f"<{name}>" in operation.path for name in ids if name not in ("bot_id", "name", "node_id")):
        answer = _try(bob, operation, mixed)
        assert (answer.status, answer.code) == (404, "not_found"), "his bot, her things"
    assert _digest(database) == before


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
def test_routes_without_a_bot_show_only_ones_own(
    database: Database[dict[str, Any]], ann: Person, bob: Person, ids: dict[str, str], operation: Operation
) -> None:
    """Her ids in his bodies and queries reach nothing of hers."""
    before = _digest_of(database, ids["bot_id"], ann.user_id)
    answer = _try(bob, operation, ids)
    assert answer.status < 500
    assert MARK not in answer.text
    assert ids["bot_id"] not in answer.text
    assert _digest_of(database, ids["bot_id"], ann.user_id) == before


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
def test_administrators_change_nothing(
    database: Database[dict[str, Any]], admin: Person, ids: dict[str, str], operation: Operation
) -> None:
    before = _digest(database)
    answer = _try(admin, operation, ids)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert _digest(database) == before


@pytest.mark.parametrize("operation", [o for o in ALL if o.access is Access.ADMIN], ids=_name)
def test_users_do_not_administrate(
    database: Database[dict[str, Any]], ann: Person, ids: dict[str, str], operation: Operation
) -> None:
    before = _digest(database)
    answer = _try(ann, operation, ids)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert _digest(database) == before


@pytest.mark.parametrize(
    "operation", [o for o in ALL if o.access in (Access.ADMIN, Access.READER)], ids=_name
)
def test_watching_changes_nothing(
    database: Database[dict[str, Any]], admin: Person, ids: dict[str, str], operation: Operation
) -> None:
    """What an administrator may look at answers, and is as it was afterwards."""
    before = _digest(database)
    answer = _try(admin, operation, ids)
    assert answer.status < 500, answer.text
    assert answer.status not in (401, 403), answer.text
    assert {k: v for k, v in _digest(database).items() if k != "audit_logs"} == {
        k: v for k, v in before.items() if k != "audit_logs"
    }


@pytest.mark.parametrize("operation", [o for o in _OF_A_BOT if o.method == "GET"], ids=_name)
def test_the_owner_gets_in(ann: Person, ids: dict[str, str], operation: Operation) -> None:
    """The same requests with the right token: else the refusals above would prove nothing."""
    answer = _try(ann, operation, ids)
    assert answer.status not in (401, 403), answer.text
    assert answer.status < 500, answer.text
    assert (answer.status, answer.code) != (404, "not_found") or operation.name in _MAY_BE_MISSING, (
        answer.text
    )


# Things that the victim has none of, though the route is hers.
_MAY_BE_MISSING: frozenset[str] = frozenset()


def test_every_route_says_who_may_call_it() -> None:
    """The public ones are these and no others."""
    assert {_name(o) for o in ALL if o.access is Access.PUBLIC} == {
        "POST /api/auth/register",
        "POST /api/auth/login",
    }
    assert all(o.method == "GET" for o in ALL if o.access in (Access.ADMIN, Access.READER))
