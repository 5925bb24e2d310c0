"""A peer server for each test module, and a web process that only remembers what it was sent."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from scripts.peers.numbers import SAMPLE_NUMBER_ID, SAMPLE_TOKEN
from scripts.peers.openai import SAMPLE_KEY
from scripts.peers.server import PeerServer

APP_SECRET = "the-app-secret-of-these-tests"
USER = "16505551234"


@dataclass
class Delivered:
    """One webhook as it arrived: raw, before anybody parsed it."""

    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def changes(self) -> list[dict[str, Any]]:
        """All values in it."""
        return [change["value"] for entry in json.loads(self.body)["entry"] for change in entry["changes"]]


@dataclass
class WebStub:
    """Takes webhooks, answers the planned statuses first and then 200."""

    url: str = ""
    planned: list[int] = field(default_factory=list)
    delivered: list[Delivered] = field(default_factory=list)
    on_delivery: Callable[[Delivered], None] | None = None
    arrival: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, seconds: float = 10) -> list[Delivered]:
        """All deliveries, as soon as there are so many."""
        with self.arrival:
            assert self.arrival.wait_for(lambda: len(self.delivered) >= count, seconds), self.delivered
            return list(self.delivered)

    def statuses(self, count: int, seconds: float = 10) -> list[dict[str, Any]]:
        """All status elements, as soon as there are so many."""
        with self.arrival:
            assert self.arrival.wait_for(lambda: len(self._statuses()) >= count, seconds), self._statuses()
            return self._statuses()

    def _statuses(self) -> list[dict[str, Any]]:
        return [
            status
            for item in self.delivered
            for value in item.changes
            for status in value.get("statuses", [])
        ]

    def take(self, item: Delivered) -> int:
        """Remember a delivery; the status to answer with."""
        if self.on_delivery is not None:
            self.on_delivery(item)
        with self.arrival:
            self.delivered.append(item)
            self.arrival.notify_all()
            return self.planned.pop(0) if self.planned else 200


@pytest.fixture
def web() -> Iterator[WebStub]:
    """A running web stub."""
    stub = WebStub()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._answer(stub.take(Delivered(headers, body, time.monotonic())), b"")

        def do_GET(self) -> None:
            status = stub.planned.pop(0) if stub.planned else 200
            self._answer(status, self.path.partition("hub.challenge=")[2].partition("&")[0].encode())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    stub.url = f"http://127.0.0.1:{server.server_address[1]}/api/webhook/whatsapp"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield stub
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Caller:
    """Speaks to a peer as the product would."""

    peers: PeerServer
    http: requests.Session

    def graph(
        self, method: str, path: str, *, token: str | None = SAMPLE_TOKEN, **more: Any
    ) -> requests.Response:
        """A Graph request below the version."""
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        return self.http.request(
            method, f"{self.peers.graph_url}/v24.0/{path}", headers=headers, timeout=20, **more
        )

    def send(self, payload: object, **more: Any) -> requests.Response:
        """A send from the sample number."""
        return self.graph("POST", f"{SAMPLE_NUMBER_ID}/messages", json=payload, **more)

    def send_text(self, body: str = "hello", to: str = f"+{USER}", **more: Any) -> requests.Response:
        """A text from the sample number."""
        return self.send(
            {"messaging_product": "whatsapp", "to": to, "type": "text", "text": {"body": body}} | more
        )

    def openai(
        self, method: str, path: str, *, key: str | None = SAMPLE_KEY, **more: Any
    ) -> requests.Response:
        """An OpenAI request."""
        headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
        return self.http.request(
            method, f"{self.peers.openai_url}/{path}", headers=headers, timeout=20, **more
        )

    def crm(self, method: str, path: str, **more: Any) -> requests.Response:
        """A CRM request."""
        return self.http.request(method, f"{self.peers.url}/crm/{path}", timeout=20, **more)


@pytest.fixture(scope="module")
def server() -> Iterator[PeerServer]:
    """Peers without a webhook; use `caller`, which starts every test from nothing."""
    with PeerServer(app_secret=APP_SECRET) as peers:
        yield peers


@pytest.fixture
def caller(server: PeerServer) -> Iterator[Caller]:
    """A client of peers that remember nothing; fails if a peer had a bug meanwhile."""
    server.control("POST", "reset")
    server.control("POST", "webhook", {"url": None})
    server.control("PUT", "statuses", {})
    server.control("PATCH", "rules", DEFAULT_RULES)
    with requests.Session() as session:
        yield Caller(server, session)
    assert server.control("GET", "state")["broken"] == 0


DEFAULT_RULES = {
    "window": "known",
    "pair_limit": True,
    "number_per_second": 0,
    "known_users_only": False,
    "late_refusals": False,
}


@pytest.fixture
def linked(caller: Caller, web: WebStub) -> Caller:
    """As `caller`, with webhooks going to `web` and quick repetitions."""
    wish = {"url": web.url, "app_secret": APP_SECRET, "retry_base_seconds": 0.02, "retry_max_seconds": 0.1}
    caller.peers.control("POST", "webhook", wish)
    return caller
