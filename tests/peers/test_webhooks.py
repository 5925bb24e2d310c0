"""Webhooks as Meta sends them: signed bytes, escapes, repetition until 200, statuses in order of their delays."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from itertools import pairwise

import pytest

from scripts.peers.numbers import SAMPLE_NUMBER_ID, SAMPLE_WABA_ID
from tests.peers.conftest import APP_SECRET, USER, Caller, WebStub

BSUID = "US.13491208655302741918"


def test_the_signature_is_over_the_raw_bytes(linked: Caller, web: WebStub) -> None:
    linked.peers.say(USER, "Grüße / 😀 <b>", name="Jürgen")
    (item,) = web.wait_for(1)
    expected = hmac.new(APP_SECRET.encode(), item.body, hashlib.sha256).hexdigest()
    assert item.headers["x-hub-signature-256"] == f"sha256={expected}"
    assert item.headers["content-type"] == "application/json"


def test_the_bytes_are_escaped_as_meta_does(linked: Caller, web: WebStub) -> None:
    linked.peers.say(USER, "Grüße / 😀")
    (item,) = web.wait_for(1)
    assert item.body.isascii()
    assert rb"Gr\u00fc\u00dfe \/ \ud83d\ude00" in item.body
    assert not re.search(rb"(?<!\\)/", item.body)
    assert item.changes[0]["messages"][0]["text"]["body"] == "Grüße / 😀"
    assert json.dumps(json.loads(item.body)).encode() != item.body


def test_the_envelope_of_a_text(linked: Caller, web: WebStub) -> None:
    wamid = linked.peers.say(USER, "hi", name="Ada", bsuid=BSUID, username="@ada")
    (item,) = web.wait_for(1)
    (entry,) = json.loads(item.body)["entry"]
    message = item.changes[0]["messages"][0]
    assert json.loads(item.body)["object"] == "whatsapp_business_account"
    assert entry["id"] == SAMPLE_WABA_ID
    assert entry["changes"][0]["field"] == "messages"
    assert item.changes[0]["metadata"] == {
        "display_phone_number": "16315555555",
        "phone_number_id": SAMPLE_NUMBER_ID,
    }
    profile = {"name": "Ada", "username": "@ada"}
    assert item.changes[0]["contacts"] == [{"profile": profile, "wa_id": USER, "user_id": BSUID}]
    assert re.fullmatch(r"[0-9]{10}", message.pop("timestamp"))
    assert message == {
        "from": USER, "from_user_id": BSUID, "id": wamid, "type": "text", "text": {"body": "hi"},
    }  # fmt: skip


def test_a_person_known_by_business_scoped_id_alone_has_no_phone(linked: Caller, web: WebStub) -> None:
    linked.peers.say(BSUID, "hi")
    (item,) = web.wait_for(1)
    assert "from" not in item.changes[0]["messages"][0]
    assert "wa_id" not in item.changes[0]["contacts"][0]
    assert item.changes[0]["messages"][0]["from_user_id"] == BSUID


def test_a_webhook_is_repeated_until_the_answer_is_200(linked: Caller, web: WebStub) -> None:
    web.planned = [500, 503, 202, 404]
    wamid = linked.peers.say(USER, "hi")
    deliveries = web.wait_for(5)
    assert len({item.body for item in deliveries}) == 1
    pauses = [later.at - earlier.at for earlier, later in pairwise(deliveries)]
    assert all(pause >= least for pause, least in zip(pauses, (0.02, 0.04, 0.08, 0.1), strict=True))
    linked.peers.say(USER, "next")
    web.wait_for(6)
    recent = linked.peers.control("GET", "webhooks")["deliveries"]
    assert recent[0]["ids"] == [wamid]
    assert (recent[0]["answers"], recent[0]["is_done"]) == ([500, 503, 202, 404, 200], True)


def test_a_webhook_is_repeated_while_nobody_listens(linked: Caller, web: WebStub) -> None:
    linked.peers.control("POST", "webhook", {"url": "http://127.0.0.1:9/closed"})
    linked.peers.say(USER, "hi")
    linked.peers.control("POST", "webhook", {"url": web.url})
    assert web.wait_for(1)[0].changes[0]["messages"][0]["text"]["body"] == "hi"


def test_what_one_person_says_arrives_in_order_even_if_repeated(linked: Caller, web: WebStub) -> None:
    web.planned = [500, 500, 200, 500]
    for number in range(5):
        linked.peers.say(USER, str(number))
    bodies = [item.changes[0]["messages"][0]["text"]["body"] for item in web.wait_for(8)]
    assert bodies == ["0", "0", "0", "1", "1", "2", "3", "4"]


def test_copies_are_the_same_message_again(linked: Caller, web: WebStub) -> None:
    linked.peers.say(USER, "hi", copies=3)
    assert len({item.body for item in web.wait_for(3)}) == 1


def test_statuses_follow_an_accepted_send(linked: Caller, web: WebStub) -> None:
    linked.peers.control("PUT", "statuses", {"sent": 0.01, "delivered": 0.1, "read": 0.2})
    wamid = linked.send_text(biz_opaque_callback_data="attempt/7").json()["messages"][0]["id"]
    statuses = web.statuses(3)
    assert [item["status"] for item in statuses] == ["sent", "delivered", "read"]
    for item in statuses:
        assert (item["id"], item["recipient_id"]) == (wamid, USER)
        assert item["biz_opaque_callback_data"] == "attempt/7"
        assert re.fullmatch(r"[0-9]{10}", item["timestamp"])
    assert statuses[0]["pricing"]["category"] == "service"
    assert rb"attempt\/7" in web.delivered[0].body
    expected = hmac.new(APP_SECRET.encode(), web.delivered[0].body, hashlib.sha256).hexdigest()
    assert web.delivered[0].headers["x-hub-signature-256"] == f"sha256={expected}"


def test_statuses_of_a_send_to_a_business_scoped_id(linked: Caller, web: WebStub) -> None:
    linked.peers.control("PUT", "statuses", {"sent": 0})
    linked.send({"messaging_product": "whatsapp", "recipient": BSUID, "type": "text", "text": {"body": "hi"}})
    (status,) = web.statuses(1)
    assert status["recipient_user_id"] == BSUID
    assert "recipient_id" not in status


def test_statuses_due_together_share_a_webhook(linked: Caller, web: WebStub) -> None:
    linked.peers.control("PUT", "statuses", {"sent": 0.3})
    linked.peers.control("PATCH", "rules", {"pair_limit": False})
    for number in range(20):
        linked.send_text(to=f"+1650555{number:04d}")
    assert len({item["id"] for item in web.statuses(20)}) == 20
    assert len(web.delivered) < 20


def test_no_statuses_when_switched_off(linked: Caller, web: WebStub) -> None:
    linked.send_text()
    assert linked.peers.control("GET", "state")["statuses_waiting"] == 0
    linked.peers.say(USER, "the only webhook")
    assert "messages" in web.wait_for(1)[0].changes[0]


def test_a_number_with_its_own_app_signs_with_its_own_secret(linked: Caller, web: WebStub) -> None:
    wish = {"phone_number_id": "41", "waba_id": "42", "access_token": "t", "app_secret": "another-app"}
    linked.peers.control("POST", "numbers", wish)
    linked.peers.say(USER, "hi", phone_number_id="41")
    (item,) = web.wait_for(1)
    expected = hmac.new(b"another-app", item.body, hashlib.sha256).hexdigest()
    assert item.headers["x-hub-signature-256"] == f"sha256={expected}"


def test_late_refusals_become_failed_statuses(linked: Caller, web: WebStub) -> None:
    linked.peers.control("PATCH", "rules", {"window": "strict", "late_refusals": True})
    assert linked.send_text(biz_opaque_callback_data="a").status_code == 200
    (status,) = web.statuses(1)
    assert (status["status"], status["errors"][0]["code"]) == ("failed", 131047)
    assert "contacts" not in web.delivered[0].changes[0]


def send_buttons(caller: Caller) -> str:
    replies = [{"type": "reply", "reply": {"id": f"v1:n:{title}", "title": title}} for title in ("Yes", "No")]
    inner = {"type": "button", "body": {"text": "Sure?"}, "action": {"buttons": replies}}
    wish = {"messaging_product": "whatsapp", "to": f"+{USER}", "type": "interactive", "interactive": inner}
    return str(caller.send(wish).json()["messages"][0]["id"])


def test_a_tap_carries_the_buttons_id_and_the_message_it_answers(linked: Caller, web: WebStub) -> None:
    wamid = send_buttons(linked)
    linked.peers.say(USER, button={"title": "No"})
    message = web.wait_for(1)[0].changes[0]["messages"][0]
    assert message["context"] == {"from": "16315555555", "id": wamid}
    assert message["interactive"] == {
        "type": "button_reply",
        "button_reply": {"id": "v1:n:No", "title": "No"},
    }


def test_a_raw_message_goes_through_as_it_is(linked: Caller, web: WebStub) -> None:
    linked.peers.say(USER, message={"type": "image", "image": {"id": "5", "mime_type": "image/jpeg"}})
    message = web.wait_for(1)[0].changes[0]["messages"][0]
    assert (message["type"], message["image"]["id"]) == ("image", "5")


@pytest.mark.parametrize(
    "wish",
    [
        {}, {"text": "a", "button": {"id": "b"}}, {"text": 5}, {"button": "Yes"}, {"button": {}},
        {"button": {"title": "never sent"}}, {"message": []}, {"text": "a", "phone_number_id": "0"},
        {"text": "a", "copies": 0}, {"text": "a", "shout": True},
    ],
)  # fmt: skip
def test_senseless_wishes_are_refused(linked: Caller, wish: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        linked.peers.say(USER, **wish)  # type: ignore[arg-type]


def test_saying_needs_a_webhook_url(caller: Caller) -> None:
    with pytest.raises(ValueError, match="webhook"):
        caller.peers.say(USER, "hi")


@pytest.mark.parametrize("alias", ["0123456789", "12", "ada", "us.1", "%20"])
def test_people_have_proper_ids(linked: Caller, alias: str) -> None:
    with pytest.raises(ValueError, match="wa_id"):
        linked.peers.say(alias, "hi")
