"""The webhook's address: handshake, signature, what is stored, and the shape of every refusal."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any

import pytest

from common.model.contacts import is_status_lane
from tests.http.meta_webhooks import (
    NUMBER,
    OTHER_NUMBER,
    change,
    envelope,
    message,
    post,
    sign,
    status,
    to_wire,
    value,
)
from tests.http.web_setup import (
    APP_SECRET,
    BOT,
    BOT_WITH_SECRET,
    BOTS_SECRET,
    PATH,
    VERIFY_TOKEN,
    deliver,
    stored_ids,
)

if TYPE_CHECKING:
    from flask import Flask
    from pymongo.database import Database
    from werkzeug.test import TestResponse


def assert_error(answer: TestResponse, http_status: int, code: str) -> None:
    """The one shape of all errors."""
    assert answer.status_code == http_status
    assert answer.mimetype == "application/json"
    assert set(answer.get_json()) == {"error"}
    error = answer.get_json()["error"]
    assert set(error) == {"code", "message", "fields", "requestId"}
    assert error["code"] == code
    assert error["message"]
    assert error["requestId"] == answer.headers["X-Request-Id"]


# Handshake


def shake(app: Flask, **arguments: str) -> TestResponse:
    return app.test_client().get(PATH, query_string={f"hub.{name}": text for name, text in arguments.items()})


def test_the_handshake_gives_the_challenge_back_as_plain_text(app: Flask) -> None:
    answer = shake(app, mode="subscribe", challenge="<b>1158201444</b>", verify_token=VERIFY_TOKEN)
    assert (answer.status_code, answer.text) == (200, "<b>1158201444</b>")
    assert answer.mimetype == "text/plain"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    "arguments",
    [
        {"mode": "subscribe", "challenge": "1", "verify_token": "wrong"},
        {"mode": "subscribe", "challenge": "1", "verify_token": ""},
        {"mode": "subscribe", "challenge": "1", "verify_token": "wörong-ÿ-\U0001f44b"},
        {"mode": "subscribe", "challenge": "1", "verify_token": VERIFY_TOKEN + " "},
        {"mode": "subscribe", "challenge": "1"},
        {"mode": "unsubscribe", "challenge": "1", "verify_token": VERIFY_TOKEN},
        {"challenge": "1", "verify_token": VERIFY_TOKEN},
        {},
    ],
)
def test_any_other_handshake_is_refused(app: Flask, arguments: dict[str, str]) -> None:
    assert_error(shake(app, **arguments), 403, "verification_failed")


# Signature


UMLAUT = post(value(messages=[message("wamid.1", text={"body": "häß/👋"})]))
RAW = to_wire(UMLAUT)
assert b"\\u00e4" in RAW
SIGNATURE = sign(APP_SECRET, RAW)
FORGED: dict[str, tuple[bytes, str | None]] = {
    "no header": (RAW, None),
    "empty header": (RAW, ""),
    "only the prefix": (RAW, "sha256="),
    "wrong prefix": (RAW, SIGNATURE.replace("sha256", "sha1")),
    "no prefix": (RAW, SIGNATURE.removeprefix("sha256=")),
    "truncated": (RAW, SIGNATURE[:-1]),
    "longer": (RAW, SIGNATURE + "0"),
    "upper-case hex": (RAW, "sha256=" + SIGNATURE[7:].upper()),
    "upper-case prefix": (RAW, SIGNATURE.replace("sha256", "SHA256")),
    "not ASCII": (RAW, "sha256=é" + SIGNATURE[8:]),
    "another secret": (RAW, sign("x" * 32, RAW)),
    "an empty secret": (RAW, sign("", RAW)),
    "re-serialised": (json.dumps(json.loads(RAW)).encode(), SIGNATURE),
    "unescaped": (json.dumps(UMLAUT, separators=(",", ":"), ensure_ascii=False).encode(), SIGNATURE),
    "one byte more": (RAW + b" ", SIGNATURE),
    "one byte less": (RAW[:-1], SIGNATURE),
    "empty body": (b"", SIGNATURE),
    "another bot's secret": (RAW, sign(BOTS_SECRET, RAW)),
    "no JSON, bot's secret": (b"{", sign(BOTS_SECRET, b"{")),
}


@pytest.mark.parametrize(("raw", "signature"), FORGED.values(), ids=FORGED)
def test_a_forged_post_is_refused_and_leaves_nothing(
    app: Flask, database: Database[dict[str, Any]], raw: bytes, signature: str | None
) -> None:
    before = set(database.list_collection_names())
    headers = {"X-Hub-Signature-256": signature} if signature is not None else {}
    answer = app.test_client().post(PATH, data=raw, headers=headers, content_type="application/json")
    assert_error(answer, 401, "bad_signature")
    assert set(database.list_collection_names()) == before
    assert stored_ids(database) == []


def test_the_signature_is_over_the_bytes_as_they_came(app: Flask, database: Database[dict[str, Any]]) -> None:
    unescaped = json.dumps(UMLAUT, ensure_ascii=False, indent=1).encode()
    assert deliver(app, RAW).status_code == 200
    assert deliver(app, unescaped).status_code == 200  # the same message, spelled otherwise
    assert stored_ids(database) == [f"{NUMBER}:wamid.1"]


def test_a_bots_own_secret_opens_its_numbers_only(app: Flask, database: Database[dict[str, Any]]) -> None:
    body = post(
        value(OTHER_NUMBER, messages=[message("wamid.1")]),
        value(NUMBER, messages=[message("wamid.2")]),
        value("999", messages=[message("wamid.3")]),
    )
    assert deliver(app, body, secret=BOTS_SECRET).status_code == 200
    states = {job["_id"]: (job["state"], job["botId"]) for job in database["jobs"].find()}
    assert states.pop(f"{OTHER_NUMBER}:wamid.1") == ("PENDING", BOT_WITH_SECRET)
    assert list(states.values()) == [("UNROUTED", None)] * 2
    # What was refused does not stand in the way of the real ones.
    assert deliver(app, post(value(NUMBER, messages=[message("wamid.2")]))).status_code == 200
    stored = database["jobs"].find_one({"_id": f"{NUMBER}:wamid.2"})
    assert stored is not None
    assert (stored["state"], stored["botId"]) == ("PENDING", BOT)
    assert database["jobs"].count_documents({"_id": "999:wamid.3"}) == 0


def test_the_installations_secret_does_not_open_a_number_with_its_own(
    app: Flask, database: Database[dict[str, Any]]
) -> None:
    body = post(value(OTHER_NUMBER, messages=[message("wamid.1")]))
    assert deliver(app, body).status_code == 200
    (refused,) = database["jobs"].find()
    assert (refused["state"], refused["reason"]) == ("UNROUTED", "signed with another app's secret")
    assert deliver(app, body, secret=BOTS_SECRET).status_code == 200
    stored = database["jobs"].find_one({"_id": f"{OTHER_NUMBER}:wamid.1"})
    assert stored is not None
    assert stored["state"] == "PENDING"


def test_a_bots_secret_alone_opens_nothing_else(app: Flask, database: Database[dict[str, Any]]) -> None:
    for body in (
        post(value("999", messages=[message("wamid.1")])),
        post(value(NUMBER, statuses=[status("wamid.1")])),
        envelope(),
        post(*(value(str(n), messages=[message("x")]) for n in range(21)), value(OTHER_NUMBER)),
    ):
        assert_error(deliver(app, body, secret=BOTS_SECRET), 401, "bad_signature")
    assert stored_ids(database) == []


# What is stored


def test_a_message_is_stored_whole_and_its_lane_is_awake(
    app: Flask, database: Database[dict[str, Any]]
) -> None:
    answer = deliver(app, UMLAUT, X_Request_Id="meta-1234_5678")
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["X-Request-Id"] == "meta-1234_5678"
    (job,) = database["jobs"].find()
    assert (job["state"], job["kind"], job["botId"]) == ("PENDING", "MESSAGE", BOT)
    assert (job["requestId"], job["phoneNumberId"], job["attempts"]) == ("meta-1234_5678", NUMBER, 0)
    assert json.loads(job["payload"])["message"] == message("wamid.1", text={"body": "häß/👋"})
    (lane,) = database["lanes"].find()
    assert lane["_id"] == job["lane"]
    assert lane["dueAt"] is not None


@pytest.mark.parametrize(
    "given", [None, "short", "x" * 65, "evil\u00e9é-id-123", "a b c d e f", "{}{}{}{}{}"]
)
def test_a_request_id_that_is_none_is_replaced(
    app: Flask, database: Database[dict[str, Any]], given: str | None
) -> None:
    headers = {} if given is None else {"X_Request_Id": given}
    answer = deliver(app, UMLAUT, **headers)
    made = answer.headers["X-Request-Id"]
    assert len(made) == 26
    assert [job["requestId"] for job in database["jobs"].find()] == [made]


def test_a_thousand_messages_in_one_post_are_all_stored_in_their_order(
    app: Flask, database: Database[dict[str, Any]]
) -> None:
    people = 7
    messages = [message(f"wamid.{n}", sender=str(49170 + n % people)) for n in range(1_000)]
    assert deliver(app, post(value(messages=messages))).status_code == 200
    assert stored_ids(database) == [f"{NUMBER}:wamid.{n}" for n in range(1_000)]
    seqs = [job["seq"] for job in database["jobs"].find().sort("seq", 1)]
    assert len(set(seqs)) == 1_000
    assert database["lanes"].count_documents({"dueAt": {"$exists": True}}) == people


def test_later_posts_come_behind_earlier_ones(app: Flask, database: Database[dict[str, Any]]) -> None:
    for n in range(20):
        deliver(app, post(value(messages=[message(f"wamid.{n}")])))
    assert stored_ids(database) == [f"{NUMBER}:wamid.{n}" for n in range(20)]


def test_the_same_post_from_sixteen_threads_is_one_job(
    app: Flask, database: Database[dict[str, Any]]
) -> None:
    together = Barrier(16)

    def send() -> int:
        together.wait(10)
        return deliver(app, UMLAUT).status_code

    with ThreadPoolExecutor(16) as pool:
        codes = [future.result() for future in [pool.submit(send) for _ in range(16)]]
    assert codes == [200] * 16
    assert stored_ids(database) == [f"{NUMBER}:wamid.1"]


def test_different_posts_from_sixteen_threads_are_all_stored(
    app: Flask, database: Database[dict[str, Any]]
) -> None:
    together = Barrier(16)

    def send(number: int) -> Counter[int]:
        together.wait(10)
        bodies = [post(value(messages=[message(f"wamid.{number}.{n}")])) for n in range(10)]
        return Counter(deliver(app, body).status_code for body in bodies)

    with ThreadPoolExecutor(16) as pool:
        codes = sum((future.result() for future in [pool.submit(send, n) for n in range(16)]), Counter())
    assert codes == {200: 160}
    stored = stored_ids(database)
    assert sorted(stored) == sorted(f"{NUMBER}:wamid.{number}.{n}" for number in range(16) for n in range(10))
    for number in range(16):  # each sender's own order is kept
        assert [i for i in stored if f"wamid.{number}." in i] == [
            f"{NUMBER}:wamid.{number}.{n}" for n in range(10)
        ]


def test_duplicates_inside_a_batch_and_late_ones_fall_away(
    app: Flask, database: Database[dict[str, Any]]
) -> None:
    twice = [message("wamid.1"), message("wamid.2"), message("wamid.1"), message("wamid.3")]
    assert deliver(app, post(value(messages=twice))).status_code == 200
    assert stored_ids(database) == [f"{NUMBER}:wamid.{n}" for n in (1, 2, 3)]
    database["jobs"].update_many({}, {"$set": {"state": "DONE"}, "$unset": {"payload": ""}})
    late = post(value(messages=[message("wamid.4"), message("wamid.2")], statuses=[status("wamid.2")]))
    assert deliver(app, late).status_code == 200
    states = Counter(job["state"] for job in database["jobs"].find())
    assert states == {"DONE": 3, "PENDING": 2}


def test_the_same_message_id_on_another_number_is_another_message(
    app: Flask, database: Database[dict[str, Any]]
) -> None:
    deliver(app, post(value(NUMBER, messages=[message("wamid.1")])))
    deliver(app, post(value(OTHER_NUMBER, messages=[message("wamid.1")])), secret=BOTS_SECRET)
    assert sorted(stored_ids(database)) == [f"{NUMBER}:wamid.1", f"{OTHER_NUMBER}:wamid.1"]


def test_statuses_go_to_lanes_of_their_own(app: Flask, database: Database[dict[str, Any]]) -> None:
    statuses = [status("wamid.1", name) for name in ("sent", "delivered", "read")]
    deliver(app, post(value(messages=[message("wamid.9")], statuses=statuses)))
    jobs = list(database["jobs"].find().sort("seq", 1))
    assert [is_status_lane(job["lane"]) for job in jobs] == [False, True, True, True]
    assert database["lanes"].count_documents({"dueAt": {"$exists": True}}) == 2


UNROUTABLE: dict[str, tuple[object, str]] = {
    "number": (post(value("999", messages=[message("wamid.1")])), "unknown phone number id"),
    "status of an unknown number": (post(value("999", statuses=[status("x")])), "unknown phone number id"),
    "field": (envelope({"changes": [change({}, "account_update")]}), "field 'account_update' is not used here"),
    "shape": ({"hello": ["$where", {"a.b": {"$gt": 1}}]}, "not a whatsapp_business_account webhook"),
    "list": ([], "not a whatsapp_business_account webhook"),
    "broken JSON": (b'{"object":', "unreadable body: not JSON"),
    "no UTF-8": (b"\xff\xfe\x00", "unreadable body: not JSON"),
    "empty": (b"", "unreadable body: not JSON"),
    "NaN": (b'{"object": NaN}', "unreadable body: NaN is no JSON number"),
    "deep nesting": (b'{"a":' * 100_000, "unreadable body: nested too deeply"),
    "NULs": (b"\x00" * (3 * 1024 * 1024), "unreadable body: not JSON"),
    "keys": (
        post(value(messages=[{"id": {"$ne": 1}, "a.b": {"$set": {}}, "": "\ud800\x00"}])),
        "message has no usable id",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "reason"), UNROUTABLE.values(), ids=UNROUTABLE)
def test_what_cannot_be_routed_is_kept_with_the_reason(
    app: Flask, database: Database[dict[str, Any]], body: object, reason: str
) -> None:
    for _ in range(2):  # Meta's repetition is the same job
        assert deliver(app, body).status_code == 200
    (job,) = database["jobs"].find()
    assert (job["state"], job["lane"]) == ("UNROUTED", None)
    assert job["reason"].startswith(reason)
    assert database["lanes"].count_documents({}) == 0


def test_strange_values_are_stored_as_they_came(app: Flask, database: Database[dict[str, Any]]) -> None:
    strange = {
        "$where": "sleep(9)",
        "a.b": {"$gt": ""},
        "": None,
        "surrogate": "\udc00",
        "nul": "\0",
        "n": 2**200,
    }
    raw = to_wire(post(value(messages=[message("wamid.1", text=strange, x="HERE"), message("wamid.2")])))
    assert deliver(app, raw.replace(b'"HERE"', b"9" * 5_000)).status_code == 200
    first, second = database["jobs"].find().sort("seq", 1)
    assert json.loads(first["payload"])["message"]["text"] == strange
    assert (first["state"], second["state"]) == ("PENDING", "PENDING")


@pytest.mark.parametrize("text", ["", " ", "x" * 10_000])
def test_empty_and_endless_texts_are_messages(
    app: Flask, database: Database[dict[str, Any]], text: str
) -> None:
    assert deliver(app, post(value(messages=[message("wamid.1", text={"body": text})]))).status_code == 200
    (job,) = database["jobs"].find()
    assert json.loads(job["payload"])["message"]["text"]["body"] == text


def test_a_number_is_known_as_soon_as_it_is_connected(app: Flask, database: Database[dict[str, Any]]) -> None:
    assert deliver(app, post(value("999", messages=[message("wamid.1")]))).status_code == 200
    account = {
        "_id": "a",
        "botId": "bot-3",
        "phoneNumber": "+999",
        "businessAccountId": "1",
        "accessToken": "x",
    }
    database["whatsapp_accounts"].insert_one({**account, "phoneNumberId": "999"})
    assert deliver(app, post(value("999", messages=[message("wamid.2")]))).status_code == 200
    stored = database["jobs"].find_one({"_id": "999:wamid.2"})
    assert stored is not None
    assert (stored["state"], stored["botId"]) == ("PENDING", "bot-3")


# Refusals


def test_a_body_over_the_limit_is_refused_before_it_is_read(
    app: Flask, database: Database[dict[str, Any]]
) -> None:
    assert_error(deliver(app, b"x" * (5 * 1024 * 1024)), 413, "too_large")
    assert stored_ids(database) == []
    whole = b"{" + b" " * (4 * 1024 * 1024 - 2) + b"}"
    assert deliver(app, whole).status_code == 200


def test_errors_have_one_shape(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    client = app.test_client()
    assert_error(client.get("/api/nowhere"), 404, "not_found")
    assert_error(client.post(PATH + "/"), 404, "not_found")
    wrong_method = client.delete(PATH)
    assert_error(wrong_method, 405, "method_not_allowed")
    assert {"GET", "POST"} <= set(wrong_method.headers["Allow"].split(", "))

    def fail(_raw: bytes) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr("api.routes.webhook.read_events", fail)
    answer = deliver(app, UMLAUT)
    assert_error(answer, 500, "internal")
    assert "secret detail" not in answer.text
