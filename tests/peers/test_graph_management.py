"""What a product asks to check credentials: numbers, accounts, tokens, subscriptions."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.peers.numbers import SAMPLE_APP_ID, SAMPLE_NUMBER_ID, SAMPLE_TOKEN, SAMPLE_WABA_ID
from tests.peers.conftest import APP_SECRET, USER, Caller, WebStub

APP_TOKEN = f"{SAMPLE_APP_ID}|{APP_SECRET}"


def get(caller: Caller, path: str, token: str = SAMPLE_TOKEN) -> dict[str, Any]:
    body: dict[str, Any] = caller.graph("GET", path, token=token).json()
    return body


def test_a_number_shows_the_fields_asked_for(caller: Caller) -> None:
    fields = (
        "id,display_phone_number,verified_name,quality_rating,code_verification_status,name_status,status,"
        "platform_type,throughput,whatsapp_business_manager_messaging_limit"
    )
    body = get(caller, f"{SAMPLE_NUMBER_ID}?fields={fields}")
    assert set(body) == set(fields.split(","))
    assert (body["id"], body["status"], body["quality_rating"]) == (SAMPLE_NUMBER_ID, "CONNECTED", "GREEN")
    assert body["display_phone_number"] == "+1 631-555-5555"
    assert get(caller, SAMPLE_NUMBER_ID)["verified_name"]
    assert (
        get(caller, f"{SAMPLE_NUMBER_ID}?fields=health_status")["health_status"]["can_send_message"]
        == "AVAILABLE"
    )


@pytest.mark.parametrize(
    ("path", "code", "said"),
    [
        (f"{SAMPLE_NUMBER_ID}?fields=shoe_size", 100, "nonexisting field (shoe_size)"),
        (f"{SAMPLE_WABA_ID}?fields=display_phone_number", 100, "WhatsAppBusinessAccount"),
        ("999?fields=id", 100, "does not exist"),
        ("999/phone_numbers", 100, "does not exist"),
        (f"{SAMPLE_NUMBER_ID}?fields=a{{b}}", 2500, "Syntax"),
        (f"{SAMPLE_WABA_ID}/phone_numbers?limit=many", 100, "paging"),
        ("debug_token", 100, "input_token"),
    ],
)
def test_wrong_questions(caller: Caller, path: str, code: int, said: str) -> None:
    error = get(caller, path)["error"]
    assert error["code"] == code
    assert said in error["message"]


def test_the_numbers_of_an_account_come_in_pages(caller: Caller) -> None:
    extra = {"phone_number_id": "31", "waba_id": SAMPLE_WABA_ID, "access_token": SAMPLE_TOKEN}
    caller.peers.control("POST", "numbers", extra)
    path = f"{SAMPLE_WABA_ID}/phone_numbers?fields=id&limit=1"
    first = get(caller, path)
    second = get(caller, f"{path}&after={first['paging']['cursors']['after']}")
    assert [row["id"] for page in (first, second) for row in page["data"]] == [SAMPLE_NUMBER_ID, "31"]
    address = first["paging"]["next"]  # as Graph has it: a whole address, with the token in it
    assert address.startswith(f"{caller.peers.graph_url}/v24.0/{SAMPLE_WABA_ID}/phone_numbers?")
    assert f"access_token={SAMPLE_TOKEN}" in address
    assert caller.http.get(address, timeout=5).json() == second
    assert "next" not in second["paging"]


def test_a_token_is_explained_to_the_app_and_to_itself(caller: Caller) -> None:
    for asking in (APP_TOKEN, SAMPLE_TOKEN):
        data = get(caller, f"debug_token?input_token={SAMPLE_TOKEN}", asking)["data"]
        assert data["is_valid"] is True
        assert {"whatsapp_business_messaging", "whatsapp_business_management"} <= set(data["scopes"])
        assert all(SAMPLE_WABA_ID in scope["target_ids"] for scope in data["granular_scopes"])
    assert get(caller, "debug_token?input_token=old", APP_TOKEN)["data"]["is_valid"] is False


def test_a_wrong_app_secret_shows(caller: Caller) -> None:
    answer = caller.graph("GET", f"debug_token?input_token={SAMPLE_TOKEN}", token=f"{SAMPLE_APP_ID}|wrong")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 190)


def test_without_a_subscription_there_are_no_webhooks(linked: Caller, web: WebStub) -> None:
    path = f"{SAMPLE_WABA_ID}/subscribed_apps"
    assert get(linked, path)["data"][0]["whatsapp_business_api_data"]["id"] == SAMPLE_APP_ID
    assert linked.graph("DELETE", path).json() == {"success": True}
    assert get(linked, path) == {"data": []}
    with pytest.raises(ValueError, match="subscribed"):
        linked.peers.say(USER, "hi")
    assert linked.graph("POST", path).json() == {"success": True}
    linked.peers.say(USER, "hi again")
    assert web.wait_for(1)[0].changes[0]["messages"][0]["text"]["body"] == "hi again"


def test_an_own_callback_is_verified_first(caller: Caller, web: WebStub) -> None:
    path = f"{SAMPLE_WABA_ID}/subscribed_apps"
    wish = {"override_callback_uri": web.url, "verify_token": "ours"}
    assert caller.graph("POST", path, json=wish).json() == {"success": True}
    assert caller.peers.control("GET", "state")["webhook_url"] == web.url
    web.planned = [403]
    assert caller.graph("POST", path, json=wish).json()["error"]["code"] == 2200
    for no_challenge in ("http://127.0.0.1:9/no", f"{caller.peers.url}/crm/echo"):
        refused = caller.graph("POST", path, json=wish | {"override_callback_uri": no_challenge})
        assert refused.json()["error"]["code"] == 2200
    assert caller.peers.control("GET", "state")["webhook_url"] == web.url
    assert caller.graph("POST", path, json={"override_callback_uri": web.url}).status_code == 400


def test_a_token_has_its_limits(caller: Caller) -> None:
    def limit(**facts: Any) -> None:
        caller.peers.control("PUT", "tokens", {"access_token": SAMPLE_TOKEN, **facts})

    def refused(path: str, **more: Any) -> tuple[int, int | None]:
        error = caller.graph(more.pop("method", "GET"), path, **more).json()["error"]
        return error["code"], error.get("error_subcode")

    limit(scopes=["whatsapp_business_messaging"])
    assert get(caller, SAMPLE_NUMBER_ID)["id"] == SAMPLE_NUMBER_ID
    assert refused(f"{SAMPLE_WABA_ID}/phone_numbers") == (200, None)
    assert caller.send_text().status_code == 200
    limit(scopes=["whatsapp_business_management"])
    assert caller.send_text().json()["error"]["code"] == 200
    limit(scopes=[])
    assert refused(SAMPLE_NUMBER_ID) == (10, None)
    limit(is_valid=False)
    assert refused(SAMPLE_NUMBER_ID) == (190, 460)
    limit(expires_at=1_000_000_000)
    assert refused(SAMPLE_NUMBER_ID) == (190, 463)
    assert caller.send_text().json()["error"]["code"] == 190
    data = get(caller, f"debug_token?input_token={SAMPLE_TOKEN}", APP_TOKEN)["data"]
    assert (data["is_valid"], data["expires_at"], data["type"]) == (False, 1_000_000_000, "USER")
    limit(target_ids=["1"], expires_at=4_000_000_000)
    data = get(caller, f"debug_token?input_token={SAMPLE_TOKEN}", APP_TOKEN)["data"]
    assert (data["is_valid"], data["granular_scopes"][0]["target_ids"]) == (True, ["1"])
    limit()
    assert refused(SAMPLE_NUMBER_ID, token="Malformed-Token!") == (190, None)
    error = caller.graph("GET", SAMPLE_NUMBER_ID, token="Malformed-Token!").json()["error"]
    assert error["message"] == "Malformed access token Malformed-Token!"  # yes, Graph repeats it


def test_another_app_has_another_secret(caller: Caller) -> None:
    caller.peers.control("PUT", "apps/55", {"app_secret": "the-other-secret"})
    path = f"debug_token?input_token={SAMPLE_TOKEN}"
    assert get(caller, path, "55|wrong")["error"]["code"] == 190
    error = get(caller, path, "55|the-other-secret")["error"]
    assert (error["code"], "did not match the Viewing App" in error["message"]) == (100, True)
    caller.peers.control("PUT", "tokens", {"access_token": SAMPLE_TOKEN, "app_id": "55"})
    assert get(caller, path, "55|the-other-secret")["data"]["app_id"] == "55"
    caller.peers.control("PUT", "tokens", {"access_token": SAMPLE_TOKEN})


def test_a_number_changes(caller: Caller) -> None:
    path = f"numbers/{SAMPLE_NUMBER_ID}"
    caller.peers.control("PATCH", path, {"health": "LIMITED", "quality_rating": "RED"})
    body = get(caller, f"{SAMPLE_NUMBER_ID}?fields=health_status,quality_rating,status")
    assert (body["health_status"]["can_send_message"], body["quality_rating"]) == ("LIMITED", "RED")
    assert body["health_status"]["entities"][0]["errors"]
    caller.peers.control("PATCH", path, {"status": "BANNED"})
    body = get(caller, f"{SAMPLE_NUMBER_ID}?fields=health_status,status")
    assert (body["health_status"]["can_send_message"], body["status"]) == ("BLOCKED", "BANNED")
    assert caller.send_text().json()["error"]["code"] == 133010
    good = {"health": "AVAILABLE", "quality_rating": "GREEN", "status": "CONNECTED"}
    caller.peers.control("PATCH", path, good)
    assert caller.send_text().status_code == 200


def test_subscriptions_can_be_looked_at(caller: Caller, web: WebStub) -> None:
    path = f"{SAMPLE_WABA_ID}/subscribed_apps"
    wish = {"override_callback_uri": web.url, "verify_token": "ours"}
    caller.graph("POST", path, json=wish)
    assert get(caller, path)["data"][0]["override_callback_uri"] == web.url
    assert caller.peers.control("GET", "subscriptions")[SAMPLE_WABA_ID] == {
        "is_subscribed": True,
        "callback": web.url,
    }
    caller.graph("POST", path)
    assert caller.peers.control("GET", "subscriptions")[SAMPLE_WABA_ID]["callback"] is None


@pytest.mark.parametrize(
    ("endpoint", "path"),
    [
        ("node", SAMPLE_NUMBER_ID),
        ("health", f"{SAMPLE_NUMBER_ID}?fields=health_status"),
        ("phone_numbers", f"{SAMPLE_WABA_ID}/phone_numbers"),
        ("subscribed_apps", f"{SAMPLE_WABA_ID}/subscribed_apps"),
        ("debug_token", f"debug_token?input_token={SAMPLE_TOKEN}"),
    ],
)
def test_faults_find_each_question(caller: Caller, endpoint: str, path: str) -> None:
    caller.peers.fault("graph_error", endpoint=f"graph.management.{endpoint}", code=1, times=1)
    others = [SAMPLE_WABA_ID] if endpoint != "node" else [f"{SAMPLE_NUMBER_ID}?fields=health_status"]
    assert "error" not in get(caller, others[0])
    assert get(caller, path)["error"]["code"] == 1
    caller.peers.fault("graph_error", endpoint="graph.management", code=2, times=1)
    assert get(caller, path)["error"]["code"] == 2


@pytest.mark.parametrize(
    ("method", "path", "wish"),
    [
        ("PATCH", "numbers/0", {"status": "CONNECTED"}),
        ("PATCH", f"numbers/{SAMPLE_NUMBER_ID}", {"phone_number_id": "1"}),
        ("PATCH", f"numbers/{SAMPLE_NUMBER_ID}", {"status": ""}),
        ("PUT", "tokens", {"scopes": []}),
        ("PUT", "tokens", {"access_token": "x", "scopes": "all"}),
        ("PUT", "tokens", {"access_token": "x", "expires_at": True}),
        ("PUT", "tokens", {"access_token": "x", "shoe_size": 1}),
        ("PUT", "apps/1", {}),
        ("POST", "openai/keys", {"key": ""}),
    ],
)
def test_wishes_that_make_no_sense(caller: Caller, method: str, path: str, wish: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\.$"):
        caller.peers.control(method, path, wish)
