"""Connecting a bot to WhatsApp, against the strict local peer: checked, stored encrypted, one bot a number."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from pymongo import MongoClient
from pymongo.database import Database

from api.numbers import Numbers
from api.routes import whatsapp
from api.timed_cache import TimedCache
from common.clock import utc_now
from common.ids import new_ulid
from common.model.encrypted_fields import ACCESS_TOKEN, APP_SECRET
from common.model.parking import ParkedFor
from common.secrets import KeyRing
from common.store.store import Store
from scripts.peers.server import PeerServer
from tests.api.person import Answer, Person
from tests.api.with_peers import (
    NUMBER,
    OTHER_NUMBER,
    OTHER_TOKEN,
    TOKEN,
    WABA,
    app_beside,
    connection,
    emptied,
    fresh,
    make_bot,
    revision_of,
    running_peers,
)
from tests.http.meta_webhooks import message, post, value
from tests.http.web_setup import ENCRYPTION_KEYS, VERIFY_TOKEN, deliver
from tests.support.waiting import wait_until

Db = Database[dict[str, Any]]
KEYS = KeyRing.from_setting(ENCRYPTION_KEYS)
OTHER_APP, OTHER_SECRET = "700000000000001", "0b7e55a1c9d34e2f8d6a417c93fe20bb"


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


@pytest.fixture
def bot(ann: Person, database: Db) -> str:
    return make_bot(database, ann)


def path(bot_id: str, more: str = "") -> str:
    return f"/api/bots/{bot_id}/whatsapp{more}"


def stored(database: Db, bot_id: str) -> dict[str, Any]:
    account = database["whatsapp_accounts"].find_one({"botId": bot_id})
    assert account is not None
    return account


def states(steps: list[dict[str, Any]]) -> dict[str, str]:
    return {step["name"]: step["state"] for step in steps}


# Connecting


def test_a_bot_without_a_number(ann: Person, bot: str) -> None:
    shown = ann.get(path(bot)).json
    assert shown["status"] == "NOT_CONNECTED"
    assert shown["phoneNumberId"] is shown["accessToken"] is shown["lastCheck"] is None
    for answer in (ann.post(path(bot, "/check")), ann.get(path(bot, "/health")), ann.delete(path(bot)),
                   ann.post(path(bot, "/subscribe")), ann.delete(path(bot, "/subscribe"))):  # fmt: skip
        assert (answer.status, answer.code) == (404, "not_found")


def test_connecting_checks_stores_and_subscribes(
    ann: Person, bot: str, database: Db, peers: PeerServer
) -> None:
    peers.control("PUT", "tokens", {"access_token": TOKEN})
    before = revision_of(database, bot)
    answer = ann.put(path(bot), connection())
    assert answer.status == 200, answer.text
    shown = answer.json
    assert (shown["status"], shown["phoneNumber"]) == ("CONNECTED", "4930901820")
    assert shown["accessToken"] == f"••••{TOKEN[-4:]}"
    assert (shown["appSecret"], shown["appId"]) == (None, None)
    assert shown["number"]["verifiedName"] == "Bakery"
    assert shown["number"]["qualityRating"] == "GREEN"
    assert shown["health"]["canSendMessage"] == "AVAILABLE"
    assert set(states(shown["lastCheck"]["steps"]).values()) == {"ok"}
    assert list(states(shown["lastCheck"]["steps"])) == [
        "number", "status", "details", "account", "token", "app_secret", "health", "subscription"
    ]  # fmt: skip
    assert TOKEN not in answer.text
    assert ann.get(path(bot)).json == shown
    account = stored(database, bot)
    assert KEYS.decrypt(account["accessToken"], ACCESS_TOKEN.context(account["_id"])) == TOKEN
    assert revision_of(database, bot) == before + 1
    (entry,) = database["audit_logs"].find({"action": "whatsapp.connected"})
    assert (entry["botId"], entry["detail"]["phoneNumberId"]) == (bot, NUMBER)
    assert TOKEN not in str(entry)


def test_what_workers_read_is_what_was_saved(ann: Person, bot: str, store: Store) -> None:
    assert ann.put(path(bot), connection()).status == 200
    config = store.bots.load(bot)
    assert config is not None
    assert config.account is not None
    assert (config.account.phone_number_id, config.account.business_account_id) == (NUMBER, WABA)
    token = KEYS.decrypt(config.account.access_token, ACCESS_TOKEN.context(config.account.account_id))
    assert (token, config.account.stopped_for) == (TOKEN, None)


@pytest.mark.parametrize(
    ("wrong", "step"),
    [
        ({"accessToken": "EAAUnknownToken000000"}, "number"),
        ({"phoneNumberId": "999"}, "number"),
        ({"businessAccountId": "999"}, "account"),
        ({"appSecret": "not-the-apps-secret"}, "app_secret"),
        ({"phoneNumberId": OTHER_NUMBER}, "number"),  # the token is of the first one
    ],
)
def test_what_whatsapp_refuses_is_not_stored(
    ann: Person, bot: str, database: Db, wrong: dict[str, str], step: str
) -> None:
    before = revision_of(database, bot)
    answer = ann.put(path(bot), connection(**wrong))
    assert (answer.status, answer.code) == (422, "whatsapp_refused")
    assert states(answer.fields["steps"])[step] == "failed"
    for secret in (TOKEN, *wrong.values()):
        if len(secret) > 15:
            assert secret not in answer.text
    assert list(database["whatsapp_accounts"].find()) == []
    assert revision_of(database, bot) == before
    assert database["audit_logs"].count_documents({}) == 0


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "reset_before"},
        {"do": "hang_before", "seconds": 4},
        {"do": "garbage"},
        {"do": "graph_error", "code": 2},
    ],
)
def test_nothing_is_stored_while_whatsapp_gives_no_answer(
    ann: Person, bot: str, database: Db, peers: PeerServer, fault: dict[str, Any]
) -> None:
    peers.fault(endpoint="graph.management", **fault)
    answer = ann.put(path(bot), connection())
    assert (answer.status, answer.code) == (503, "whatsapp_unreachable")
    assert TOKEN not in answer.text
    assert list(database["whatsapp_accounts"].find()) == []
    peers.control("DELETE", "faults")
    assert ann.put(path(bot), connection()).status == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"phoneNumberId": "12 34"}, "phoneNumberId"),
        ({"phoneNumberId": "../me"}, "phoneNumberId"),
        ({"businessAccountId": ""}, "businessAccountId"),
        ({"accessToken": "two words"}, "accessToken"),
        ({"accessToken": "line\r\nX-Evil: 1"}, "accessToken"),
        ({"accessToken": "tok€n-with-euro"}, "accessToken"),
        ({"accessToken": "x" * 5000}, "accessToken"),
        ({"accessToken": {"$gt": ""}}, "accessToken"),
        ({"appSecret": "short"}, "appSecret"),
        ({"appId": "abc"}, "appId"),
        ({"botId": "other"}, "botId"),
        ({"accessToken": "••••4567"}, "accessToken"),  # nothing is stored that it could be the mask of
    ],
)
def test_bodies_that_cannot_be(
    ann: Person, bot: str, peers: PeerServer, body: dict[str, Any], field: str
) -> None:
    answer = ann.put(path(bot), connection(**body))
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert field in answer.fields
    assert peers.control("GET", "refused")["count"] == 0  # nobody was asked


def test_blanks_around_what_was_pasted_do_not_count(ann: Person, bot: str, database: Db) -> None:
    assert ann.put(path(bot), connection(accessToken=f" {TOKEN}\n", phoneNumberId=NUMBER)).status == 200
    account = stored(database, bot)
    assert KEYS.decrypt(account["accessToken"], ACCESS_TOKEN.context(account["_id"])) == TOKEN


# One bot a number


def test_a_number_belongs_to_one_bot_and_nobody_learns_whose(
    ann: Person, bob: Person, bot: str, database: Db
) -> None:
    assert ann.put(path(bot), connection()).status == 200
    second, bobs = make_bot(database, ann, "Second"), make_bot(database, bob)
    answers = [ann.put(path(second), connection()), bob.put(path(bobs), connection())]
    for answer in answers:
        assert (answer.status, answer.code) == (409, "already_exists")
        assert bot not in answer.text
        assert ann.user_id not in answer.text
    assert answers[0].json["error"]["message"] == answers[1].json["error"]["message"]
    # Who cannot use the number does not even learn that it is taken.
    assert bob.put(path(bobs), connection(accessToken=OTHER_TOKEN)).code == "whatsapp_refused"
    assert database["whatsapp_accounts"].count_documents({}) == 1


def test_of_two_bots_that_connect_a_number_at_once_one_gets_it(ann: Person, database: Db) -> None:
    bots = [make_bot(database, ann, f"Bot {n}") for n in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda bot_id: ann.put(path(bot_id), connection()), bots))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    (account,) = database["whatsapp_accounts"].find()
    assert KEYS.decrypt(account["accessToken"], ACCESS_TOKEN.context(account["_id"])) == TOKEN
    assert [revision_of(database, each) for each in bots].count(2) == 1


def test_the_same_bot_connected_twice_at_once_ends_with_one_readable_account(
    ann: Person, bot: str, database: Db
) -> None:
    bodies = [connection(), connection(phoneNumberId=OTHER_NUMBER, accessToken=OTHER_TOKEN)] * 3
    with ThreadPoolExecutor(6) as pool:
        answers: list[Answer] = list(pool.map(lambda body: ann.put(path(bot), body), bodies))
    assert {answer.status for answer in answers} <= {200, 409}
    assert 200 in {answer.status for answer in answers}
    (account,) = database["whatsapp_accounts"].find()
    token = {NUMBER: TOKEN, OTHER_NUMBER: OTHER_TOKEN}[account["phoneNumberId"]]
    assert KEYS.decrypt(account["accessToken"], ACCESS_TOKEN.context(account["_id"])) == token


# Changing it


def test_masks_keep_what_is_stored(ann: Person, bot: str, database: Db, peers: PeerServer) -> None:
    peers.control("PUT", f"apps/{OTHER_APP}", {"app_secret": OTHER_SECRET})
    peers.control("PUT", "tokens", {"access_token": TOKEN, "app_id": OTHER_APP})
    shown = ann.put(path(bot), connection(appId=OTHER_APP, appSecret=OTHER_SECRET)).json
    before = stored(database, bot)
    assert KEYS.decrypt(before["appSecret"], APP_SECRET.context(before["_id"])) == OTHER_SECRET
    again = connection(accessToken=shown["accessToken"], appSecret=shown["appSecret"], appId=shown["appId"])
    assert ann.put(path(bot), again).status == 200
    after = stored(database, bot)
    assert (after["accessToken"], after["appSecret"]) == (before["accessToken"], before["appSecret"])
    for other in ({"accessToken": "••••0000"}, {"appSecret": "••••"}):
        answer = ann.put(path(bot), {**again, **other})
        assert (answer.status, list(answer.fields)) == (422, list(other))
    # What is left out is not there afterwards; then the installation's secret must do, and says that it does not.
    shown = ann.put(path(bot), connection(accessToken=shown["accessToken"])).json
    assert (shown["appSecret"], shown["appId"]) == (None, None)
    assert "appSecret" not in stored(database, bot)
    assert states(shown["lastCheck"]["steps"])["app_secret"] == "warning"


def test_another_number_keeps_nothing_of_the_old_ones_news(ann: Person, bot: str, database: Db) -> None:
    assert ann.put(path(bot), connection()).status == 200
    seen = {"lastStatusAt": utc_now(), "lastWebhookAt": utc_now()}
    database["whatsapp_accounts"].update_one({"botId": bot}, {"$set": seen})
    same = ann.put(path(bot), connection()).json
    assert None not in (same["lastStatusAt"], same["lastWebhookAt"])
    answer = ann.put(path(bot), connection(phoneNumberId=OTHER_NUMBER, accessToken=OTHER_TOKEN))
    assert answer.status == 200
    assert (answer.json["lastStatusAt"], answer.json["lastWebhookAt"]) == (None, None)
    assert ann.get(path(bot)).json == answer.json


def test_a_stopped_bot_sends_again_once_it_is_reconnected(ann: Person, bot: str, store: Store) -> None:
    assert ann.put(path(bot), connection()).status == 200
    lane = _stop(store, bot, "190: Session has expired.")
    shown = ann.get(path(bot)).json
    assert (shown["status"], shown["stoppedFor"]) == ("STOPPED", "190: Session has expired.")
    assert shown["sentence"].startswith("Reconnect WhatsApp")
    assert shown["stoppedAt"] is not None
    shown = ann.put(path(bot), connection()).json
    assert (shown["status"], shown["stoppedFor"], shown["stoppedAt"]) == ("CONNECTED", None, None)
    assert _is_due(store, lane)


def test_a_check_starts_a_stopped_bot_again_only_where_all_is_well(
    ann: Person, bot: str, store: Store, peers: PeerServer, database: Db
) -> None:
    assert ann.put(path(bot), connection()).status == 200
    lane = _stop(store, bot, "131042: Business eligibility payment issue")
    assert "Settle it in WhatsApp Manager" in ann.get(path(bot)).json["sentence"]
    peers.control("PATCH", f"numbers/{NUMBER}", {"status": "BANNED"})
    check = ann.post(path(bot, "/check"))
    assert (check.status, check.json["isGood"], states(check.json["steps"])["status"]) == (
        200,
        False,
        "failed",
    )
    assert ann.get(path(bot)).json["status"] == "STOPPED"
    assert not _is_due(store, lane)
    peers.control("PATCH", f"numbers/{NUMBER}", {"status": "CONNECTED"})
    assert ann.post(path(bot, "/check")).json["isGood"] is True
    assert ann.get(path(bot)).json["status"] == "CONNECTED"
    assert _is_due(store, lane)
    details = [entry["detail"] for entry in database["audit_logs"].find({"action": "whatsapp.checked"})]
    assert details == [{"isGood": False, "sendsAgain": False}, {"isGood": True, "sendsAgain": True}]


def _stop(store: Store, bot_id: str, reason: str) -> str:
    """Something waits to be said, and the bot is stopped."""
    store.bots.stop_sending(bot_id, reason)
    message = {"_id": "m", "lane": "wa:waiting", "open": True, "botId": bot_id, "seq": 1}
    store.database["messages"].insert_one(message)
    later = utc_now() + timedelta(hours=1)
    lane = {
        "_id": "wa:waiting",
        "parkedFor": ParkedFor.BOT_STOPPED.value,
        "dueAt": later,
        "wakes": 1,
        "fence": 1,
    }
    store.database["lanes"].insert_one(lane)
    return "wa:waiting"


def _is_due(store: Store, lane: str) -> bool:
    found = store.database["lanes"].find_one({"_id": lane})
    return found is not None and found["dueAt"] <= utc_now() + timedelta(seconds=1)


# Checking


def test_a_check_keeps_what_it_found_and_changes_nothing_at_whatsapp(
    ann: Person, bot: str, peers: PeerServer
) -> None:
    assert ann.put(path(bot), connection()).status == 200
    assert ann.delete(path(bot, "/subscribe")).status == 204
    peers.control("PATCH", f"numbers/{NUMBER}", {"quality_rating": "RED", "health": "LIMITED"})
    check = ann.post(path(bot, "/check")).json
    found = states(check["steps"])
    assert (found["details"], found["health"], found["subscription"]) == ("warning", "warning", "warning")
    assert check["isGood"] is True
    shown = ann.get(path(bot)).json
    assert shown["lastCheck"] == check
    assert (shown["number"]["qualityRating"], shown["health"]["canSendMessage"]) == ("RED", "LIMITED")
    assert peers.control("GET", "subscriptions")[WABA]["is_subscribed"] is False
    peers.fault("reset_before", endpoint="graph.management")
    assert ann.post(path(bot, "/check")).code == "whatsapp_unreachable"
    assert ann.get(path(bot)).json == shown


def test_health_is_asked_once_a_minute(
    ann: Person, bot: str, peers: PeerServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(whatsapp, "_HEALTH", TimedCache(60, 10, clock=lambda: now[0]))
    assert ann.put(path(bot), connection()).status == 200
    assert ann.get(path(bot, "/health")).json["canSendMessage"] == "AVAILABLE"
    peers.control("PATCH", f"numbers/{NUMBER}", {"health": "BLOCKED"})
    assert ann.get(path(bot, "/health")).json["canSendMessage"] == "AVAILABLE"
    now[0] = 61.0
    health = ann.get(path(bot, "/health")).json
    assert health["canSendMessage"] == "BLOCKED"
    assert health["entities"][0]["problems"][0]["solution"] == "Look at the number in WhatsApp Manager."
    now[0] = 122.0
    peers.control("PUT", "tokens", {"access_token": TOKEN, "is_valid": False})
    health = ann.get(path(bot, "/health")).json
    assert health["canSendMessage"] == "BLOCKED"
    assert "Error validating access token" in health["sentence"]
    now[0] = 183.0
    peers.fault("reset_before", endpoint="graph.management", times=1)
    assert ann.get(path(bot, "/health")).code == "whatsapp_unreachable"
    assert ann.get(path(bot, "/health")).status == 200  # a failure is not kept


def test_credentials_that_cannot_be_decrypted_any_more_say_so(ann: Person, bot: str, database: Db) -> None:
    assert ann.put(path(bot), connection()).status == 200
    lost = KeyRing("lost", {"lost": bytes(range(32))}).encrypt(TOKEN, "elsewhere")
    database["whatsapp_accounts"].update_one({"botId": bot}, {"$set": {"accessToken": lost}})
    assert ann.get(path(bot)).json["accessToken"] == "••••"
    for answer in (
        ann.post(path(bot, "/check")),
        ann.get(path(bot, "/health")),
        ann.post(path(bot, "/subscribe")),
    ):
        assert (answer.status, answer.code) == (422, "whatsapp_refused")
        assert "Enter them again" in answer.text
    assert ann.put(path(bot), connection(accessToken="••••")).status == 422
    assert ann.put(path(bot), connection()).status == 200


# Disconnecting


def test_disconnecting_forgets_the_credentials_and_keeps_what_waits(
    ann: Person, bot: str, database: Db, store: Store, api: Flask
) -> None:
    assert ann.put(path(bot), connection()).status == 200
    lane = _stop(store, bot, "190: x")
    before = revision_of(database, bot)
    assert ann.delete(path(bot)).status == 204
    assert list(database["whatsapp_accounts"].find()) == []
    assert revision_of(database, bot) == before + 1
    assert ann.get(path(bot)).json["status"] == "NOT_CONNECTED"
    assert database["messages"].count_documents({"open": True}) == 1
    assert ann.delete(path(bot)).status == 404
    assert [entry["botId"] for entry in database["audit_logs"].find({"action": "whatsapp.disconnected"})] == [
        bot
    ]
    assert not _is_due(store, lane)
    assert ann.put(path(bot), connection()).status == 200
    assert _is_due(store, lane)
    del api


def test_webhooks_follow_connecting_and_disconnecting(
    ann: Person, bot: str, database: Db, api: Flask, store: Store
) -> None:
    def said(wamid: str) -> Any:
        assert deliver(api, post(value(NUMBER, messages=[message(wamid)]))).status_code == 200
        job = database["jobs"].find_one({"_id": f"{NUMBER}:{wamid}"})
        assert job is not None
        return job.get("botId")

    elsewhere = Numbers(store, KEYS)  # another web process
    assert said("wamid.1") is None
    assert ann.put(path(bot), connection()).status == 200
    assert said("wamid.2") == bot
    assert elsewhere.look_up([NUMBER])[NUMBER].bot_id == bot
    assert wait_until(lambda: ann.get(path(bot)).json["lastWebhookAt"], "it is noted that one came")
    assert ann.delete(path(bot)).status == 204
    assert said("wamid.3") is None
    wait_until(lambda: not elsewhere.look_up([NUMBER]), "the other process follows", 3)


def test_a_new_app_secret_holds_at_once_for_webhooks_of_this_process(
    ann: Person, bot: str, api: Flask, peers: PeerServer
) -> None:
    peers.control("PUT", f"apps/{OTHER_APP}", {"app_secret": OTHER_SECRET})
    peers.control("PUT", "tokens", {"access_token": TOKEN, "app_id": OTHER_APP})
    assert ann.put(path(bot), connection()).status == 200
    body = post(value(NUMBER, messages=[message("wamid.1")]))
    assert deliver(api, body, secret=OTHER_SECRET).status_code == 401
    assert ann.put(path(bot), connection(appSecret=OTHER_SECRET)).status == 200
    assert deliver(api, body, secret=OTHER_SECRET).status_code == 200


# Webhook subscription


class Callback:
    """A public address: answers Meta's question as our web process would."""

    def __init__(self, app: Callable[[], Flask]) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                answer = app().test_client().get(urlsplit(self.path).path, query_string=query)
                self.send_response(answer.status_code)
                self.send_header("Content-Length", str(len(answer.data)))
                self.end_headers()
                self.wfile.write(answer.data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def test_with_a_public_address_whatsapp_delivers_there(
    peers: PeerServer, mongo_uri: str, database: Db, person: Callable[..., Person]
) -> None:
    apps: list[Flask] = []
    with (
        Callback(lambda: apps[0]) as public,
        app_beside(peers, mongo_uri, database, public_url=f"{public.url}/") as app,
    ):
        apps.append(app)
        carl = person("carl")
        carl.app = app
        bot = make_bot(database, carl)
        carl.put(path(bot), connection())
        expected = f"{public.url}/api/webhook/whatsapp"
        assert peers.control("GET", "subscriptions")[WABA] == {"is_subscribed": True, "callback": expected}
        assert carl.delete(path(bot, "/subscribe")).status == 204
        assert peers.control("GET", "subscriptions")[WABA] == {"is_subscribed": False, "callback": None}
        step = carl.post(path(bot, "/subscribe"))
        assert (step.status, step.json["state"]) == (200, "ok")
        assert peers.control("GET", "subscriptions")[WABA]["callback"] == expected
        shown = carl.get(path(bot, "/webhook")).json
        assert (shown["callbackUrl"], shown["isPublic"]) == (expected, True)


def test_subscribing_without_a_public_address(ann: Person, bot: str, peers: PeerServer) -> None:
    assert ann.put(path(bot), connection()).status == 200
    peers.fault("graph_error", endpoint="graph.management.subscribed_apps", code=200, times=2)
    for answer in (ann.post(path(bot, "/subscribe")), ann.delete(path(bot, "/subscribe"))):
        assert (answer.status, answer.code) == (422, "whatsapp_refused")
    peers.fault("reset_before", endpoint="graph.management.subscribed_apps", times=2)
    for answer in (ann.post(path(bot, "/subscribe")), ann.delete(path(bot, "/subscribe"))):
        assert (answer.status, answer.code) == (503, "whatsapp_unreachable")
    assert ann.post(path(bot, "/subscribe")).json["state"] == "ok"


def test_what_to_enter_at_meta_is_for_the_owner_alone(
    ann: Person, bob: Person, admin: Person, nobody: Person, bot: str
) -> None:
    shown = ann.get(path(bot, "/webhook")).json
    assert shown["verifyToken"] == VERIFY_TOKEN
    assert shown["callbackUrl"] == "http://localhost/api/webhook/whatsapp"
    assert shown["isPublic"] is False
    assert len(shown["instructions"]) > 2
    for person, status in ((bob, 404), (admin, 403), (nobody, 401)):
        answer = person.get(path(bot, "/webhook"))
        assert answer.status == status
        assert VERIFY_TOKEN not in answer.text


def test_an_administrator_watches_and_others_see_nothing(
    ann: Person, bob: Person, admin: Person, bot: str, database: Db
) -> None:
    assert ann.put(path(bot), connection()).status == 200
    shown = admin.get(path(bot))
    assert (shown.status, shown.json["status"]) == (200, "CONNECTED")
    assert TOKEN not in shown.text
    before = stored(database, bot)
    writes: list[tuple[str, str, Any]] = [
        ("PUT", "", connection()), ("DELETE", "", None), ("POST", "/check", None), ("GET", "/health", None),
        ("POST", "/subscribe", None), ("DELETE", "/subscribe", None),
    ]  # fmt: skip
    for method, more, body in writes:
        assert admin.request(method, path(bot, more), body).status == 403
        assert bob.request(method, path(bot, more), body).status == 404
    assert bob.get(path(bot)).status == 404
    assert stored(database, bot) == before
