"""Each fault does what it says, as often as it says, and leaves the ground truth right."""

from __future__ import annotations

import socket
import time

import pytest
import requests

from tests.peers.conftest import USER, Caller, WebStub

SLACK = 0.2


def bodies(caller: Caller) -> list[str]:
    return [item["body"] for item in caller.peers.sent()]


def test_latency_delays_the_answer_but_not_the_record(caller: Caller) -> None:
    caller.peers.fault("latency", seconds=0.3, times=1)
    began_at = time.monotonic()
    assert caller.send_text("slow").status_code == 200
    assert time.monotonic() - began_at >= 0.3
    assert caller.peers.sent()[0]["at"] < time.time() - 0.3 + SLACK
    began_at = time.monotonic()
    caller.send_text("quick")
    assert time.monotonic() - began_at < 0.3


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_bare_status_before_acceptance(caller: Caller, status: int) -> None:
    caller.peers.fault("status", status=status, times=1, retry_after=7)
    answer = caller.send_text("refused")
    assert (answer.status_code, answer.content, answer.headers["Retry-After"]) == (status, b"", "7")
    assert caller.send_text("taken").status_code == 200
    assert bodies(caller) == ["taken"]


def test_a_shaped_status(caller: Caller) -> None:
    caller.peers.fault("status", status=503, shaped=True)
    answer = caller.send_text()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, 131016)
    assert bodies(caller) == []


def test_a_500_after_acceptance(caller: Caller) -> None:
    caller.peers.fault("status", status=500, accepted=True, times=1)
    assert caller.send_text("taken all the same").status_code == 500
    assert bodies(caller) == ["taken all the same"]


def test_any_graph_error(caller: Caller) -> None:
    caller.peers.fault("graph_error", code=131056, times=1)
    caller.peers.fault("graph_error", code=190, times=1)
    caller.peers.fault(
        "graph_error", code=131000, http_status=500, transient=True, details="try again", times=1
    )
    first, second, third = (caller.send_text() for _ in range(3))
    assert (first.status_code, first.json()["error"]["code"]) == (400, 131056)
    assert (second.status_code, second.json()["error"]["code"]) == (401, 190)
    error = third.json()["error"]
    assert (third.status_code, error["is_transient"], error["error_data"]["details"]) == (
        500,
        True,
        "try again",
    )
    assert bodies(caller) == []


@pytest.mark.parametrize(("do", "taken"), [("reset_before", []), ("reset_after", ["x"])])
def test_a_reset_connection(caller: Caller, do: str, taken: list[str]) -> None:
    caller.peers.fault(do, times=1)
    body = b'{"messaging_product": "whatsapp", "to": "+16505551234", "text": {"body": "x"}}'
    head = (
        "POST /graph/v24.0/106540352242922/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer EAALocalPeerToken\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    host, port = caller.peers.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as plug:
        plug.sendall(head.encode() + body)
        with pytest.raises(ConnectionResetError):
            plug.recv(1000)
    assert bodies(caller) == taken
    assert caller.send_text("y").status_code == 200


@pytest.mark.parametrize(("do", "taken"), [("hang_before", []), ("hang_after", ["x"])])
def test_a_hanging_connection(caller: Caller, do: str, taken: list[str]) -> None:
    caller.peers.fault(do, times=1)
    url = f"{caller.peers.graph_url}/v24.0/106540352242922/messages"
    wish = {"messaging_product": "whatsapp", "to": f"+{USER}", "type": "text", "text": {"body": "x"}}
    with pytest.raises(requests.ReadTimeout):
        caller.http.post(url, json=wish, headers={"Authorization": "Bearer EAALocalPeerToken"}, timeout=0.3)
    assert bodies(caller) == taken


def test_a_hang_that_ends_closes_the_connection(caller: Caller) -> None:
    caller.peers.fault("hang_after", seconds=0.1)
    with pytest.raises(requests.ConnectionError):
        caller.send_text("x")


def test_slow_drip_garbage_and_huge_body(caller: Caller) -> None:
    caller.peers.fault("slow_drip", seconds=0.4, times=1)
    began_at = time.monotonic()
    assert caller.send_text("dripped").json()["messages"]
    assert time.monotonic() - began_at >= 0.35
    caller.peers.fault("garbage", times=1)
    with pytest.raises(requests.JSONDecodeError):
        caller.send_text("garbled").json()
    caller.peers.fault("huge_body", bytes=3_000_000, times=1)
    assert len(caller.send_text("huge").content) > 3_000_000
    assert bodies(caller) == ["dripped", "garbled", "huge"]


def test_times_skip_and_recipient(caller: Caller) -> None:
    caller.peers.fault("status", status=500, times=2, skip=1, to=USER)
    assert caller.send_text(to="+16505550000").status_code == 200
    assert [caller.send_text().status_code for _ in range(4)] == [200, 500, 500, 200]
    (fault,) = caller.peers.control("GET", "faults")["faults"]
    assert fault["hits"] == 2


def test_a_seeded_share_is_the_same_each_time(caller: Caller) -> None:
    caller.peers.control("PATCH", "rules", {"pair_limit": False})
    runs = []
    for _ in range(2):
        caller.peers.fault("status", status=500, probability=0.3, seed=7)
        runs.append([caller.send_text().status_code for _ in range(60)])
        caller.peers.control("DELETE", "faults")
    assert runs[0] == runs[1]
    assert 8 <= runs[0].count(500) <= 30


def test_a_fault_can_be_taken_back(caller: Caller) -> None:
    fault_id = caller.peers.fault("status", status=500)
    caller.peers.control("DELETE", f"faults/{fault_id}")
    assert caller.send_text().status_code == 200
    with pytest.raises(ValueError, match="no such fault"):
        caller.peers.control("DELETE", f"faults/{fault_id}")


def test_a_fault_hits_only_its_endpoint(caller: Caller) -> None:
    caller.peers.fault("status", status=500, endpoint="graph.read")
    assert caller.send_text().status_code == 200
    read = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.a"}
    assert caller.send(read).status_code == 500
    caller.peers.fault("status", status=502, endpoint="graph")
    assert caller.send_text().status_code == 502
    assert caller.crm("GET", "orders/1001").status_code == 200


def test_duplicate_statuses(linked: Caller, web: WebStub) -> None:
    linked.peers.control("PUT", "statuses", {"sent": 0, "delivered": 0.1})
    linked.peers.fault("duplicate_statuses", copies=3)
    linked.send_text()
    names = sorted(item["status"] for item in web.statuses(6))
    assert names == ["delivered"] * 3 + ["sent"] * 3


def test_reordered_statuses(linked: Caller, web: WebStub) -> None:
    linked.peers.control("PUT", "statuses", {"sent": 0, "delivered": 0.1, "read": 0.2})
    linked.peers.fault("reorder_statuses")
    linked.send_text()
    assert [item["status"] for item in web.statuses(3)] == ["read", "delivered", "sent"]


def test_missing_statuses(linked: Caller, web: WebStub) -> None:
    linked.peers.control("PUT", "statuses", {"sent": 0, "delivered": 0.02, "read": 0.04})
    linked.peers.fault("drop_statuses", statuses=["sent", "read"], times=1)
    linked.peers.fault("drop_statuses", skip=1, times=1)
    first = linked.send_text("one").json()["messages"][0]["id"]
    linked.send_text("none")
    third = linked.send_text("all").json()["messages"][0]["id"]
    found = [(item["id"], item["status"]) for item in web.statuses(4)]
    assert sorted(found) == sorted(
        [(first, "delivered"), (third, "sent"), (third, "delivered"), (third, "read")]
    )
    assert linked.peers.control("GET", "state")["statuses_waiting"] == 0


def test_a_status_can_overtake_the_answer(linked: Caller, web: WebStub) -> None:
    linked.peers.control("PUT", "statuses", {"sent": 0.05})
    linked.peers.fault("status_first")
    wamid = linked.send_text().json()["messages"][0]["id"]
    assert [item["id"] for item in web.statuses(1, seconds=0)] == [wamid]


def test_a_failed_status(linked: Caller, web: WebStub) -> None:
    linked.peers.fault("fail_status", code=131026)
    assert linked.send_text().status_code == 200
    (status,) = web.statuses(1)
    assert status["status"] == "failed"
    assert status["errors"][0]["code"] == 131026
    assert set(status["errors"][0]) == {"code", "title", "message", "error_data", "href"}


def test_statuses_come_after_a_delayed_answer(linked: Caller, web: WebStub) -> None:
    linked.peers.control("PUT", "statuses", {"sent": 0})
    linked.peers.fault("latency", seconds=0.2)
    linked.send_text()
    answered_at = time.monotonic()
    web.statuses(1)
    assert web.delivered[0].at > answered_at - SLACK / 2


def test_the_same_faults_elsewhere(caller: Caller) -> None:
    wish = {"model": "gpt-4", "messages": [{"role": "user", "content": "hi"}]}
    for do, more in (
        ("status", {"status": 429, "shaped": True}),
        ("garbage", {}),
        ("huge_body", {"bytes": 2000}),
    ):
        caller.peers.fault(do, endpoint="openai.chat", times=1, **more)
    assert (
        caller.openai("POST", "chat/completions", json=wish).json()["error"]["code"] == "rate_limit_exceeded"
    )
    assert b"not json" in caller.openai("POST", "chat/completions", json=wish).content
    assert len(caller.openai("POST", "chat/completions", json=wish).content) > 2000
    caller.peers.fault("status", endpoint="crm", status=500, shaped=True, times=1)
    assert caller.crm("GET", "orders/1001").json()["error"]["code"] == "failed"
    caller.peers.fault("reset_before", endpoint="crm.orders", times=1)
    with pytest.raises(requests.ConnectionError):
        caller.crm("GET", "orders/1001")


@pytest.mark.parametrize(
    "wish",
    [
        {}, {"do": "explode"}, {"do": ["latency"]}, {"do": "latency"}, {"do": "latency", "seconds": "1"},
        {"do": "latency", "seconds": -1}, {"do": "status"}, {"do": "status", "status": 99},
        {"do": "status", "status": True}, {"do": "status", "status": 500, "seconds": 1}, {"do": "garbage", "times": -1},
        {"do": "garbage", "probability": 2}, {"do": "garbage", "endpoint": 5}, {"do": "garbage", "seed": "x"},
        {"do": "drop_statuses", "statuses": ["posted"]}, {"do": "huge_body", "bytes": 10**12},
    ],
)  # fmt: skip
def test_senseless_faults_are_refused(caller: Caller, wish: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        caller.peers.control("POST", "faults", wish)
    assert caller.peers.control("GET", "faults")["faults"] == []
