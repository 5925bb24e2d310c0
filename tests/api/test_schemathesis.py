"""Random requests against the live server, made from its own OpenAPI document: no 500, no undocumented answer.

`API_FUZZ=full ./scripts/test tests/api/test_schemathesis.py` goes through all limits of all fields, too, with many
more examples: a quarter of an hour.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.rest.openapi import openapi_document
from api.rest.schemas import camel
from common.ids import new_ulid
from common.store.indexes import Retention, ensure_indexes
from common.store.store import Store
from tests.api.person import Person
from tests.api.tokens import token_for
from tests.api.victim import give_everything
from tests.http.web_setup import gunicorn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo import MongoClient
    from pymongo.database import Database

_IS_FULL = os.environ.get("API_FUZZ") == "full"
_EXAMPLES = 100 if _IS_FULL else 5
_CONFORMANCE = [status_code_conformance, content_type_conformance, response_schema_conformance]
_NOWHERE = "http://127.0.0.1:9"  # nothing listens there: Graph and OpenAI are away


def _documented() -> dict[str, Any]:
    """The API's own routes; Meta's webhook and the health pages have tests of their own, streams never end."""
    document = openapi_document()
    paths = {
        path: operations
        for path, operations in document["paths"].items()
        if path.startswith("/api/") and "webhook" not in path.split("/")[2] and not path.endswith("/events")
    }
    return {**document, "paths": paths}


schema = schemathesis.openapi.from_dict(_documented())
schema.config.phases.update(phases=["examples", "fuzzing", *(["coverage"] if _IS_FULL else [])])


@dataclass(frozen=True)
class Live:
    """A gunicorn, and the database that it works on."""

    url: str
    database: Database[dict[str, Any]]


@pytest.fixture(scope="module")
def live(
    mongo_uri: str, _mongo_client: MongoClient[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    name = f"test_{new_ulid()}"
    ensure_indexes(_mongo_client[name], Retention())
    plenty = {
        "API_REQUESTS_PER_MINUTE": "1000000",
        "LOGINS_PER_MINUTE": "1000000",
        "REGISTRATIONS_PER_HOUR": "1000000",
    }
    away = {"GRAPH_BASE_URL": _NOWHERE, "OPENAI_BASE_URL": f"{_NOWHERE}/v1"}
    log = tmp_path_factory.mktemp("web") / "web.log"
    with gunicorn(mongo_uri, name, log, **plenty, **away) as server:
        yield Live(f"http://127.0.0.1:{server.port}", _mongo_client[name])
    _mongo_client.drop_database(name)


@pytest.fixture
def ids(live: Live) -> dict[str, str]:
    """Somebody new with one of everything; their ids by path parameter, and `user_id`."""
    user_id = new_ulid()
    store = Store(live.database)
    store.users.create(user_id, f"{user_id.lower()}@example.com", "no hash")
    store.users.ensure("root@example.com", "no hash", "ADMIN", must_change_password=False)
    person: Any = Person(None, user_id, f"{user_id}@example.com")  # type: ignore[arg-type]
    return {**give_everything(live.database, person), "user_id": user_id}


@schema.parametrize()
@settings(
    max_examples=_EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_random_requests(case: schemathesis.Case[Any], live: Live, ids: dict[str, str]) -> None:
    known = {**ids, **{camel(name): value for name, value in ids.items()}}
    for name in case.path_parameters or {}:
        if name in known:
            case.path_parameters[name] = known[name]
    store = Store(live.database)
    root = store.users.by_email("root@example.com")
    assert root is not None
    watches = case.operation.definition.raw.get("x-access") in ("READER", "ADMIN")
    owner = live.database["users"].find_one({"_id": ids["user_id"]})
    for user in (owner, root) if watches else (owner,):
        assert user is not None
        headers = {"Authorization": f"Bearer {token_for(user)}"}
        response = case.call(base_url=live.url, headers=headers)
        is_away = response.status_code == HTTPStatus.SERVICE_UNAVAILABLE and "_unreachable" in response.text
        case.validate_response(
            response, checks=_CONFORMANCE if is_away else [not_a_server_error, *_CONFORMANCE]
        )
