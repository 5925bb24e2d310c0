"""How fast the API reads from a large installation: every list and detail route, found in the code itself."""

from __future__ import annotations

import contextlib
import json
import re
import time
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any, Final
from urllib.parse import urlencode

import jwt

from api.resources import operations
from api.rest.access import Access
from api.rest.openapi import openapi_document
from api.rest.routes import Operation
from api.rest.tokens import ISSUER, LIFETIME
from common.clock import utc_now
from common.ids import new_ulid
from common.store.database import Document
from scripts.bench.crowd import FULL, QUICK, Crowd, fill, ids_of, owner_id
from scripts.bench.figures import Findings, percentile, summary
from scripts.bench.ground import Ground
from scripts.bench.system import BENCH_SETTINGS
from scripts.local.stack import Stack

_PLENTY: Final = {"API_REQUESTS_PER_MINUTE": "1000000"}
_TIMEOUT_SECONDS: Final = 30.0
# Streams never end, files are made, not read, and a number's health is asked of Meta.
_NOT_READ: Final = re.compile(r"/events$|/export$|/whatsapp/health$|\.(csv|json|pdf)$")


def measure(ground: Ground) -> Findings:
    """Fill a database, start the web process, ask every GET route many times with different ids and pages."""
    crowd = QUICK if ground.is_quick else FULL
    requests = ground.quick_or(5, 200)
    store = ground.fresh_store("reads", "cli")
    started = time.monotonic()
    fill(store, crowd)
    took = time.monotonic() - started
    folder = ground.folder / "reads"
    folder.mkdir()
    settings = {**BENCH_SETTINGS, **_PLENTY, **ground.settings}
    times: dict[str, list[float]] = {}
    with Stack(folder, ground.mongod.uri, store.database.name, settings) as stack:
        stack.start_web(WEB_PROCESSES="1")
        with contextlib.closing(
            HTTPConnection("127.0.0.1", stack.port, timeout=_TIMEOUT_SECONDS)
        ) as connection:
            for operation in _reads():
                reader = _Reader(connection, _token(store.users.by_email(_who(operation)), stack), crowd)
                times[operation.path] = reader.read(operation, requests)
    ground.drop(store)
    worst = max(times, key=lambda path: percentile(times[path], 95))
    every = [second for found in times.values() for second in found]
    return Findings(
        {
            "reads.routes": len(times),
            "reads.p50_ms": percentile(every, 50) * 1000,
            "reads.p95_ms": percentile(every, 95) * 1000,
            "reads.worst_p95_ms": percentile(times[worst], 95) * 1000,
        },
        {
            "reads": {
                "filled_in_seconds": round(took, 1),
                "crowd": {
                    "sessions": crowd.sessions,
                    "steps": crowd.steps,
                    "flows": crowd.flows,
                    "bots": crowd.bots,
                },
                "worst": worst,
                "routes": {path: summary(found) for path, found in times.items()},
            }
        },
    )


def _reads() -> list[Operation]:
    return [
        operation
        for operation in operations()
        if operation.method == "GET" and operation.access is not Access.PUBLIC and operation.answer is not None
        and not _NOT_READ.search(operation.path)
    ]  # fmt: skip


def _who(operation: Operation) -> str:
    """The owner of the big bot, or an administrator where only those may look."""
    return "user1@example.com" if operation.access is Access.ADMIN else "user0@example.com"


def _token(user: Document | None, stack: Stack) -> str:
    if user is None:
        raise RuntimeError(f"the crowd has no {owner_id()}")
    now = utc_now()
    claims = {
        "sub": user["_id"], "jti": new_ulid(), "ver": user["tokenVersion"], "iss": ISSUER, "type": "access",
        "fresh": False, "iat": now, "nbf": now, "exp": now + LIFETIME,
    }  # fmt: skip
    return jwt.encode(claims, stack.secrets["JWT_SECRET"], "HS256")


class _Reader:
    """One person at one connection, asking one thing after the other."""

    def __init__(self, connection: HTTPConnection, token: str, crowd: Crowd) -> None:
        self._connection = connection
        self._headers = {"Authorization": f"Bearer {token}"}
        self._crowd = crowd

    def read(self, operation: Operation, requests: int) -> list[float]:
        """How long each request took. Raises RuntimeError for an answer that is none."""
        times: list[float] = []
        cursor: str | None = None
        for number in range(requests):
            ids = ids_of(self._crowd, number * 37)
            path = re.sub(r"<(\w+)>", lambda match, ids=ids: ids.get(match[1], "none"), operation.path)  # type: ignore[misc]
            query = {**_needed(operation), **({"cursor": cursor} if cursor else {})}
            began = time.perf_counter()
            status, answer = self._ask(f"{path}?{urlencode(query)}" if query else path)
            times.append(time.perf_counter() - began)
            if status != HTTPStatus.OK:
                raise RuntimeError(f"{path} answers {status}: {answer}")
            # Every other list is read on, page by page: the last pages must be as fast as the first.
            cursor = (
                answer.get("nextCursor") if isinstance(answer, dict) and "<session_id>" not in path else None
            )
        return times

    def _ask(self, target: str) -> tuple[int, Any]:
        self._connection.request("GET", target, headers=self._headers)
        response = self._connection.getresponse()
        body = response.read()
        return response.status, json.loads(body) if body else None


def _needed(operation: Operation) -> dict[str, str]:
    """The parameters without which a route does not answer."""
    path = re.sub(r"<(\w+)>", r"{\1}", operation.path)
    described = openapi_document()["paths"][path]["get"]
    values = {"q": "welcome", "from": "live", "to": "draft"}
    return {
        parameter["name"]: values.get(parameter["name"], "x")
        for parameter in described["parameters"]
        if parameter["in"] == "query" and parameter.get("required")
    }
