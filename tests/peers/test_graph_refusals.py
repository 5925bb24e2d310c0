"""Everything that Meta refuses is refused, with its code, in its shape, and leaves no record of a send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scripts.peers.numbers import SAMPLE_NUMBER_ID
from tests.peers.conftest import USER, Caller

REPLY = {"type": "reply", "reply": {"id": "a", "title": "Yes"}}
OPAQUE = "biz_opaque_callback_data"
EMOJI = "\U0001f600"  # two UTF-16 units


def text(**changes: Any) -> dict[str, Any]:
    message = {"messaging_product": "whatsapp", "to": f"+{USER}", "type": "text", "text": {"body": "hi"}}
    return {name: value for name, value in (message | changes).items() if value is not ...}


def buttons(*replies: Any, body: Any = "Pick", **changes: Any) -> dict[str, Any]:
    inner = {"type": "button", "body": {"text": body}, "action": {"buttons": list(replies)}} | changes
    return text(type="interactive", text=..., interactive=inner)


def reply(button_id: Any, title: Any) -> dict[str, Any]:
    return {"type": "reply", "reply": {"id": button_id, "title": title}}


REFUSALS: dict[str, tuple[object, int]] = {
    "no object": ([], 100),
    "empty object": ({}, 100),
    "no messaging_product": (text(messaging_product=...), 100),
    "other messaging_product": (text(messaging_product="sms"), 100),
    "group recipient": (text(recipient_type="group"), 100),
    "no recipient": (text(to=...), 100),
    "to without plus": (text(to=USER), 100),
    "to as number": (text(to=16505551234), 100),
    "to as letters": (text(to="+1650CALLNOW"), 100),
    "to too short": (text(to="+12345"), 131009),
    "to too long": (text(to="+1234567890123456"), 131009),
    "to with leading zero": (text(to="+0650555123"), 131009),
    "to in other digits": (text(to="+١٦٥٠٥٥٥١٢٣٤"), 100),
    "recipient no BSUID": (text(to=..., recipient="us.1"), 100),
    "recipient as object": (text(to=..., recipient={"id": 1}), 100),
    "to ourselves": (text(to="+16315555555"), 131021),
    "unknown type": (text(type="telegram"), 100),
    "type as list": (text(type=["text"]), 100),
    "type the peer lacks": (text(type="image", text=..., image={"id": "1"}), 131051),
    "unknown key": (text(prewiew=True), 100),
    "no text": (text(text=...), 131008),
    "text as string": (text(text="hi"), 100),
    "no body": (text(text={}), 131008),
    "null body": (text(text={"body": None}), 131008),
    "body as number": (text(text={"body": 5}), 100),
    "empty body": (text(text={"body": ""}), 131008),
    "blank body": (text(text={"body": " \n\t\u3000"}), 131008),
    "body one too long": (text(text={"body": "x" * 4097}), 100),
    "body too long in UTF-16": (text(text={"body": EMOJI * 2049}), 100),
    "body with lone surrogate": (text(text={"body": "\ud83d"}), 131009),
    "preview as text": (text(text={"body": "x", "preview_url": "yes"}), 100),
    "unknown key in text": (text(text={"body": "x", "bold": True}), 100),
    "opaque too long": (text(**{OPAQUE: "x" * 513}), 100),
    "opaque as object": (text(**{OPAQUE: {"a": 1}}), 100),
    "context without id": (text(context={}), 131008),
    "context with other id": (text(context={"message_id": "5"}), 131009),
    "interactive without type": (buttons(REPLY, type=None), 131008),
    "interactive of a type the peer lacks": (buttons(REPLY, type="list"), 131051),
    "no buttons": (buttons(), 131009),
    "four buttons": (buttons(*(reply(str(n), str(n)) for n in range(4))), 131009),
    "buttons as object": (buttons(action={"buttons": {}}), 100),
    "no action": (buttons(action=None), 131008),
    "action without buttons": (buttons(action={}), 131008),
    "button as text": (buttons("Yes"), 100),
    "button of type url": (buttons({"type": "url", "reply": {"id": "a", "title": "b"}}), 100),
    "button without reply": (buttons({"type": "reply"}), 131008),
    "title too long": (buttons(reply("a", "x" * 21)), 131009),
    "title too long in UTF-16": (buttons(reply("a", EMOJI * 11)), 131009),
    "title empty": (buttons(reply("a", "")), 131009),
    "title blank": (buttons(reply("a", "  ")), 131009),
    "title missing": (buttons({"type": "reply", "reply": {"id": "a"}}), 131008),
    "title twice": (buttons(reply("a", "Yes"), reply("b", "Yes")), 131009),
    "id too long": (buttons(reply("x" * 257, "Yes")), 131009),
    "id empty": (buttons(reply("", "Yes")), 131009),
    "id twice": (buttons(reply("a", "Yes"), reply("a", "No")), 131009),
    "id with leading space": (buttons(reply(" a", "Yes")), 131009),
    "id with trailing space": (buttons(reply("a ", "Yes")), 131009),
    "id as number": (buttons(reply(1, "Yes")), 100),
    "interactive body too long": (buttons(REPLY, body="x" * 1025), 131009),
    "interactive body blank": (buttons(REPLY, body=" "), 131009),
    "interactive body missing": (buttons(REPLY, body=None), 131008),
    "footer too long": (buttons(REPLY, footer={"text": "x" * 61}), 131009),
    "header too long": (buttons(REPLY, header={"type": "text", "text": "x" * 61}), 131009),
    "read without id": ({"messaging_product": "whatsapp", "status": "read"}, 100),
    "read of no wamid": ({"messaging_product": "whatsapp", "status": "read", "message_id": "1"}, 131009),
    "other status": ({"messaging_product": "whatsapp", "status": "seen", "message_id": "wamid.1"}, 100),
    "other typing": (
        {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.1", "typing_indicator": {}},
        100,
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refuses_what_meta_refuses(caller: Caller, name: str) -> None:
    payload, code = REFUSALS[name]
    answer = caller.send(payload)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (400, code), error
    assert error["type"] == "OAuthException"
    assert error["message"].startswith(f"(#{code}) ")
    assert error["fbtrace_id"]
    if "error_data" in error:
        assert error["error_data"]["messaging_product"] == "whatsapp"
        assert error["error_data"]["details"]
    assert caller.peers.sent() == []
    assert caller.peers.control("GET", "refused")["refused"][-1]["code"] == code


ACCEPTED: dict[str, dict[str, Any]] = {
    "type left out": text(type=...),
    "number with separators": text(to="+1 (650) 555-1234"),
    "longest body": text(text={"body": "x" * 4096}),
    "longest body in UTF-16": text(text={"body": EMOJI * 2048}),
    "longest opaque": text(**{OPAQUE: "x" * 512}),
    "quoting": text(context={"message_id": "wamid.abc"}),
    "three buttons at all limits": buttons(
        *(reply(f"{n}" * 256, f"{n}" * 20) for n in range(3)),
        body="x" * 1024,
        footer={"text": "x" * 60},
        header={"type": "text", "text": "x" * 60},
    ),
    "titles that differ in case": buttons(reply("a", "Yes"), reply("b", "yes")),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_takes_what_is_just_within_the_limits(caller: Caller, name: str) -> None:
    answer = caller.send(ACCEPTED[name])
    assert answer.status_code == 200, answer.text
    assert len(caller.peers.sent(to=USER)) == 1


@pytest.mark.parametrize("token", [None, "wrong", "", "wröng"])
def test_a_bad_token_is_a_401_with_code_190(caller: Caller, token: str | None) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}".encode()}
    url = f"{caller.peers.graph_url}/v24.0/{SAMPLE_NUMBER_ID}/messages"
    answer = caller.http.post(url, json=text(), headers=headers, timeout=20)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == 190


def test_an_unknown_number_is_code_100_subcode_33(caller: Caller) -> None:
    answer = caller.graph("POST", "999/messages", json=text())
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["error_subcode"]) == (400, 100, 33)
    assert "'999' does not exist" in error["message"]


def test_another_numbers_token_sees_as_little(caller: Caller) -> None:
    other = {"phone_number_id": "777", "waba_id": "778", "access_token": "other-token"}
    caller.peers.control("POST", "numbers", other)
    answer = caller.send(text(), token="other-token")
    assert answer.json()["error"]["error_subcode"] == 33
    assert caller.graph("POST", "777/messages", json=text(), token="other-token").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000, b"1" * 5000, b'"\\ud800"', b"null",
    ],
)  # fmt: skip
def test_a_broken_body_is_a_plain_refusal(caller: Caller, body: bytes) -> None:
    answer = caller.graph("POST", f"{SAMPLE_NUMBER_ID}/messages", data=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == 100


def test_a_form_is_no_json(caller: Caller) -> None:
    answer = caller.graph("POST", f"{SAMPLE_NUMBER_ID}/messages", data={"messaging_product": "whatsapp"})
    assert answer.json()["error"]["code"] == 100
    assert "application/json" in json.dumps(answer.json())


@pytest.mark.parametrize(
    "path", ["graph", "graph/", "graph/v24.0", "graph/24/1/messages", "graph/v24.0/a/b/c"]
)
def test_unknown_paths_are_code_2500(caller: Caller, path: str) -> None:
    headers = {"Authorization": "Bearer EAALocalPeerToken"}
    answer = caller.http.post(f"{caller.peers.url}/{path}", json={}, headers=headers, timeout=20)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 2500)
