"""All peers behind one loopback port, in a thread of the caller or as the whole of a process."""

from __future__ import annotations

import asyncio
import json
import threading
import traceback
import urllib.error
import urllib.request
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from scripts.peers.control import Control, broken_answer
from scripts.peers.crm import Crm
from scripts.peers.faults import Faults
from scripts.peers.graph_limits import Rules
from scripts.peers.json_text import json_answer
from scripts.peers.misbehaviour import Api, misbehave
from scripts.peers.numbers import SAMPLE_NUMBER_ID, SAMPLE_TOKEN, SAMPLE_WABA_ID, Number
from scripts.peers.openai import SAMPLE_KEY, OpenAI
from scripts.peers.webhooks import Target
from scripts.peers.whatsapp import WhatsApp
from scripts.peers.wire import Listener, Outcome, Request

START_SECONDS = 10.0
CONTROL_SECONDS = 90.0


def sample_number() -> Number:
    """The business number that exists unless others are named."""
    return Number(SAMPLE_NUMBER_ID, SAMPLE_WABA_ID, SAMPLE_TOKEN)


@dataclass(slots=True, kw_only=True)
class Options:
    """How the peers start. `status_delays`: seconds after acceptance, by status name; empty means no statuses."""

    port: int = 0
    target: Target = field(default_factory=Target)
    numbers: list[Number] = field(default_factory=lambda: [sample_number()])
    openai_keys: frozenset[str] = frozenset({SAMPLE_KEY})
    rules: Rules = field(default_factory=Rules)
    status_delays: dict[str, float] = field(default_factory=dict)
    sent_path: Path | None = None


class Peers:
    """The peers and the way to them; made and used inside one event loop."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.faults = Faults()
        self.whatsapp = WhatsApp(options.target, options.sent_path)
        for number in options.numbers:
            self.whatsapp.numbers.add(number)
        self.whatsapp.limits.rules = options.rules
        self.whatsapp.statuses.delays = dict(options.status_delays)
        self.openai = OpenAI(self.whatsapp.clock, options.openai_keys)
        self.crm = Crm()
        self.control = Control(self.whatsapp, self.openai, self.crm, self.faults)
        self._apis: dict[str, Api] = {"graph": self.whatsapp, "openai": self.openai, "crm": self.crm}
        self._listener = Listener(self.handle)
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen; the URL. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._listener.connect, "127.0.0.1", self._options.port, backlog=512
        )
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close everything, finished or not."""
        if self._server is not None:
            self._server.close()
        self._listener.abort_all()
        self.whatsapp.close()
        await asyncio.sleep(0)

    def handle(self, request: Request) -> Outcome | Coroutine[Any, Any, Outcome]:
        """Send the request to its peer; a bug in a peer becomes a 500 and is counted."""
        try:
            outcome = self._route(request)
        except Exception:  # noqa: BLE001 - the border of this server: the client gets an answer, we get the traceback
            return self._note_bug()
        return self._guarded(outcome) if isinstance(outcome, Coroutine) else outcome

    def _route(self, request: Request) -> Outcome | Coroutine[Any, Any, Outcome]:
        name = request.path[1:].partition("/")[0]
        if name == "_control":
            return self.control.handle(request)
        api = self._apis.get(name)
        if api is None:
            return json_answer(
                {"error": {"message": "Here are /graph, /openai/v1, /crm and /_control."}}, 404
            )
        effects = self.faults.draw(api.endpoint(request), request) if self.faults.rules else None
        if effects is None:
            return api.handle(request, None)
        return misbehave(effects, lambda: api.handle(request, effects), api)

    async def _guarded(self, outcome: Coroutine[Any, Any, Outcome]) -> Outcome:
        try:
            return await outcome
        except Exception:  # noqa: BLE001 - as above
            return self._note_bug()

    def _note_bug(self) -> Outcome:
        self.control.broken += 1
        traceback.print_exc()
        return broken_answer()


class PeerServer:
    """The peers in a thread: `with PeerServer(webhook_url=…, app_secret=…) as peers: peers.url …`."""

    def __init__(
        self, *, webhook_url: str | None = None, app_secret: str | None = None, **options: Any
    ) -> None:
        target = Target(url=webhook_url)
        if app_secret is not None:
            target.app_secret = app_secret
        self._options = Options(target=target, **options)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="peers", daemon=True)
        self._is_started = threading.Event()
        self._failure: OSError | None = None
        self._peers: Peers | None = None
        self.url = ""

    @property
    def graph_url(self) -> str:
        """For the setting `graph_base_url`."""
        return f"{self.url}/graph"

    @property
    def openai_url(self) -> str:
        """For the setting `openai_base_url`."""
        return f"{self.url}/openai/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_started.wait(START_SECONDS)
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(START_SECONDS)

    def control(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Ask `/_control/{path}`; raises ValueError with the peer's sentence when it refuses."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_control/{path}", data, method=method)  # noqa: S310 - our own loopback address
        try:
            with urllib.request.urlopen(request, timeout=CONTROL_SECONDS) as response:  # noqa: S310 - as above
                answer: dict[str, Any] = json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise ValueError(json.load(error)["error"]["message"]) from None
        return answer

    def sent(self, to: str | None = None, *, after: int = 0, wait: float = 0) -> list[dict[str, Any]]:
        """Accepted sends, oldest first; with `wait`, up to that many seconds for the first one."""
        person = f"&to={to}" if to is not None else ""
        found: list[dict[str, Any]] = self.control("GET", f"sent?after={after}&wait={wait}{person}")[
            "messages"
        ]
        return found

    def say(self, alias: str, text: str | None = None, **more: object) -> str:
        """The person writes (`text`, `button={"id", "title"}` or `message={…}`); the wamid."""
        wish = more if text is None else {"text": text, **more}
        return str(self.control("POST", f"phones/{alias}/say", wish)["wamid"])

    def fault(self, do: str, **more: object) -> str:
        """Add a fault; its id."""
        return str(self.control("POST", "faults", {"do": do, **more})["id"])

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._peers = Peers(self._options)
            self.url = self._loop.run_until_complete(self._peers.start())
        except OSError as error:
            self._failure = error
            self._is_started.set()
            self._loop.close()
            return
        self._is_started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._peers.stop())
        _cancel_all(self._loop)
        self._loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
