"""The small HTTP server: keep-alive, pipelining, refusals of what is no HTTP, and an orderly process around it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from scripts.peers.server import PeerServer
from tests.peers.conftest import Caller

STATE = b"GET /_control/state HTTP/1.1\r\nHost: x\r\n\r\n"


def exchange(caller: Caller, data: bytes, answers: int = 1) -> bytes:
    """Everything that comes back until so many answers are there, or the server closes."""
    host, port = caller.peers.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as plug:
        plug.sendall(data)
        got = b""
        while got.count(b"HTTP/1.1 ") < answers or b"\r\n\r\n" not in got:
            piece = plug.recv(65536)
            if not piece:
                break
            got += piece
    return got


def test_requests_on_one_connection_are_answered_in_order(caller: Caller) -> None:
    slow = b"GET /_control/sent?wait=0.2 HTTP/1.1\r\nHost: x\r\n\r\n"
    got = exchange(caller, slow + STATE, answers=2)
    assert got.index(b'"messages"') < got.index(b'"webhooks_pending"')


def test_a_body_may_come_in_pieces(caller: Caller) -> None:
    host, port = caller.peers.url.removeprefix("http://").split(":")
    body = b'{"advance_seconds": 0}'
    head = (
        b"POST /_control/clock HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n"
        % len(body)
    )
    with socket.create_connection((host, int(port)), timeout=10) as plug:
        plug.sendall(head[:20])
        plug.sendall(head[20:])
        assert plug.recv(1000).startswith(b"HTTP/1.1 100 ")
        plug.sendall(body[:5])
        plug.sendall(body[5:])
        assert plug.recv(1000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/2\r\n\r\n", 400),
        (b"GET http://x/ HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nbroken\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /nowhere HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
    ],
)
def test_what_is_no_request_is_refused(caller: Caller, data: bytes, status: int) -> None:
    got = exchange(caller, data)
    assert got.startswith(b"HTTP/1.1 %d " % status)
    assert b"Connection: close" in got


@pytest.mark.parametrize(
    "path", ["nothing", "phones/1/dance", "sent?after=x", "sent?wait=nan", "sent?since=soon"]
)
def test_the_control_refuses_in_json(caller: Caller, path: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        caller.peers.control("GET", path)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "clock", {}), ("POST", "clock", {"now": "noon"}), ("POST", "clock", []), ("PUT", "statuses", {"a": 1}),
        ("PUT", "statuses", {"sent": -1}), ("POST", "webhook", {"url": 5}), ("POST", "webhook", {"uri": "x"}),
        ("POST", "numbers", {}), ("POST", "numbers", {"phone_number_id": 5, "waba_id": "1", "access_token": "t"}),
        ("PUT", "phones/16505551234", {"is_on_whatsapp": "yes"}), ("PUT", "phones/16505551234", {"age": 5}),
        ("POST", "phones/16505551234/wrote", {"at": "now"}), ("PUT", "openai/script", {"answers": [{}]}),
        ("PUT", "openai/script", {"queue": "x"}), ("PUT", "crm/orders/1", []),
    ],
)  # fmt: skip
def test_senseless_control_is_refused(caller: Caller, method: str, path: str, body: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        caller.peers.control(method, path, body)


def test_a_taken_port_is_an_error(server: PeerServer) -> None:
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(OSError, match="in use"), PeerServer(port=port):
        pass


def test_the_process_says_where_it_listens_and_ends_on_sigterm(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    command = [sys.executable, "-m", "scripts.peers", "--port", "0", "--port-file", str(port_file)]
    process = subprocess.Popen([*command, "--statuses", "off"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = int(port_file.read_text())
        assert f"http://127.0.0.1:{port} " in line
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_control/state", timeout=10) as answer:
            assert answer.status == 200
        with socket.create_connection(("127.0.0.1", port)):
            asked_at = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
        assert time.monotonic() - asked_at < 5
        assert "stopped" in process.stdout.read()
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
