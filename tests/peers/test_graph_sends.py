"""An accepted send: Meta's answer, the record behind it, and the limits of time and amount."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
import requests

from scripts.peers.numbers import SAMPLE_NUMBER_ID
from scripts.peers.server import PeerServer
from tests.peers.conftest import USER, Caller

BSUID = "US.13491208655302741918"
DAY = 24 * 3600


def code_of(answer: requests.Response) -> int | None:
    error: dict[str, int] = answer.json().get("error", {})
    return error.get("code")


def test_the_answer_and_the_record(caller: Caller) -> None:
    answer = caller.send_text(
        "Grüße 😀", biz_opaque_callback_data="attempt-1", context={"message_id": "wamid.q"}
    )
    body = answer.json()
    wamid = body["messages"][0]["id"]
    assert answer.status_code == 200
    assert wamid.startswith("wamid.")
    assert body == {
        "messaging_product": "whatsapp",
        "contacts": [{"input": f"+{USER}", "wa_id": USER}],
        "messages": [{"id": wamid}],
    }
    (record,) = caller.peers.sent(to=USER)
    at = record.pop("at")
    assert abs(at - caller.peers.control("GET", "clock")["now"]) < 30
    assert record.pop("seq") > 0
    assert record == {
        "phone_number_id": SAMPLE_NUMBER_ID,
        "to": USER,
        "recipient": None,
        "kind": "text",
        "body": "Grüße 😀",
        "buttons": [],
        "opaque": "attempt-1",
        "wamid": wamid,
        "replies_to": "wamid.q",
    }


def test_a_send_to_a_business_scoped_id_has_no_wa_id(caller: Caller) -> None:
    wish = {"messaging_product": "whatsapp", "recipient": BSUID, "type": "text", "text": {"body": "hi"}}
    body = caller.send(wish).json()
    assert body["contacts"] == [{"input": BSUID, "user_id": BSUID}]
    (record,) = caller.peers.sent(to=BSUID)
    assert (record["to"], record["recipient"]) == (None, BSUID)


def test_to_wins_over_recipient_and_both_ids_find_the_record(caller: Caller) -> None:
    caller.peers.control("PUT", f"phones/{USER}", {"bsuid": BSUID})
    body = caller.send_text("hi", recipient=BSUID).json()
    assert body["contacts"] == [{"input": f"+{USER}", "wa_id": USER, "user_id": BSUID}]
    assert len(caller.peers.sent(to=USER)) == len(caller.peers.sent(to=BSUID)) == 1


def test_buttons_are_recorded(caller: Caller) -> None:
    replies = [{"type": "reply", "reply": {"id": f"id-{n}", "title": f"Title {n}"}} for n in (1, 2)]
    inner = {"type": "button", "body": {"text": "Pick"}, "action": {"buttons": replies}}
    wish = {"messaging_product": "whatsapp", "to": f"+{USER}", "type": "interactive", "interactive": inner}
    assert caller.send(wish).status_code == 200
    (record,) = caller.peers.sent()
    assert record["body"] == "Pick"
    assert record["buttons"] == [{"id": "id-1", "title": "Title 1"}, {"id": "id-2", "title": "Title 2"}]


def test_marking_as_read_is_no_send(caller: Caller) -> None:
    wish = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.abc"}
    assert caller.send(wish).json() == {"success": True}
    assert caller.send(wish | {"typing_indicator": {"type": "text"}}).json() == {"success": True}
    reads = caller.peers.control("GET", "reads")["reads"]
    assert [(item["message_id"], item["typing"]) for item in reads] == [
        ("wamid.abc", False),
        ("wamid.abc", True),
    ]
    assert caller.peers.sent() == []


def test_every_send_is_in_the_file_before_it_is_answered(tmp_path: Path) -> None:
    path = tmp_path / "sent.jsonl"
    with PeerServer(sent_path=path) as peers, requests.Session() as session:
        client = Caller(peers, session)
        for number in range(3):
            wamid = client.send_text(f"text {number}").json()["messages"][0]["id"]
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            assert len(lines) == number + 1
            assert (lines[-1]["wamid"], lines[-1]["body"]) == (wamid, f"text {number}")


def test_a_long_poll_ends_when_the_send_comes(caller: Caller) -> None:
    caller.send_text("before")
    last = caller.peers.sent()[-1]["seq"]
    found: list[dict[str, object]] = []
    began_at = time.monotonic()
    poll = threading.Thread(target=lambda: found.extend(caller.peers.sent(to=USER, after=last, wait=30)))
    poll.start()
    caller.send_text("to somebody else", to="+16505550000")
    caller.send_text("at last")
    poll.join(10)
    assert [item["body"] for item in found] == ["at last"]
    assert time.monotonic() - began_at < 10


def test_a_long_poll_ends_empty_after_its_time(caller: Caller) -> None:
    assert caller.peers.sent(to=USER, wait=0.05) == []


def test_the_record_can_be_cut_and_forgotten(caller: Caller) -> None:
    for body in ("one", "two", "three"):
        caller.send_text(body)
    first, second, _ = caller.peers.sent()
    assert [item["body"] for item in caller.peers.sent(after=first["seq"])] == ["two", "three"]
    since = caller.peers.control("GET", f"sent?since={second['at']}")["messages"]
    assert [item["body"] for item in since] == ["two", "three"]
    assert caller.peers.control("GET", "sent?phone_number_id=other")["messages"] == []
    caller.peers.control("DELETE", "sent")
    assert caller.peers.sent() == []
    caller.send_text("four")
    assert caller.peers.sent()[0]["seq"] == first["seq"] + 3


def test_a_reader_from_before_a_restart_is_served(caller: Caller) -> None:
    found: list[dict[str, object]] = []
    poll = threading.Thread(target=lambda: found.extend(caller.peers.sent(after=999_999_999, wait=10)))
    poll.start()
    while poll.is_alive():  # the poll may begin after the first of these
        caller.send_text("new", to=f"+1650555{time.monotonic_ns() % 10_000:04d}")
        poll.join(0.05)
        assert len(caller.peers.sent()) < 100
    assert found[0]["body"] == "new"


def test_the_window_closes_24_hours_after_the_person_wrote(caller: Caller) -> None:
    caller.peers.control("POST", f"phones/{USER}/wrote")
    caller.peers.control("POST", "clock", {"advance_seconds": DAY - 60})
    assert code_of(caller.send_text()) is None
    caller.peers.control("POST", "clock", {"advance_seconds": 120})
    assert code_of(caller.send_text()) == 131047
    caller.peers.control("POST", f"phones/{USER}/wrote")
    assert code_of(caller.send_text()) is None


def test_the_window_belongs_to_one_business_number(caller: Caller) -> None:
    other = {"phone_number_id": "555", "waba_id": "556", "access_token": "second-token"}
    caller.peers.control("POST", "numbers", other)
    caller.peers.control("PATCH", "rules", {"window": "strict"})
    caller.peers.control("POST", f"phones/{USER}/wrote", {"phone_number_id": "555"})
    text = {"messaging_product": "whatsapp", "to": f"+{USER}", "type": "text", "text": {"body": "hi"}}
    assert caller.graph("POST", "555/messages", json=text, token="second-token").status_code == 200
    assert code_of(caller.send(text)) == 131047


@pytest.mark.parametrize(("window", "code"), [("known", None), ("strict", 131047), ("off", None)])
def test_whose_window_is_checked_when_nobody_wrote(caller: Caller, window: str, code: int | None) -> None:
    caller.peers.control("PATCH", "rules", {"window": window})
    assert code_of(caller.send_text()) == code


def test_unknown_users_and_people_without_whatsapp(caller: Caller) -> None:
    caller.peers.control("PATCH", "rules", {"known_users_only": True})
    assert code_of(caller.send_text()) == 131026
    caller.peers.control("PUT", f"phones/{USER}", {"name": "Ada"})
    assert code_of(caller.send_text()) is None
    caller.peers.control("PUT", f"phones/{USER}", {"is_on_whatsapp": False})
    assert code_of(caller.send_text()) == 131026


def test_the_pair_limit_lets_a_burst_of_45_through(caller: Caller) -> None:
    codes = [code_of(caller.send_text(str(number))) for number in range(46)]
    assert codes == [None] * 45 + [131056]
    assert code_of(caller.send_text(to="+16505550000")) is None
    caller.peers.control("POST", "clock", {"advance_seconds": 6.5})
    assert [code_of(caller.send_text()), code_of(caller.send_text())] == [None, 131056]
    caller.peers.control("PATCH", "rules", {"pair_limit": False})
    assert code_of(caller.send_text()) is None


def test_the_number_limit(caller: Caller) -> None:
    caller.peers.control("PATCH", "rules", {"number_per_second": 2})
    caller.peers.control("POST", "clock", {"now": 1_700_000_000})
    codes = [code_of(caller.send_text(to=f"+1650555000{number}")) for number in range(3)]
    assert codes == [None, None, 130429]


@pytest.mark.parametrize(
    "change",
    [
        {"window": "maybe"},
        {"pair_limit": 1},
        {"number_per_second": -1},
        {"number_per_second": True},
        {"x": 1},
    ],
)
def test_bad_rules_are_refused_whole(caller: Caller, change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        caller.peers.control("PATCH", "rules", {"known_users_only": True} | change)
    assert caller.peers.control("GET", "rules")["known_users_only"] is False
