"""Secrets that are planted are looked for in every answer, log line, export and document.

The routes come from the code itself: a new one is looked at as soon as it exists.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from flask import Flask
from pymongo import MongoClient
from pymongo.database import Database

from api.rest.access import Access
from api.rest.routes import Operation
from common.ids import new_ulid
from common.log import configure_logging
from common.secrets import KeyRing
from common.store.store import Store
from scripts.local.bots import make_bot
from scripts.peers.server import PeerServer
from tests.api.canaries import PIECE, Canaries
from tests.api.examples import ALL, body_for, fill, query_for
from tests.api.person import Answer, Person
from tests.api.talks import Talks, talking
from tests.api.tokens import token_for
from tests.api.victim import give_everything
from tests.api.with_peers import app_beside, running_peers
from tests.http.web_setup import ENCRYPTION_KEYS, settings_for
from tests.support.flows import call, end, flow
from tests.support.waiting import wait_until

Db = Database[dict[str, Any]]

# Without the looks of a token or a key: what hides them must know them, not guess them.
SECRETS = {
    "access token": "qCanaryTokenAq7Zr2Lw9Xe4Vt1Ys8",
    "refused access token": "qCanary.Refused-Token_Mm3Kd6Pf0Gh5Jb",
    "app secret": "qcanaryappsecret0d4e8f2a6b1c9375",
    "refused app secret": "qcanaryrefusedsecret7a1b3c5d9e0f",
    "OpenAI key": "sk-qCanaryKeyHn4Ub7Yv2Tc9Rx1Ws6",
    "refused OpenAI key": "sk-qCanaryRefusedZz8Qq3Ee5Rr7Tt",
    "password": "qCanary battery staple Vv4Bb8Nn",
    "wrong password": "qCanary wrong horse Xx2Cc6Mm",
    "new password": "qCanary fresh pony Kk9Ll3Jj",
}
NUMBER, WABA, APP = "210000000000001", "310000000000001", "710000000000001"
# What answers with a token is what it is for; every other answer is looked at.
SIGN_IN = {"register", "login", "change_password"}


@pytest.fixture(scope="module")
def peers() -> Iterator[PeerServer]:
    with running_peers() as peers:
        token, secret = SECRETS["access token"], SECRETS["app secret"]
        fields = {"phone_number_id": NUMBER, "waba_id": WABA, "access_token": token}
        peers.control("POST", "numbers", {**fields, "app_id": APP, "app_secret": secret})
        peers.control("POST", "openai/keys", {"key": SECRETS["OpenAI key"]})
        yield peers


@pytest.fixture
def log(peers: PeerServer) -> Iterator[io.StringIO]:
    """Everything that is logged, down to the libraries' own words."""
    del peers
    stream = io.StringIO()
    yield stream
    structlog.reset_defaults()
    for handler in list(logging.getLogger().handlers):
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter):
            logging.getLogger().removeHandler(handler)


@pytest.fixture
def app(peers: PeerServer, mongo_uri: str, database: Db, log: io.StringIO) -> Iterator[Flask]:
    with app_beside(peers, mongo_uri, database, log_level="DEBUG") as app:
        configure_logging(settings_for(mongo_uri, database.name, log_level="DEBUG"), "web", log)
        yield app


class Looker(Person):
    """A person who looks at every answer they get."""

    canaries: Canaries

    def request(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        named = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers = {name.replace("_", "-"): text for name, text in (more.get("headers") or {}).items()}
        options = {"json": body} if body is not None else {}
        response = self.app.test_client().open(
            path, method=method, query_string=more.get("query") or {}, headers={**named, **headers}, **options
        )
        said = response.data
        where = f"{method} {path} ({response.status_code})"
        assert said or response.status_code == 204, f"{where}: an answer without a word cannot be looked at"
        self.canaries.look(where, str(response.headers).encode())
        self.canaries.look(where, said)
        return Answer(
            response.status_code, response.get_json(silent=True), said.decode("utf-8", "replace"), {}
        )


def sign_up(app: Flask, canaries: Canaries, database: Db) -> Looker:
    """An account with a password and a token to look for."""
    client = app.test_client()
    mail, secrets = "canary@example.com", canaries.secrets
    given = {"email": mail, "transport": "bearer"}
    made = client.post("/api/auth/register", json={**given, "password": secrets["password"]})
    assert made.status_code == 201, made.text
    token = made.get_json()["accessToken"]
    body = {"currentPassword": secrets["password"], "newPassword": secrets["new password"]}
    named = {"Authorization": f"Bearer {token}"}
    changed = client.post("/api/auth/password", json=body, headers=named)
    assert changed.status_code == 200, changed.text
    again = client.post("/api/auth/login", json={**given, "password": secrets["new password"]})
    canaries.secrets |= {
        "revoked JWT": token.rpartition(".")[2],  # the signature is the secret; the rest says who somebody is
        "JWT": again.get_json()["accessToken"].rpartition(".")[2],
        "cookie's JWT": client.post(
            "/api/auth/login", json={**given, "transport": "cookie", "password": secrets["new password"]}
        ).headers["Set-Cookie"].partition(";")[0].rpartition(".")[2],
    }  # fmt: skip
    user = database["users"].find_one({"email": mail})
    assert user is not None
    ann = Looker(app, user["_id"], mail, again.get_json()["accessToken"])
    ann.canaries = canaries
    assert ann.post("/api/auth/login", {**given, "password": secrets["wrong password"]}).status == 401
    return ann


def connect(ann: Looker, peers: PeerServer, bot_id: str) -> None:
    """Plant the credentials, with every refusal on the way, in which Graph and OpenAI repeat what they were given."""
    secrets, whatsapp = ann.canaries.secrets, f"/api/bots/{bot_id}/whatsapp"
    good = {"phoneNumberId": NUMBER, "businessAccountId": WABA, "accessToken": secrets["access token"],
            "appId": APP, "appSecret": secrets["app secret"]}  # fmt: skip
    refused = [
        {"accessToken": secrets["refused access token"]},  # the peer repeats a malformed one
        {"appSecret": secrets["refused app secret"]},
        {"phoneNumberId": "999"},
        {"accessToken": f"{secrets['access token']} with blanks"},
        {"unknown": secrets["access token"]},
        {"appId": secrets["app secret"]},
    ]
    for wrong in refused:
        assert ann.put(whatsapp, {**good, **wrong}).status == 422
    for echo in (f"Malformed access token {secrets['access token']}", f"/x?access_token={secrets['access token']}&y",
                 f"{APP}|{secrets['app secret']} is no app", secrets["access token"][:20]):  # fmt: skip
        for code in (190, 100, 2):
            peers.fault("graph_error", endpoint="graph.management", code=code, details=echo)
            assert ann.put(whatsapp, good).status in {422, 503}
            peers.control("DELETE", "faults")
    assert ann.put(whatsapp, good).status == 200
    for echo in (f"Malformed access token {secrets['access token']}", f"{APP}|{secrets['app secret']}"):
        peers.fault("graph_error", endpoint="graph.management", code=190, details=echo)
        for method, more in (
            ("POST", "/check"),
            ("GET", "/health"),
            ("POST", "/subscribe"),
            ("DELETE", "/subscribe"),
        ):
            assert ann.request(method, whatsapp + more).status in {200, 422}
        peers.control("DELETE", "faults")
    assert ann.post(f"{whatsapp}/check").json["isGood"] is True
    assert ann.put("/api/openai-account", {"apiKey": secrets["refused OpenAI key"]}).status == 422
    assert ann.put("/api/openai-account", {"apiKey": secrets["OpenAI key"], "x": 1}).status == 422
    assert ann.put("/api/openai-account", {"apiKey": secrets["OpenAI key"]}).status == 200


def everything(operation: Operation) -> bool:
    """Event streams have no end; what they say comes from the documents that are looked at."""
    return operation.media != "text/event-stream"


READS = [operation for operation in ALL if operation.method == "GET" and everything(operation)]
WRITES = sorted(
    (
        operation
        for operation in ALL
        if operation.method != "GET" and operation.name not in {"logout", "logout_everywhere"}
    ),
    key=lambda operation: (operation.method == "DELETE", operation.name in SIGN_IN),
)


def test_no_answer_log_line_export_or_document_holds_a_secret(
    app: Flask, peers: PeerServer, database: Db, log: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    canaries = Canaries(dict(SECRETS))
    ann = sign_up(app, canaries, database)
    ids = give_everything(database, ann)
    connect(ann, peers, ids["bot_id"])
    root = _administrator(app, canaries)
    answered = {
        operation.name: _ask(ann, operation, ids)
        for operation in READS
        if operation.access is not Access.ADMIN
    }
    answered |= {f"admin {operation.name}": _ask(root, operation, ids) for operation in READS}
    _send_garbage(ann, ids)
    canaries.look_into(database)
    # Each of them was really asked: what is refused shows nothing.
    wanted = {name for name in answered if not name.startswith("admin ")}
    assert {name: answered[name] for name in wanted if answered[name] >= 300} == {}
    # What writes answer with, and what they leave behind.
    for operation in WRITES:
        _ask(ann, operation, ids, Idempotency_Key=f"canary-{operation.name}")
    canaries.look_into(database)
    canaries.look("the log", log.getvalue())
    canaries.look("the libraries' log", caplog.text)
    assert len(log.getvalue().splitlines()) > 5
    assert canaries.looked_at > len(READS) + len(WRITES)
    assert canaries.sightings == []


def _administrator(app: Flask, canaries: Canaries) -> Looker:
    store: Store = app.extensions["web"].store
    store.users.ensure("root@example.com", "-", "ADMIN", must_change_password=False)
    user = store.users.by_email("root@example.com")
    assert user is not None
    root = Looker(app, user["_id"], user["email"], token_for(user))
    root.canaries = canaries
    return root


def _ask(who: Looker, operation: Operation, ids: dict[str, str], **headers: str) -> int:
    body = body_for(operation, ids)
    response = who.request(
        operation.method, fill(operation.path, ids), body, query=query_for(operation, ids), headers=headers
    )
    return response.status


def _send_garbage(ann: Looker, ids: dict[str, str]) -> None:
    """Secrets where they do not belong: nobody repeats what they cannot read."""
    client = ann.app.test_client()
    for name, secret in list(ann.canaries.secrets.items()):
        # Whoever asks knows the secret already; it must not get into the log.
        for path in (
            f"/api/bots/{secret}",
            f"/api/bots/{ids['bot_id']}/{secret}",
            f"/api/auth/me?token={secret}",
        ):
            client.get(
                path, headers={"Authorization": f"Bearer {secret}", "Cookie": f"access_token={secret}"}
            )
        raw = json.dumps({"apiKey": secret})[:-3]
        headers = {"Authorization": f"Bearer {ann.token}", "Content-Type": "application/json"}
        answer = client.put("/api/openai-account", data=raw, headers=headers)
        ann.canaries.look(f"a broken body with the {name}", answer.data)


# What workers do with them


@pytest.fixture(scope="module")
def talks(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talks]:
    with talking(mongo_uri, tmp_path_factory.mktemp("canaries")) as talks:
        yield talks


def test_nothing_that_a_worker_does_with_a_secret_shows_it(talks: Talks) -> None:
    world, canaries = talks.world, Canaries(dict(SECRETS))
    token, key = SECRETS["access token"], SECRETS["OpenAI key"]
    fields = {"phone_number_id": NUMBER, "waba_id": WABA, "access_token": token}
    world.peers.control("POST", "numbers", fields)
    ai = {"model": "gpt-4", "userPrompt": "{{lastMessage}}", "storeResponseIn": "said"}
    nodes = {
        "a": ("AI", ai),
        "b": call(world.crm("flaky?fail=9&key=x")),
        "c": end("bye"),
    }
    steps = flow(nodes, "start > a, a.success > b, a.failure > b, b.success > c, b.failure > c")
    keys = world.stack.secrets["ENCRYPTION_KEYS"]
    bot_id, _ = make_bot(world.store, keys, steps, phone_number_id=NUMBER, token=token, openai_key=key)
    person = "4917099900001"
    world.peers.fault("graph_error", code=190, details=f"Malformed access token {token}", to=person)
    world.peers.say(person, "hi", phone_number_id=NUMBER)
    wait_until(lambda: _stopped_for(world.store, bot_id), "Graph's refusal stops the bot")
    world.peers.control("DELETE", "faults")
    owner, root = _looker(talks, bot_id, canaries)
    shown = owner.get(f"/api/bots/{bot_id}/whatsapp").json
    assert shown["status"] == "STOPPED"
    assert "Malformed access token" in shown["stoppedFor"]
    assert root.get(f"/api/bots/{bot_id}/whatsapp").status == 200
    (session,) = owner.get(f"/api/bots/{bot_id}/sessions").json["items"]
    ids = {"bot_id": bot_id, "session_id": session["id"]}
    for operation in READS:  # everything there is about a session
        if "<session_id>" in operation.path:
            assert owner.get(fill(operation.path, ids)).status == 200
    canaries.look_into(world.store.database)
    for process in world.stack.processes:
        canaries.look(f"the log of {process.name}", process.log())
    assert canaries.sightings == []


def _stopped_for(store: Store, bot_id: str) -> str | None:
    account = store.bots.account_of(bot_id)
    return account.stopped_for if account else None


def _looker(talks: Talks, bot_id: str, canaries: Canaries) -> tuple[Looker, Looker]:
    database = talks.world.store.database
    bot = database["bots"].find_one({"_id": bot_id})
    assert bot is not None
    user = database["users"].find_one({"_id": bot["userId"]})
    assert user is not None
    people = []
    for somebody in (talks.person(user), talks.admin()):
        looker = Looker(talks.app, somebody.user_id, somebody.email, somebody.token)
        looker.canaries = canaries
        people.append(looker)
    return people[0], people[1]


# The search itself


@pytest.mark.parametrize(
    "leak",
    [
        SECRETS["access token"],
        f"…{SECRETS['app secret'][5:16]}…",
        SECRETS["OpenAI key"].encode().hex(),
        "eyJ0IjoicUNhbmFyeVRva2VuQXE3WnIyTHc5WGU0VnQxWXM4In0",  # {"t":"…"} in base64
    ],
)
def test_the_search_finds_what_is_there(mongo_client: MongoClient[dict[str, Any]], leak: str) -> None:
    canaries = Canaries(dict(SECRETS))
    database = mongo_client[f"test_{new_ulid()}"]
    database["anything"].insert_one({"_id": "1", "deep": [{"er": f"says {leak}."}]})
    try:
        canaries.look_into(database)
    finally:
        mongo_client.drop_database(database)
    assert len(canaries.sightings) == 1


@pytest.fixture
def mongo_client(_mongo_client: MongoClient[dict[str, Any]]) -> MongoClient[dict[str, Any]]:
    return _mongo_client


def test_masks_and_ciphertexts_are_no_sightings() -> None:
    canaries = Canaries(dict(SECRETS))
    keys = KeyRing.from_setting(ENCRYPTION_KEYS)
    for secret in SECRETS.values():
        canaries.look("a mask", f"••••{secret[-4:]}")
        canaries.look("a ciphertext", keys.encrypt(secret, "anywhere"))
        canaries.look("a piece that says little", secret[: PIECE - 1])
    assert canaries.sightings == []
