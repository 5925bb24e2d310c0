"""Calls of the API node over real sockets: what goes out, what comes back, and what never may."""

from __future__ import annotations

import functools
import gzip
import json
import socket
import threading
import time
import zlib
from typing import TYPE_CHECKING, Any

import pytest
import urllib3.util.connection
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import ConfigurationError
from common.gateways.address_guard import is_public
from common.gateways.deadline_socket import tls_context
from common.gateways.http import HttpGateway, is_retryable, next_delay
from common.model.calls import CallFailed, HttpAnswer, HttpRequest
from tests.gateways.tls_identity import make_identity
from tests.gateways.wire_server import Wire, WireServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PUBLIC = "93.184.216.34"
TRUST = tls_context()  # loading the system's certificates once is enough
Answer = HttpAnswer | CallFailed


def answering(body: bytes, status: str = "200 OK", *headers: str) -> Callable[[WireServer, Wire], None]:
    def script(server: WireServer, wire: Wire) -> None:
        if server.take(wire):
            wire.answer(body, status, *headers)

    return script


JSON_TYPE = "Content-Type: application/json"


def call(server: WireServer, request: HttpRequest | None = None, **gateway: Any) -> Answer:
    """One attempt at a server that the operator has opened."""
    opened = HttpGateway((f"127.0.0.1:{server.port}",), **{"tls": TRUST} | gateway)
    return opened.attempt(request or HttpRequest("GET", server.url + "/x"), "s1:4", "req-12345678")


def sent(server: WireServer, index: int = 0) -> tuple[str, dict[str, str], bytes]:
    """Request line, headers and body as the server got them."""
    head, _, body = server.requests[index].partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return (
        first,
        {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)},
        body,
    )


# What goes out


def test_a_call_with_everything() -> None:
    with WireServer(
        answering(b'{"data":{"leadId":7}}', "201 Created", JSON_TYPE, "X-Trace: t", "Set-Cookie: a=b")
    ) as server:
        answer = call(
            server,
            HttpRequest(
                "POST",
                server.url + "/leads?a=1#part",
                headers=(("Authorization", "Bearer t"), ("X-Name", "Zoë"), ("X-Two", "1"), ("x-two", "2")),
                query=(("q", "a b&c"), ("q", "ä")),
                body={"email": "a@b.test", "name": "Ada"},
            ),
        )
    assert isinstance(answer, HttpAnswer)
    assert (answer.status, answer.body, answer.attempts) == (201, {"data": {"leadId": 7}}, 1)
    assert ("X-Trace", "t") in answer.headers
    assert "set-cookie" not in {name.lower() for name, _ in answer.headers}
    assert answer.duration_ms > 0
    first, headers, body = sent(server)
    assert first == "POST /leads?a=1&q=a+b%26c&q=%C3%A4 HTTP/1.1"
    assert headers["authorization"] == "Bearer t"
    assert headers["x-name"].encode("latin-1").decode() == "Zoë"
    assert headers["x-two"] == "1, 2"
    assert headers["idempotency-key"] == "s1:4"
    assert headers["x-request-id"] == "req-12345678"
    assert headers["content-type"] == "application/json"
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert headers["content-length"] == str(len(body))
    assert json.loads(body) == {"email": "a@b.test", "name": "Ada"}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_every_method(method: str) -> None:
    with WireServer(answering(b"" if method == "HEAD" else b"{}", "200 OK", JSON_TYPE)) as server:
        answer = call(server, HttpRequest(method, server.url))
    assert isinstance(answer, HttpAnswer)
    assert sent(server)[0] == f"{method} / HTTP/1.1"
    assert sent(server)[1].get("content-length") == ("0" if method in {"POST", "PUT", "PATCH"} else None)


def test_headers_that_are_not_the_authors_to_say() -> None:
    names = [
        "Host", "content-length", "Transfer-Encoding", "Connection", "Upgrade", "TE", "Expect", "Keep-Alive",
        "Proxy-Authorization", "Metadata-Flavor", "Metadata", "X-Google-Metadata-Request",
        "X-aws-ec2-metadata-token", "X-aws-ec2-metadata-token-ttl-seconds", "Accept-Encoding",
    ]  # fmt: skip
    with WireServer(answering(b"{}")) as server:
        request = HttpRequest("POST", server.url, headers=tuple((name, "evil") for name in names), body={})
        assert isinstance(call(server, request), HttpAnswer)
    assert b"evil" not in server.requests[0]


def test_the_authors_own_idempotency_key_and_type_win() -> None:
    with WireServer(answering(b"{}")) as server:
        headers = (("Idempotency-Key", "mine"), ("Content-Type", "text/plain"))
        call(server, HttpRequest("POST", server.url, headers=headers, body="just text"))
    _, headers_sent, body = sent(server)
    assert (headers_sent["idempotency-key"], headers_sent["content-type"], body) == (
        "mine",
        "text/plain",
        b"just text",
    )


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("BREW", "http://127.0.0.1"),
        HttpRequest("GET\r\nX: y", "http://127.0.0.1"),
        HttpRequest("GET", "http://127.0.0.1", headers=(("X", "a\r\nY: b"),)),
        HttpRequest("GET", "http://127.0.0.1", headers=(("X Y", "a"),)),
        HttpRequest("GET", "http://127.0.0.1", headers=(("", "a"),)),
        HttpRequest("GET", "http://127.0.0.1", headers=(("X", "a" * 40_000),)),
        HttpRequest("POST", "http://127.0.0.1", body=float("nan")),
        HttpRequest("POST", "http://127.0.0.1", body="x" * 2_000_000),
    ],
)
def test_requests_that_cannot_be_sent(request_: HttpRequest) -> None:
    answer = HttpGateway(tls=TRUST).attempt(request_, "k")
    assert isinstance(answer, CallFailed)
    assert answer.code == "api.bad_request"


def test_no_proxy_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with WireServer(answering(b"{}")) as server:
        assert isinstance(call(server), HttpAnswer)


def test_no_cookie_is_carried_from_call_to_call() -> None:
    with WireServer(answering(b"{}", "200 OK", "Set-Cookie: who=tenant-1; Path=/")) as server:
        gateway = HttpGateway((f"127.0.0.1:{server.port}",))
        for _ in range(2):
            gateway.attempt(HttpRequest("GET", server.url), "k")
    assert "cookie" not in sent(server, 1)[1]


# What comes back


@pytest.mark.parametrize(
    ("body", "content_type", "value"),
    [
        (b'{"a":[1,2.5,true,null]}', "application/json", {"a": [1, 2.5, True, None]}),
        (b'\xef\xbb\xbf{"a":1}', "application/json; charset=utf-8", {"a": 1}),
        ('{"a":"ä"}'.encode("utf-16"), "application/json", {"a": "ä"}),
        (b"[1]", "application/problem+json", [1]),
        (b'"x"', "text/json", "x"),
        (b'{"a":1}', "text/plain", {"a": 1}),
        (b"{not json", "text/html", "{not json"),
        (b"", "application/json", None),
        (b" \n", "", None),
        ("größe".encode("latin-1"), "text/plain; charset=ISO-8859-1", "größe"),
        ("größe".encode(), "text/plain; charset=no-such", "größe"),
        ("größe".encode(), 'text/plain; charset="utf-8"', "größe"),
        (b"\xff\xfehi", "text/plain", "\ufffd\ufffdhi"),
        (b"68656c6c6f", "text/plain; charset=hex", "68656c6c6f"),
        (b"abc-", "text/plain; charset=punycode", "abc-"),
        (b'{"a":"\\ud800","\\udfff\\u0000":1}', "application/json", {"a": "\ufffd", "\ufffd\ufffd": 1}),
        (b"[9223372036854775807,9223372036854775808]", "application/json", [2**63 - 1, 2.0**63]),
    ],
)
def test_bodies(body: bytes, content_type: str, value: Any) -> None:
    with WireServer(answering(body, "200 OK", f"Content-Type: {content_type}")) as server:
        answer = call(server)
    assert isinstance(answer, HttpAnswer)
    assert answer.body == value
    assert type(answer.body) is type(value)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"NaN",
        b'{"a":Infinity}',
        b"[1e999]",
        b"[" + b"9" * 500 + b"]",
        b"[" + b"9" * 5000 + b"]",
        b"[" * 65 + b"]" * 65,
        b"[" * 100_000,
        b"\xff\xff\xff",
    ],
)
def test_json_that_is_none(body: bytes) -> None:
    with WireServer(answering(body, "200 OK", JSON_TYPE)) as server:
        answer = call(server)
    assert isinstance(answer, CallFailed)
    assert answer.code == "api.bad_answer"


@given(st.binary(max_size=200), st.text(max_size=40))
def test_any_body_is_read_or_bad(raw: bytes, content_type: str) -> None:
    from common.gateways.answer_body import BadBody, read_body  # noqa: PLC0415 - only this test looks inside

    try:
        value = read_body(raw, content_type)
    except BadBody:
        return
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize("status", [400, 401, 404, 418, 429, 500, 503])
def test_a_bad_status_keeps_status_and_body(status: int) -> None:
    with WireServer(answering(b'{"error":"no"}', f"{status} No", JSON_TYPE)) as server:
        answer = call(server)
    assert isinstance(answer, CallFailed)
    assert (answer.code, answer.status, answer.body) == ("api.bad_status", status, {"error": "no"})
    assert answer.message == f"The server answered {status}."


def test_statuses_without_a_body() -> None:
    def no_content(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        wire.sock.sendall(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"
        )

    def not_modified(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        wire.sock.sendall(b"HTTP/1.1 304 Not Modified\r\n\r\n")

    with WireServer(no_content, not_modified) as server:
        first, second = call(server), call(server)
    assert isinstance(first, HttpAnswer)
    assert (first.status, first.body) == (204, None)
    assert isinstance(second, CallFailed)
    assert second.status == 304


def test_compressed_answers() -> None:
    bodies = [gzip.compress(b'{"a":1}'), zlib.compress(b'{"a":1}')]
    scripts = [
        answering(body, "200 OK", JSON_TYPE, f"Content-Encoding: {name}")
        for body, name in zip(bodies, ["gzip", "deflate"], strict=True)
    ]
    with WireServer(*scripts, answering(b"\x1f\x8bnonsense", "200 OK", "Content-Encoding: gzip")) as server:
        answers = [call(server) for _ in range(3)]
    assert [getattr(answer, "body", None) for answer in answers[:2]] == [{"a": 1}] * 2
    assert isinstance(answers[2], CallFailed)
    assert answers[2].code == "api.bad_answer"


# Bounds


@functools.cache
def bomb(levels: int) -> bytes:
    """A gibibyte of zeros, compressed once or twice."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    data = b"".join([*(compressor.compress(bytes(2**20)) for _ in range(1024)), compressor.flush()])
    for _ in range(levels - 1):
        data = gzip.compress(data)
    return data


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("chunked", [False, True])
def test_gzip_bombs(levels: int, *, chunked: bool) -> None:
    body = bomb(levels)
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    encoding = ", ".join(["gzip"] * levels)

    def explode(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        wire.sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n{framing}\r\n\r\n".encode())
        wire.sock.sendall(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if chunked else body)

    with WireServer(explode) as server:
        started_at = time.process_time()
        answer = call(server, max_bytes=2 * 1024 * 1024)
    assert isinstance(answer, CallFailed)
    assert answer.code == "api.too_large"
    assert time.process_time() - started_at < 2


def test_too_large_whether_announced_or_not() -> None:
    def endless(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        wire.sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            wire.sock.sendall(bytes(65536))

    def announced(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        wire.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n")
        wire.hang()

    with WireServer(endless, announced, answering(bytes(1000)), answering(bytes(1001))) as server:
        answers = [call(server, max_bytes=1000) for _ in range(4)]
    assert [getattr(answer, "code", "fine") for answer in answers] == ["api.too_large"] * 2 + [
        "fine",
        "api.too_large",
    ]


def drip(after: bytes) -> Callable[[WireServer, Wire], None]:
    def script(server: WireServer, wire: Wire) -> None:
        server.take(wire)
        wire.sock.sendall(after)
        while not wire.stopping.wait(0.05):
            wire.sock.sendall(b"1")

    return script


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(drip(b""), id="status line"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nX: "), id="header"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"), id="body"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\n\r\n"), id="endless body"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), id="chunk length"),
        pytest.param(lambda server, wire: (server.take(wire), wire.hang()), id="silence"),
    ],
)
@pytest.mark.parametrize("tls", [False, True])
def test_the_time_out_is_total(
    script: Callable[[WireServer, Wire], None], tmp_path: Path, *, tls: bool
) -> None:
    identity, client = make_identity(tmp_path, "127.0.0.1") if tls else (None, None)
    with WireServer(script, tls=identity) as server:
        started_at = time.monotonic()
        answer = call(server, HttpRequest("GET", server.url, timeout_seconds=0.4), tls=client or TRUST)
        assert time.monotonic() - started_at < 2
    assert isinstance(answer, CallFailed)
    assert answer.code == "api.timeout"
    assert answer.message == "No complete answer within 0.4 seconds."
    assert 350 < answer.duration_ms < 2000


def test_a_server_that_does_not_read_runs_into_the_time_out() -> None:
    with WireServer(lambda _server, wire: wire.hang()) as server:
        server._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        request = HttpRequest("POST", server.url, body="x" * 1_000_000, timeout_seconds=0.4)
        answer = call(server, request)
    assert isinstance(answer, CallFailed)
    assert answer.code == "api.timeout"


def test_the_silence_of_a_handshake_runs_into_the_time_out(tmp_path: Path) -> None:
    _, client = make_identity(tmp_path, "127.0.0.1")
    with WireServer(lambda _server, wire: wire.hang()) as server:
        url = server.url.replace("http:", "https:")
        answer = call(server, HttpRequest("GET", url, timeout_seconds=0.3), tls=client)
    assert isinstance(answer, CallFailed)
    assert answer.code == "api.timeout"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(lambda server, wire: server.take(wire), id="closed"),
        pytest.param(lambda server, wire: (server.take(wire), wire.abort()), id="reset"),
        pytest.param(
            lambda server, wire: (server.take(wire), wire.sock.sendall(b"SSH-2.0\r\n\r\n")), id="no HTTP"
        ),
        pytest.param(
            lambda server, wire: (
                server.take(wire),
                wire.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
            ),
            id="cut short",
        ),
        pytest.param(
            lambda server, wire: (
                server.take(wire),
                wire.sock.sendall(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 10_000),
            ),
            id="too many headers",
        ),
        pytest.param(
            lambda server, wire: (
                server.take(wire),
                wire.sock.sendall(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000),
            ),
            id="long header",
        ),
        pytest.param(
            lambda server, wire: (
                server.take(wire),
                wire.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
            ),
            id="bad chunk",
        ),
    ],
)
def test_a_broken_connection_is_unreachable(script: Callable[[WireServer, Wire], None]) -> None:
    with WireServer(script) as server:
        answer = call(server)
    assert isinstance(answer, CallFailed)
    assert answer.code == "api.unreachable"
    assert str(server.port) not in answer.message


def test_nobody_listens() -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        answer = HttpGateway((f"127.0.0.1:{port}",)).attempt(
            HttpRequest("GET", f"http://127.0.0.1:{port}"), "k"
        )
    assert isinstance(answer, CallFailed)
    assert answer.code == "api.unreachable"


# Redirects


def test_a_get_follows_and_keeps_its_headers_on_the_same_origin() -> None:
    with WireServer(answering(b"", "301 Moved", "Location: /b?c=d"), answering(b'{"ok":1}')) as server:
        answer = call(server, HttpRequest("GET", server.url + "/a", headers=(("Authorization", "t"),)))
    assert isinstance(answer, HttpAnswer)
    assert answer.body == {"ok": 1}
    assert sent(server, 1)[0] == "GET /b?c=d HTTP/1.1"
    assert sent(server, 1)[1]["authorization"] == "t"


def test_another_origin_gets_no_credentials() -> None:
    with (
        WireServer(answering(b'{"ok":1}')) as other,
        WireServer(answering(b"", "302 Found", f"Location: {other.url}/z")) as server,
    ):
        gateway = HttpGateway((f"127.0.0.1:{server.port}", f"127.0.0.1:{other.port}"))
        headers = (("Authorization", "secret"), ("X-Api-Key", "secret"), ("Cookie", "secret"))
        answer = gateway.attempt(HttpRequest("GET", server.url, headers=headers), "k")
    assert isinstance(answer, HttpAnswer)
    assert b"secret" in server.requests[0]
    assert b"secret" not in other.requests[0]
    assert sent(other)[1]["host"] == f"127.0.0.1:{other.port}"


def test_a_redirect_to_a_private_address_is_blocked() -> None:
    with WireServer(answering(b"inside")) as inside:
        for location in (
            inside.url,
            inside.url.replace("http:", ""),
            "http://169.254.169.254/latest/meta-data",
        ):
            with WireServer(answering(b"", "302 Found", f"Location: {location}")) as server:
                answer = call(server)
            assert isinstance(answer, CallFailed)
            assert answer.code == "api.blocked_address"
    assert inside.requests == []


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("file:///etc/passwd", "api.bad_url"),
        ("http://[", "api.bad_url"),
        ("gopher://x", "api.bad_url"),
        ("/loop", "api.bad_status"),
    ],
)
def test_redirects_that_lead_nowhere(location: str, code: str) -> None:
    with WireServer(answering(b"", "302 Found", f"Location: {location}")) as server:
        answer = call(server)
    assert isinstance(answer, CallFailed)
    assert answer.code == code
    assert len(server.requests) == (4 if code == "api.bad_status" else 1)


def test_a_post_is_never_repeated_elsewhere() -> None:
    with WireServer(answering(b"", "307 Temporary Redirect", "Location: /b")) as server:
        answer = call(server, HttpRequest("POST", server.url, body={}))
    assert isinstance(answer, CallFailed)
    assert (answer.code, answer.status, len(server.requests)) == ("api.bad_status", 307, 1)


# Where it may go


class Internet:
    """Names and connections of a test: what is asked is written down, and nothing leaves the machine."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, list[list[str]]] = {}
        self.looked_up: list[str] = []
        self.connected: list[tuple[str, int]] = []
        self.serves: dict[str, int] = {}
        self._real = urllib3.util.connection.create_connection
        self._real_lookup = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)
        monkeypatch.setattr(urllib3.util.connection, "create_connection", self._connect)

    def _look_up(self, host: str, port: int, *args: Any, **options: Any) -> Any:
        if host not in self.names:
            options["flags"] = options.get("flags", 0) | socket.AI_NUMERICHOST  # never ask a real server
            return self._real_lookup(host, port, *args, **options)
        self.looked_up.append(host)
        answers = self.names[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in addresses
        ]

    def _connect(self, address: tuple[str, int], *args: Any, **options: Any) -> socket.socket:
        host = address[0].strip("[]")
        self.connected.append((host, address[1]))
        if host not in self.serves:
            raise ConnectionRefusedError
        return self._real(("127.0.0.1", self.serves[host]), *args, **options)


@pytest.fixture
def internet(monkeypatch: pytest.MonkeyPatch) -> Internet:
    return Internet(monkeypatch)


PRIVATE_URLS = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://127.0.0.1./",
    "http://134744072/",  # 8.8.8.8, but nobody writes it like that
    "http://0x08080808/",
    "http://8.8.2056/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.100.100.200/",
    "http://192.0.0.192/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://192.88.99.1/",
    "http://[::]/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fd00:ec2::254]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://[5f00::1]/",
    "http://①２７.0.0.1/",
    "http://user@127.0.0.1/",
    "http://example.com@127.0.0.1/",
    "http://user:pw@example.com/",
    "http://localhost.test/",
    "http://localhost.test./",
    "http://mapped.test/",
    "https://localhost.test/",
    "http://public.test:22/",
    "http://public.test:6379/",
    "http://public.test:27017/",
    "https://public.test:8443/",
]


@pytest.mark.parametrize("url", PRIVATE_URLS)
def test_private_addresses_are_blocked(url: str, internet: Internet) -> None:
    for name in ("localhost.test", "localhost.test."):
        internet.names[name] = [["127.0.0.1"]]
    internet.names["mapped.test"] = [["::ffff:10.0.0.1"]]
    internet.names["public.test"] = [[PUBLIC]]
    answer = HttpGateway(tls=TRUST).attempt(HttpRequest("GET", url), "k")
    assert isinstance(answer, CallFailed)
    assert answer.code == "api.blocked_address"
    assert internet.connected == []
    assert "10.0.0.1" not in answer.message


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com",
        "ftp://example.com",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://",
        "http:///path",
        "http://exa mple.com",
        "http://example.com\r\nX: y",
        "http://example.com/\x00",
        "http://127.0.0.1\\@example.com/",
        "http://[::1",
        "http://[bad]/",
        "http://x:99999/",
        "http://x:abc/",
        "http://" + "a" * 9000,
        "http://" + "a" * 64 + ".test/",
        "http://.test/",
        "http://*.test/",
        "http://a..test/",
        "http://xn--\u00e4.test/",
        "http://①②⑦.⓪.⓪.①/",
        "http://\ud800.test/",
        "http://example.com/\ud800",
    ],
)
def test_urls_that_are_none(url: str, internet: Internet) -> None:
    answer = HttpGateway(tls=TRUST).attempt(HttpRequest("GET", url), "k")
    assert isinstance(answer, CallFailed)
    assert answer.code == "api.bad_url"
    assert internet.connected == []


@settings(deadline=None)  # a look-up is a thread, and threads wait on a busy machine
@given(st.text(max_size=60) | st.from_regex(r"https?://[0-9a-fA-Fx.:@\[\]%\\/]{0,30}"))
def test_no_url_raises_or_connects_to_this_machine(url: str) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        internet = Internet(monkeypatch)
        answer = HttpGateway(tls=TRUST).attempt(HttpRequest("GET", url), "k")
    assert isinstance(answer, CallFailed)
    assert all(host.count(".") == 3 or host.startswith("2") for host, _ in internet.connected)
    assert not any(
        host.startswith(("127.", "10.", "0.", "169.254.", "192.168.")) for host, _ in internet.connected
    )


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "100.64.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "::1",
        "2001:db8::1",
        "x",
        "",
    ],
)
def test_our_own_rule_knows_private_addresses_without_the_librarys(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700::1111"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


def test_public_names_are_pinned(internet: Internet) -> None:
    """One look-up, and the connection goes to what was looked up: a second, different answer is never asked."""
    internet.names["rebind.test"] = [[PUBLIC], ["127.0.0.1"]]
    with WireServer(answering(b'{"ok":1}')) as server:
        internet.serves[PUBLIC] = server.port
        answer = HttpGateway(tls=TRUST).attempt(HttpRequest("GET", "http://rebind.test/a"), "k")
    assert isinstance(answer, HttpAnswer)
    assert internet.looked_up == ["rebind.test"]
    assert internet.connected == [(PUBLIC, 80)]
    assert sent(server)[1]["host"] == "rebind.test"


def test_public_ipv6(internet: Internet) -> None:
    internet.names["six.test"] = [["2606:4700::1111"]]
    with WireServer(answering(b"{}")) as server:
        internet.serves["2606:4700::1111"] = server.port
        assert isinstance(
            HttpGateway(tls=TRUST).attempt(HttpRequest("GET", "http://six.test"), "k"), HttpAnswer
        )


@pytest.mark.parametrize(
    ("certified", "reached"), [("api.test", True), ("other.test", False), (PUBLIC, False)]
)
def test_the_certificate_is_for_the_name(
    certified: str, tmp_path: Path, internet: Internet, *, reached: bool
) -> None:
    identity, client = make_identity(tmp_path, certified)
    internet.names["api.test"] = [[PUBLIC]]
    with WireServer(answering(b"{}"), tls=identity) as server:
        internet.serves[PUBLIC] = server.port
        answer = HttpGateway(tls=client).attempt(HttpRequest("GET", "https://api.test/"), "k")
    assert isinstance(answer, HttpAnswer) is reached
    assert bool(server.requests) is reached
    if isinstance(answer, CallFailed):
        assert answer == CallFailed(
            "api.unreachable", "The server's certificate or TLS is not valid.", duration_ms=answer.duration_ms
        )


def test_an_opened_host_needs_a_valid_certificate_too(tmp_path: Path) -> None:
    identity, client = make_identity(tmp_path, "other.test")
    with WireServer(answering(b"{}"), tls=identity) as server:
        assert isinstance(call(server, tls=client), CallFailed)
    assert server.requests == []


def test_an_opened_host_is_opened_exactly(internet: Internet) -> None:
    internet.names["crm.test"] = [["10.0.0.5"]]
    with WireServer(answering(b"{}")) as server:
        internet.serves["crm.test"] = server.port
        gateway = HttpGateway(("CRM.test", "crm.test:8003"))
        reached = {
            url: isinstance(gateway.attempt(HttpRequest("GET", url), "k"), HttpAnswer)
            for url in (
                "http://crm.test",
                "http://CRM.TEST:8003",
                "http://crm.test:8004",
                "http://a.crm.test",
                "http://10.0.0.5",
            )
        }
    assert list(reached.values()) == [True, True, False, False, False]


@pytest.mark.parametrize("entry", ["", "http://x", "x:0", "x:70000", "x y", "x:", "*"])
def test_entries_that_are_no_host(entry: str) -> None:
    with pytest.raises(ConfigurationError):
        HttpGateway((entry,))


def test_a_name_without_an_address(internet: Internet, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    answer = HttpGateway(tls=TRUST).attempt(HttpRequest("GET", "http://nowhere.test"), "k")
    assert isinstance(answer, CallFailed)
    assert answer.code == "api.unreachable"
    assert internet.connected == []


def test_a_slow_name_server_runs_into_the_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(20))
    answer = HttpGateway(tls=TRUST).attempt(HttpRequest("GET", "http://slow.test", timeout_seconds=0.3), "k")
    over.set()
    assert isinstance(answer, CallFailed)
    assert answer.code == "api.timeout"


# Retries


@pytest.mark.parametrize(
    ("failed", "retryable"),
    [
        (CallFailed("api.timeout", ""), True),
        (CallFailed("api.unreachable", ""), True),
        (CallFailed("api.bad_status", "", status=503), True),
        (CallFailed("api.bad_status", "", status=429), True),
        (CallFailed("api.bad_status", "", status=400), False),
        (CallFailed("api.bad_status", "", status=501), False),
        (CallFailed("api.blocked_address", ""), False),
        (CallFailed("api.too_large", ""), False),
        (CallFailed("api.bad_answer", ""), False),
        (CallFailed("api.bad_url", ""), False),
    ],
)
def test_what_is_worth_another_try(failed: CallFailed, *, retryable: bool) -> None:
    assert is_retryable(failed) is retryable


def test_delays_double() -> None:
    request = HttpRequest("GET", "http://x", max_retries=3, retry_delay_seconds=2)
    assert [next_delay(request, attempt) for attempt in range(5)] == [None, 2, 4, 8, None]
    patient = HttpRequest("GET", "http://x", max_retries=10_000, retry_delay_seconds=2)
    assert next_delay(patient, 9_999) == 300
    assert next_delay(HttpRequest("GET", "http://x", retry_delay_seconds=-1), 1) == 0
