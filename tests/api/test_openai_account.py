"""A user's OpenAI key, against the local peer: tried out before it is stored, shown as a mask, used by all their bots."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from pymongo import MongoClient
from pymongo.database import Database

from api.routes import openai
from api.timed_cache import TimedCache
from common.ids import new_ulid
from common.model.encrypted_fields import OPENAI_KEY as KEY_FIELD
from common.secrets import KeyRing
from common.store.store import Store
from scripts.peers.server import PeerServer
from tests.api.person import Person
from tests.api.with_peers import OPENAI_KEY, app_beside, emptied, fresh, make_bot, revision_of, running_peers
from tests.http.web_setup import ENCRYPTION_KEYS

Db = Database[dict[str, Any]]
KEYS = KeyRing.from_setting(ENCRYPTION_KEYS)
PATH = "/api/openai-account"
OFFERED = ["gpt-4", "gpt-4-turbo", "gpt-3.5-turbo"]
OTHER_KEY = "sk-other-key-of-these-tests-987654"


@pytest.fixture(scope="module")
def server() -> Iterator[PeerServer]:
    with running_peers() as peers:
        yield peers


@pytest.fixture(scope="module")
def _name(_mongo_client: MongoClient[dict[str, Any]]) -> Iterator[str]:
    name = f"test_{new_ulid()}"
    yield name
    _mongo_client.drop_database(name)


@pytest.fixture
def database(_mongo_client: MongoClient[dict[str, Any]], _name: str) -> Db:
    return emptied(_mongo_client, _name)


@pytest.fixture
def peers(server: PeerServer) -> PeerServer:
    return fresh(server)


@pytest.fixture
def api(peers: PeerServer, mongo_uri: str, database: Db) -> Iterator[Flask]:
    with app_beside(peers, mongo_uri, database) as app:
        yield app


def stored_key(database: Db, person: Person) -> str:
    account = database["openai_accounts"].find_one({"userId": person.user_id})
    assert account is not None
    return KEYS.decrypt(account["apiKey"], KEY_FIELD.context(account["_id"]))


def test_without_a_key(ann: Person) -> None:
    shown = ann.get(PATH).json
    assert shown == {
        "hasKey": False,
        "apiKey": None,
        "lastCheckedAt": None,
        "createdAt": None,
        "updatedAt": None,
    }
    assert ann.delete(PATH).status == 204
    models = ann.get(f"{PATH}/models").json
    assert [model["name"] for model in models["models"]] == OFFERED
    assert models["isLive"] is False
    assert "Save your OpenAI key" in models["sentence"]


def test_saving_shows_a_mask_and_every_bot_of_the_user_follows(
    ann: Person, bob: Person, database: Db, store: Store
) -> None:
    bots = [make_bot(database, ann, f"Bot {n}") for n in range(3)]
    bobs = make_bot(database, bob)
    answer = ann.put(PATH, {"apiKey": f"  {OPENAI_KEY}\n"})
    assert answer.status == 200, answer.text
    assert (answer.json["hasKey"], answer.json["apiKey"]) == (True, f"••••{OPENAI_KEY[-4:]}")
    assert answer.json["lastCheckedAt"] is not None
    assert OPENAI_KEY not in answer.text
    assert ann.get(PATH).json == answer.json
    assert stored_key(database, ann) == OPENAI_KEY
    assert [revision_of(database, bot) for bot in bots] == [2, 2, 2]
    assert revision_of(database, bobs) == 1
    config = store.bots.load(bots[0])
    assert config is not None
    assert config.openai_key is not None
    assert KEYS.decrypt(config.openai_key, KEY_FIELD.context(config.openai_account_id or "")) == OPENAI_KEY
    assert bob.get(PATH).json["hasKey"] is False
    (entry,) = database["audit_logs"].find({"action": "openai.saved"})
    assert OPENAI_KEY not in str(entry)


def test_a_refused_key_is_not_stored_and_openais_words_are_without_it(
    ann: Person, database: Db, peers: PeerServer
) -> None:
    bot = make_bot(database, ann)
    answer = ann.put(PATH, {"apiKey": OTHER_KEY})
    assert (answer.status, answer.code) == (422, "openai_refused")
    assert "Incorrect API key provided" in answer.json["error"]["message"]
    assert OTHER_KEY[:8] not in answer.text
    assert list(database["openai_accounts"].find()) == []
    assert revision_of(database, bot) == 1
    peers.control("POST", "openai/keys", {"key": OTHER_KEY})
    assert ann.put(PATH, {"apiKey": OTHER_KEY}).status == 200
    peers.control("DELETE", "openai/keys", {"key": OTHER_KEY})


def test_a_refused_key_leaves_the_stored_one(ann: Person, database: Db) -> None:
    assert ann.put(PATH, {"apiKey": OPENAI_KEY}).status == 200
    assert ann.put(PATH, {"apiKey": OTHER_KEY}).code == "openai_refused"
    assert stored_key(database, ann) == OPENAI_KEY


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "reset_before"},
        {"do": "hang_before", "seconds": 4},
        {"do": "garbage"},
        {"do": "status", "status": 503},
        {"do": "status", "status": 500, "shaped": True},
        {"do": "status", "status": 429, "shaped": True},
        {"do": "status", "status": 302},
    ],
)
def test_nothing_is_stored_while_openai_gives_no_answer(
    ann: Person, database: Db, peers: PeerServer, fault: dict[str, Any]
) -> None:
    peers.fault(endpoint="openai", **fault)
    answer = ann.put(PATH, {"apiKey": OPENAI_KEY})
    assert (answer.status, answer.code) == (503, "openai_unreachable")
    assert OPENAI_KEY not in answer.text
    assert list(database["openai_accounts"].find()) == []


def test_a_key_that_may_not_list_models_is_tried_with_a_completion(
    ann: Person, database: Db, peers: PeerServer
) -> None:
    peers.control("POST", "openai/keys", {"key": OTHER_KEY, "is_restricted": True})
    before = peers.control("GET", "state")["openai_calls"]
    assert ann.put(PATH, {"apiKey": OTHER_KEY}).status == 200
    assert stored_key(database, ann) == OTHER_KEY
    assert peers.control("GET", "state")["openai_calls"] == before + 2
    assert ann.get(f"{PATH}/models").json["isLive"] is False
    peers.control("DELETE", "openai/keys", {"key": OTHER_KEY})


@pytest.mark.parametrize(
    "body",
    [{}, {"apiKey": ""}, {"apiKey": "sk two words here"}, {"apiKey": "sk-ключ-nicht-ascii"}, {"apiKey": None},
     {"apiKey": {"$ne": ""}}, {"apiKey": "s" * 600}, {"apiKey": OPENAI_KEY, "userId": "other"},
     {"apiKey": "••••6789"}],
)  # fmt: skip
def test_bodies_that_cannot_be(ann: Person, peers: PeerServer, body: dict[str, Any]) -> None:
    before = peers.control("GET", "state")["openai_calls"]
    assert ann.put(PATH, body).code == "validation_failed"
    assert peers.control("GET", "state")["openai_calls"] == before


def test_the_mask_keeps_the_key_and_checks_it_again(ann: Person, database: Db) -> None:
    bot = make_bot(database, ann)
    first = ann.put(PATH, {"apiKey": OPENAI_KEY}).json
    before = database["openai_accounts"].find_one()
    again = ann.put(PATH, {"apiKey": first["apiKey"]})
    assert again.status == 200
    assert again.json["lastCheckedAt"] > first["lastCheckedAt"]
    after = database["openai_accounts"].find_one()
    assert before is not None
    assert after is not None
    assert after["apiKey"] == before["apiKey"]
    assert revision_of(database, bot) == 2  # nothing is different for the bots
    assert ann.put(PATH, {"apiKey": "••••0000"}).code == "validation_failed"


def test_two_keys_saved_at_once_leave_one_that_can_be_read(
    ann: Person, database: Db, peers: PeerServer
) -> None:
    peers.control("POST", "openai/keys", {"key": OTHER_KEY})
    with ThreadPoolExecutor(6) as pool:
        keys = [OPENAI_KEY, OTHER_KEY] * 3
        statuses = {answer.status for answer in pool.map(lambda key: ann.put(PATH, {"apiKey": key}), keys)}
    assert 200 in statuses
    assert statuses <= {200, 409}
    assert database["openai_accounts"].count_documents({}) == 1
    assert stored_key(database, ann) in {OPENAI_KEY, OTHER_KEY}
    peers.control("DELETE", "openai/keys", {"key": OTHER_KEY})


def test_deleting_takes_the_key_from_every_bot(ann: Person, database: Db, store: Store) -> None:
    bot = make_bot(database, ann)
    assert ann.put(PATH, {"apiKey": OPENAI_KEY}).status == 200
    assert ann.delete(PATH).status == 204
    assert ann.get(PATH).json["hasKey"] is False
    assert revision_of(database, bot) == 3
    config = store.bots.load(bot)
    assert config is not None
    assert config.openai_key is None
    assert ann.delete(PATH).status == 204
    assert database["audit_logs"].count_documents({"action": "openai.deleted"}) == 1


def test_models_are_those_of_the_settings_and_those_that_the_key_opens(
    ann: Person, peers: PeerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(openai, "_MODELS", TimedCache(600, 10, clock=lambda: now[0]))
    ann.put(PATH, {"apiKey": OPENAI_KEY})
    answer = ann.get(f"{PATH}/models").json
    assert [model["name"] for model in answer["models"] if model["source"] == "SETTINGS"] == OFFERED
    more = [model["name"] for model in answer["models"] if model["source"] == "ACCOUNT"]
    assert more == ["gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-4o-mini"]  # none that hold no conversation
    assert (answer["isLive"], answer["sentence"]) == (True, None)
    peers.fault("reset_before", endpoint="openai")
    assert ann.get(f"{PATH}/models").json == answer  # kept for a while
    now[0] = 601.0
    answer = ann.get(f"{PATH}/models").json
    assert [model["name"] for model in answer["models"]] == OFFERED
    assert "no usable answer" in answer["sentence"]
    peers.control("DELETE", "faults")
    peers.control("DELETE", "openai/keys", {"key": OPENAI_KEY})
    assert "does not accept the stored key any more" in ann.get(f"{PATH}/models").json["sentence"]


def test_a_key_that_cannot_be_decrypted_any_more(ann: Person, database: Db) -> None:
    ann.put(PATH, {"apiKey": OPENAI_KEY})
    database["openai_accounts"].update_one({}, {"$set": {"apiKey": "v1.gone.AAAAAAAAAAAAAAAA.AAAA"}})
    shown = ann.get(PATH).json
    assert (shown["hasKey"], shown["apiKey"]) == (True, "••••")
    assert ann.get(f"{PATH}/models").json["isLive"] is False
    assert ann.put(PATH, {"apiKey": "••••"}).code == "validation_failed"
    assert ann.put(PATH, {"apiKey": OPENAI_KEY}).status == 200
    assert stored_key(database, ann) == OPENAI_KEY


def test_it_is_for_users(admin: Person, nobody: Person) -> None:
    for method, more in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("GET", "/models")):
        body = {"apiKey": OPENAI_KEY} if method == "PUT" else None
        assert admin.request(method, PATH + more, body).status == 403
        assert nobody.request(method, PATH + more, body).status == 401
