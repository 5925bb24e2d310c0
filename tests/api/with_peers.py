"""The application beside the local peers, for tests of what it asks WhatsApp and OpenAI."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from api.app import create_app
from api.routes import openai, whatsapp
from common.ids import new_ulid
from common.store.indexes import Retention, ensure_indexes
from scripts.peers.server import PeerServer
from tests.http.web_setup import APP_SECRET, settings_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from pymongo import MongoClient
    from pymongo.database import Database

    from tests.api.person import Person

PATIENCE_SECONDS = 2.0
TOKEN = "EAATokenOfTheSampleNumber01234567"
OTHER_TOKEN = "EAATokenOfTheOtherNumber987654321"
NUMBER, WABA = "200000000000001", "300000000000001"
OTHER_NUMBER = "200000000000002"
OPENAI_KEY = "sk-key-of-these-tests-0123456789"


@contextlib.contextmanager
def running_peers() -> Iterator[PeerServer]:
    """Peers for a module; `fresh` makes them forget."""
    with PeerServer(app_secret=APP_SECRET) as peers:
        yield peers
        assert peers.control("GET", "state")["broken"] == 0
        whatsapp._management(peers.graph_url, "v24.0", PATIENCE_SECONDS).close()
        openai._access(peers.openai_url, PATIENCE_SECONDS).close()


def emptied(client: MongoClient[dict[str, Any]], name: str) -> Database[dict[str, Any]]:
    """A module's database without documents: making all indexes takes longer than most tests."""
    database = client[name]
    for collection in database.list_collection_names():
        database[collection].delete_many({})
    return database


def fresh(peers: PeerServer) -> PeerServer:
    """The peers with two numbers of one account, whose webhooks are subscribed, and one OpenAI key."""
    peers.control("POST", "reset")
    for number, token, shown in (
        (NUMBER, TOKEN, "+49 30 901820"),
        (OTHER_NUMBER, OTHER_TOKEN, "+49 30 901821"),
    ):
        fields = {"phone_number_id": number, "waba_id": WABA, "access_token": token}
        peers.control("POST", "numbers", {**fields, "display_phone_number": shown, "verified_name": "Bakery"})
        peers.control("PUT", "tokens", {"access_token": token})
    peers.control("POST", "openai/keys", {"key": OPENAI_KEY})
    return peers


@contextlib.contextmanager
def app_beside(
    peers: PeerServer, mongo_uri: str, database: Database[dict[str, Any]], **changes: Any
) -> Iterator[Flask]:
    """The web application that takes the peers for Meta and OpenAI."""
    ensure_indexes(database, Retention())
    given = {
        "graph_base_url": peers.graph_url,
        "graph_timeout_seconds": PATIENCE_SECONDS,
        "openai_base_url": peers.openai_url,
        "openai_timeout_seconds": PATIENCE_SECONDS,
        "api_requests_per_minute": 1_000_000,
        "logins_per_minute": 1_000,
        "registrations_per_hour": 1_000,
    }
    app = create_app(settings_for(mongo_uri, database.name, **{**given, **changes}))
    yield app
    app.extensions["web"].store.close()


def make_bot(database: Database[dict[str, Any]], owner: Person, name: str = "Bot") -> str:
    """A bot of this user, as it is stored."""
    bot_id = new_ulid()
    database["bots"].insert_one({"_id": bot_id, "userId": owner.user_id, "name": name, "configRevision": 1})
    return bot_id


def revision_of(database: Database[dict[str, Any]], bot_id: str) -> int:
    """How often workers were told that something about the bot is different."""
    bot = database["bots"].find_one({"_id": bot_id})
    assert bot is not None
    revision: int = bot["configRevision"]
    return revision


def connection(**changes: Any) -> dict[str, Any]:
    """A body that connects the first number."""
    return {"phoneNumberId": NUMBER, "businessAccountId": WABA, "accessToken": TOKEN, **changes}
