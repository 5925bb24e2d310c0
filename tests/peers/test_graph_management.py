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
    assert "next" in first["paging"]
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
