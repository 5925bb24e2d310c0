"""Sends over real sockets that break at every point: what may be repeated, and what must not be."""

from __future__ import annotations

import json
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from common.errors import ConfigurationError
from common.gateways import keep_alive
from common.gateways.whatsapp.error_table import Action
from common.gateways.whatsapp.gateway import WhatsAppGateway
from common.gateways.whatsapp.results import (
    Accepted,
    NotSent,
    Recipient,
    Refused,
    SenderAccount,
    SendResult,
    Unknown,
)
from common.model.turn_records import OutboundMessage, ReplyButton
from tests.gateways.tls_identity import make_identity
from tests.gateways.wire_server import Wire, WireServer

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

ACCOUNT = SenderAccount("106540352242922", "EAAG-token")
TO = Recipient(wa_id="16505551234")
HI = OutboundMessage("n1", "Hi")
ACCEPTED = json.dumps(
    {
        "messaging_product": "whatsapp",
        "contacts": [{"input": "+16505551234", "wa_id": "16505551234"}],
        "messages": [{"id": "wamid.A"}],
    }
).encode()
needs_tcp_info = pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="the kernel does not count")


def graph_error(code: int, **more: Any) -> bytes:
    return json.dumps(
        {"error": {"message": f"(#{code}) no", "type": "OAuthException", "code": code, **more}}
    ).encode()


def serve(server: WireServer, wire: Wire) -> None:
    """Accept every message, for as long as the client likes."""
    while server.take(wire):
        wire.answer(ACCEPTED)


def answer_once(body: bytes, status: str = "200 OK", *headers: str) -> Callable[[WireServer, Wire], None]:
    def script(server: WireServer, wire: Wire) -> None:
        if server.take(wire):
            wire.answer(body, status, *headers)
        wire.end()

    return script


def send_to(url: str, *, timeout: float = 5.0, recipient: Recipient = TO, **more: Any) -> SendResult:
    gateway = WhatsAppGateway(url, "v24.0", timeout_seconds=timeout, pool_size=2, **more)
    try:
        return gateway.send(ACCOUNT, recipient, HI, "01ATTEMPT", "req-12345678")
    finally:
        gateway.close()


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the stream arrives just after we looked: the race that looking cannot win."""
    monkeypatch.setattr(keep_alive, "has_ended", lambda _sock: False)


def test_a_message_is_accepted() -> None:
    with WireServer(serve) as server:
        assert send_to(server.url) == Accepted("wamid.A", "16505551234")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v24.0/106540352242922/messages HTTP/1.1"
    assert {
        f"Host: 127.0.0.1:{server.port}",
        "Authorization: Bearer EAAG-token",
        "Content-Type: application/json",
        "X-Request-Id: req-12345678",
    } < set(lines)
    assert json.loads(body) == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+16505551234",
        "type": "text",
        "text": {"body": "Hi", "preview_url": False},
        "biz_opaque_callback_data": "01ATTEMPT",
    }


def test_connections_are_kept_and_shared_by_threads() -> None:
    with WireServer(serve) as server:
        gateway = WhatsAppGateway(server.url, "v24.0", timeout_seconds=5, pool_size=4)
        results: list[SendResult] = []

        def send_some() -> None:
            results.extend(gateway.send(ACCOUNT, TO, HI, f"a{i}") for i in range(50))

        threads = [threading.Thread(target=send_some) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        gateway.close()
    assert results == [Accepted("wamid.A", "16505551234")] * 200
    assert len(server.requests) == 200
    assert server.connections <= 4


def test_no_more_connections_stay_open_than_the_pool_holds() -> None:
    barrier = threading.Barrier(3)

    def wait_for_all(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        barrier.wait(10)
        wire.answer(ACCEPTED)
        server.take(wire)

    with WireServer(wait_for_all) as server:
        gateway = WhatsAppGateway(server.url, "v24.0", timeout_seconds=5, pool_size=1)
        threads = [threading.Thread(target=gateway.send, args=(ACCOUNT, TO, HI, "a")) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        server.wait_closed(2)
        assert server.closed_connections == 2
        gateway.close()


# Never written, or not in full: safe to repeat


def test_nobody_listens() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        result = send_to(f"http://127.0.0.1:{reserved.getsockname()[1]}")
    assert result == NotSent("no connection: ConnectionRefusedError (Connection refused)")


def test_the_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert isinstance(send_to("http://graph.test"), NotSent)


def test_an_unencodable_name_is_not_sent() -> None:
    assert isinstance(send_to("http://" + "a" * 70 + ".test"), NotSent)


def test_a_server_without_tls_is_not_sent(tmp_path: Path) -> None:
    _, client = make_identity(tmp_path, "127.0.0.1")

    def not_tls(_server: WireServer, wire: Wire) -> None:
        wire.sock.recv(100)
        wire.sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with WireServer(not_tls) as server:
        result = send_to(server.url.replace("http:", "https:"), tls=client)
    assert isinstance(result, NotSent)


def test_a_wrong_certificate_is_not_sent(tmp_path: Path) -> None:
    identity, client = make_identity(tmp_path, "other.test")
    with WireServer(serve, tls=identity) as server:
        result = send_to(server.url, tls=client)
    assert isinstance(result, NotSent)
    assert server.requests == []


def test_an_untrusted_certificate_is_not_sent(tmp_path: Path) -> None:
    identity, _ = make_identity(tmp_path, "127.0.0.1")
    with WireServer(serve, tls=identity) as server:
        assert isinstance(send_to(server.url), NotSent)


def test_half_a_request_is_not_sent() -> None:
    """The server stops reading: what is not handed over in full cannot be executed."""

    def stop_reading(_server: WireServer, wire: Wire) -> None:
        wire.sock.recv(10)
        wire.hang()

    with WireServer(stop_reading) as server:
        gateway = WhatsAppGateway(server.url, "v24.0", timeout_seconds=0.3, pool_size=1)
        request = b"POST /x HTTP/1.1\r\nContent-Length: 90000000\r\n\r\n" + bytes(90_000_000)
        with pytest.raises(keep_alive.NotDelivered):
            gateway._pool.exchange(request, time.monotonic() + 0.3)


def test_a_deadline_that_has_passed_sends_nothing() -> None:
    with WireServer(serve) as server:
        assert isinstance(send_to(server.url, timeout=0), NotSent)
    assert server.requests == []


# Kept-open connections that the server has closed


@pytest.mark.parametrize("tls", [False, True])
def test_a_connection_that_was_closed_while_idle_is_not_used(*, tls: bool, tmp_path: Path) -> None:
    identity, client = make_identity(tmp_path, "127.0.0.1") if tls else (None, None)
    with WireServer(answer_once(ACCEPTED), serve, tls=identity) as server:
        gateway = WhatsAppGateway(server.url, "v24.0", timeout_seconds=5, pool_size=2, tls=client)
        assert isinstance(gateway.send(ACCOUNT, TO, HI, "a1"), Accepted)
        server.wait_closed(1)
        assert isinstance(gateway.send(ACCOUNT, TO, HI, "a2"), Accepted)
        gateway.close()
    assert len(server.requests) == 2


@needs_tcp_info
@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize("tls", [False, True])
def test_a_close_that_crosses_the_request_is_repeated_at_once(*, tls: bool, tmp_path: Path) -> None:
    identity, client = make_identity(tmp_path, "127.0.0.1") if tls else (None, None)
    with WireServer(answer_once(ACCEPTED), serve, tls=identity) as server:
        gateway = WhatsAppGateway(server.url, "v24.0", timeout_seconds=5, pool_size=2, tls=client)
        assert isinstance(gateway.send(ACCOUNT, TO, HI, "a1"), Accepted)
        server.wait_closed(1)
        assert isinstance(gateway.send(ACCOUNT, TO, HI, "a2"), Accepted)
        gateway.close()
    assert [b'"a2"' in request for request in server.requests] == [False, True]


@needs_tcp_info
@pytest.mark.usefixtures("blind")
def test_a_crossing_close_without_close_notify_stays_unknown(tmp_path: Path) -> None:
    """Over TLS an end without a close_notify cannot be told from a reset."""
    identity, client = make_identity(tmp_path, "127.0.0.1")

    def just_close(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        wire.answer(ACCEPTED)

    with WireServer(just_close, serve, tls=identity) as server:
        gateway = WhatsAppGateway(server.url, "v24.0", timeout_seconds=5, pool_size=2, tls=client)
        gateway.send(ACCOUNT, TO, HI, "a1")
        server.wait_closed(1)
        result = gateway.send(ACCOUNT, TO, HI, "a2")
        gateway.close()
    assert isinstance(result, Unknown)
    assert len(server.requests) == 1


def test_where_nobody_counts_a_close_while_idle_is_still_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep_alive, "_TCP_INFO", None)
    with WireServer(answer_once(ACCEPTED), serve) as server:
        gateway = WhatsAppGateway(server.url, "v24.0", timeout_seconds=5, pool_size=2)
        gateway.send(ACCOUNT, TO, HI, "a1")
        server.wait_closed(1)
        assert isinstance(gateway.send(ACCOUNT, TO, HI, "a2"), Accepted)
        gateway.close()
    assert len(server.requests) == 2


@pytest.mark.usefixtures("blind")
def test_where_nobody_counts_a_crossing_close_stays_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep_alive, "_TCP_INFO", None)
    with WireServer(answer_once(ACCEPTED), serve) as server:
        gateway = WhatsAppGateway(server.url, "v24.0", timeout_seconds=5, pool_size=2)
        gateway.send(ACCOUNT, TO, HI, "a1")
        server.wait_closed(1)
        assert isinstance(gateway.send(ACCOUNT, TO, HI, "a2"), Unknown)
        gateway.close()
    assert len(server.requests) == 1


def test_a_kept_connection_that_takes_the_request_and_closes_is_unknown() -> None:
    """The mirror image of the race: here the server did read it, so it must never be repeated."""

    def one_and_a_half(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        wire.answer(ACCEPTED)
        server.take(wire)

    with WireServer(one_and_a_half, serve) as server:
        gateway = WhatsAppGateway(server.url, "v24.0", timeout_seconds=5, pool_size=2)
        gateway.send(ACCOUNT, TO, HI, "a1")
        result = gateway.send(ACCOUNT, TO, HI, "a2")
        gateway.close()
    assert result == Unknown("the server closed the connection without an answer")
    assert len(server.requests) == 2


@pytest.mark.parametrize("tls", [False, True])
def test_a_kept_connection_that_takes_the_request_and_resets_is_unknown(*, tls: bool, tmp_path: Path) -> None:
    identity, client = make_identity(tmp_path, "127.0.0.1") if tls else (None, None)

    def take_and_reset(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        wire.answer(ACCEPTED)
        server.take(wire)
        wire.abort()

    with WireServer(take_and_reset, serve, tls=identity) as server:
        gateway = WhatsAppGateway(server.url, "v24.0", timeout_seconds=5, pool_size=2, tls=client)
        gateway.send(ACCOUNT, TO, HI, "a1")
        result = gateway.send(ACCOUNT, TO, HI, "a2")
        gateway.close()
    assert isinstance(result, Unknown)
    assert len(server.requests) == 2


def test_a_connection_idle_for_too_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep_alive, "MAX_IDLE_SECONDS", -1.0)
    with WireServer(serve) as server:
        gateway = WhatsAppGateway(server.url, "v24.0", timeout_seconds=5, pool_size=2)
        for attempt in ("a1", "a2"):
            assert isinstance(gateway.send(ACCOUNT, TO, HI, attempt), Accepted)
        gateway.close()
    assert server.connections == 2


def test_a_server_that_wants_to_close_is_obeyed() -> None:
    def say_close(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        wire.answer(ACCEPTED, "200 OK", "Connection: close")
        server.take(wire)

    with WireServer(say_close) as server:
        gateway = WhatsAppGateway(server.url, "v24.0", timeout_seconds=5, pool_size=2)
        gateway.send(ACCOUNT, TO, HI, "a1")
        gateway.send(ACCOUNT, TO, HI, "a2")
    assert server.connections == 2


# Written in full, no readable answer: unknown


def take_and(*acts: str | bytes) -> Callable[[WireServer, Wire], None]:
    def script(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        for act in acts:
            if isinstance(act, bytes):
                wire.sock.sendall(act)
            elif act == "reset":
                wire.abort()
            elif act == "hang":
                wire.hang()

    return script


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(take_and(), id="closed without an answer"),
        pytest.param(take_and("reset"), id="reset"),
        pytest.param(take_and("hang"), id="hang"),
        pytest.param(take_and(b"HTTP/1.1 200 OK\r\nContent-", "hang"), id="half a head"),
        pytest.param(take_and(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", "hang"), id="half a body"),
        pytest.param(take_and(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), id="body cut short"),
        pytest.param(
            take_and(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), id="bad chunk"
        ),
        pytest.param(take_and(b"\x00\xff\xfe\r\n\r\n"), id="no HTTP"),
        pytest.param(take_and(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n"), id="too many headers"),
        pytest.param(answer_once(b"x" * 2_000_000), id="huge"),
        pytest.param(answer_once(b"<html>"), id="200 that is not JSON"),
        pytest.param(answer_once(b"[" * 100_000), id="200 nested too deep"),
        pytest.param(answer_once(b'{"messages":[{"id":7}]}'), id="200 without an id"),
        pytest.param(answer_once(b'{"messages":[]}'), id="200 without a message"),
        pytest.param(answer_once(b'{"messages":[{"id":"\\ud800"}]}'), id="200 with half a character"),
        pytest.param(answer_once(b"<html>bad gateway", "502 Bad Gateway"), id="5xx of a proxy"),
        pytest.param(answer_once(b'{"error":"oops"}', "500 No"), id="5xx with some other error"),
        pytest.param(answer_once(b'{"error":{"code":"7"}}', "500 No"), id="5xx with a text as code"),
    ],
)
def test_the_outcome_is_unknown(script: Callable[[WireServer, Wire], None]) -> None:
    with WireServer(script, serve) as server:
        result = send_to(server.url, timeout=0.5)
        assert isinstance(result, Unknown)
        assert len(server.requests) == 1
    assert "EAAG" not in result.reason


def test_the_time_out_is_total() -> None:
    """A byte now and then keeps a connection busy, but not us."""

    def drip(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        wire.sock.sendall(b"HTTP/1.1 200 OK\r\n")
        while not wire.stopping.wait(0.05):
            wire.sock.sendall(b"X")

    with WireServer(drip) as server:
        started_at = time.monotonic()
        assert send_to(server.url, timeout=0.4) == Unknown("no readable answer: time-out")
        assert time.monotonic() - started_at < 2


# Graph errors: certainly not taken


def test_a_graph_error_is_a_refusal() -> None:
    body = graph_error(131056, error_subcode=7, error_data={"details": "too many"})
    with WireServer(answer_once(body, "400 Bad Request", "Retry-After: 12")) as server:
        assert send_to(server.url) == Refused(131056, 7, "too many", Action.RETRY_PAIR, 12.0)


def test_a_graph_error_with_5xx_is_a_refusal() -> None:
    with WireServer(answer_once(graph_error(131000), "500 Internal Server Error")) as server:
        assert send_to(server.url) == Refused(131000, None, "(#131000) no", Action.RETRY_TRANSIENT)


def test_an_unknown_code_with_5xx_is_tried_again() -> None:
    with WireServer(answer_once(graph_error(999999), "503 Service Unavailable")) as server:
        result = send_to(server.url)
    assert isinstance(result, Refused)
    assert result.action is Action.RETRY_TRANSIENT


@pytest.mark.parametrize(
    ("status", "action"),
    [
        ("429 Too Many Requests", Action.RETRY_NUMBER),
        ("404 Not Found", Action.RETRY_TRANSIENT),
        ("302 Found", Action.RETRY_TRANSIENT),
    ],
)
def test_a_proxy_that_refuses(status: str, action: Action) -> None:
    with WireServer(answer_once(b"<html>", status, "Location: /elsewhere"), serve) as server:
        result = send_to(server.url)
    assert isinstance(result, Refused)
    assert (result.code, result.action) == (None, action)
    assert len(server.requests) == 1


def test_the_token_never_appears_in_details() -> None:
    body = graph_error(190, error_data={"details": "Malformed access token EAAG-token"})
    with WireServer(answer_once(body, "401 Unauthorized")) as server:
        result = send_to(server.url)
    assert isinstance(result, Refused)
    assert result.details == "Malformed access token [secret]"
    assert result.action is Action.STOP_BOT_AUTH
    assert "EAAG" not in repr(ACCOUNT)


def test_the_other_spelling_is_named() -> None:
    with WireServer(answer_once(graph_error(131030), "400 Bad Request")) as server:
        result = send_to(server.url, recipient=Recipient(wa_id="5491123456789"))
    assert isinstance(result, Refused)
    assert (result.action, result.alternative_wa_id) == (Action.RETRY_ALTERNATIVE_NUMBER, "541123456789")


@pytest.mark.parametrize("recipient", [TO, Recipient(bsuid="US.13491208655302741918")])
def test_without_another_spelling_the_recipient_fails(recipient: Recipient) -> None:
    with WireServer(answer_once(graph_error(131030), "400 Bad Request")) as server:
        result = send_to(server.url, recipient=recipient)
    assert isinstance(result, Refused)
    assert (result.action, result.alternative_wa_id) == (Action.FAIL_RECIPIENT, None)


# Refused by ourselves


@pytest.mark.parametrize(
    ("account", "recipient", "message", "action"),
    [
        (SenderAccount("../me", "t"), TO, HI, Action.STOP_BOT_AUTH),
        (SenderAccount("1", "t\r\nX: y"), TO, HI, Action.STOP_BOT_AUTH),
        (SenderAccount("1", ""), TO, HI, Action.STOP_BOT_AUTH),
        (SenderAccount("1", "tökén"), TO, HI, Action.STOP_BOT_AUTH),
        (ACCOUNT, Recipient(), HI, Action.FAIL_PAYLOAD),
        (ACCOUNT, TO, OutboundMessage("n", " "), Action.FAIL_PAYLOAD),
        (ACCOUNT, TO, OutboundMessage("n", "Hi", (ReplyButton("i", ""),)), Action.FAIL_PAYLOAD),
    ],
)
def test_what_meta_would_refuse_is_not_called(
    account: SenderAccount, recipient: Recipient, message: OutboundMessage, action: Action
) -> None:
    gateway = WhatsAppGateway("http://127.0.0.1:9", "v24.0", timeout_seconds=1, pool_size=1)
    result = gateway.send(account, recipient, message, "a")
    assert isinstance(result, Refused)
    assert (result.code, result.action) == (None, action)


@pytest.mark.parametrize(
    ("url", "version"),
    [
        ("graph.facebook.com", "v24.0"),
        ("ftp://x", "v24.0"),
        ("http://", "v24.0"),
        ("http://a b", "v24.0"),
        ("http://ä.test", "v24.0"),
        ("http://u:p@x", "v24.0"),
        ("http://x:99999", "v24.0"),
        ("http://x\r\nY: z", "v24.0"),
        ("http://x", "24"),
        ("http://x", "v24.0/.."),
    ],
)
def test_a_base_url_that_is_none(url: str, version: str) -> None:
    with pytest.raises(ConfigurationError):
        WhatsAppGateway(url, version, timeout_seconds=1, pool_size=1)


# Marking as read


def test_mark_read_with_typing() -> None:
    with WireServer(answer_once(b'{"success":true}')) as server:
        gateway = WhatsAppGateway(server.url + "/graph/", "v24.0", timeout_seconds=5, pool_size=1)
        assert gateway.mark_read(ACCOUNT, "wamid.IN", typing=True)
        gateway.close()
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /graph/v24.0/106540352242922/messages ")
    assert json.loads(body) == {
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": "wamid.IN",
        "typing_indicator": {"type": "text"},
    }


@pytest.mark.parametrize("script", [take_and("reset"), answer_once(graph_error(100), "400 Bad Request")])
def test_mark_read_is_best_effort(script: Callable[[WireServer, Wire], None]) -> None:
    with WireServer(script) as server:
        gateway = WhatsAppGateway(server.url, "v24.0", timeout_seconds=1, pool_size=1)
        assert not gateway.mark_read(ACCOUNT, "wamid.IN")
        assert not gateway.mark_read(ACCOUNT, "")
        assert not gateway.mark_read(SenderAccount("x", "y"), "wamid.IN")
        gateway.close()


def test_https(tmp_path: Path) -> None:
    contexts: tuple[ssl.SSLContext, ssl.SSLContext] = make_identity(tmp_path, "127.0.0.1")
    with WireServer(serve, tls=contexts[0]) as server:
        gateway = WhatsAppGateway(server.url, "v24.0", timeout_seconds=5, pool_size=1, tls=contexts[1])
        for _ in range(3):
            assert isinstance(gateway.send(ACCOUNT, TO, HI, "a"), Accepted)
        gateway.close()
    assert server.connections == 1


def test_the_time_out_is_total_over_tls(tmp_path: Path) -> None:
    identity, client = make_identity(tmp_path, "127.0.0.1")

    def drip(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        while not wire.stopping.wait(0.05):
            wire.sock.sendall(b"X")

    with WireServer(drip, tls=identity) as server:
        started_at = time.monotonic()
        assert isinstance(send_to(server.url, timeout=0.4, tls=client), Unknown)
        assert time.monotonic() - started_at < 2
