"""The product's processes and the WhatsApp peer, running, and the load that is let loose on them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from common.store.store import Store
from scripts.bench.bench_flow import REPLY, three_nodes
from scripts.bench.ground import Ground
from scripts.bench.load import Plan, Result
from scripts.local.bots import SAMPLE_NUMBER, make_bot
from scripts.local.stack import ROOT, Running, Stack

# What differs from an installation in production: the customers are few and write often, and all to one number.
BENCH_SETTINGS: Final = {
    "APP_ENV": "production",
    "NUMBER_PER_SECOND": "10000",
    "PAIR_BURST": "10000",
    "INBOUND_PER_MINUTE": "100000",
}
_START_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.02
_SPARE_SECONDS: Final = 30.0


@dataclass(slots=True)
class Replies:
    """What the peer wrote down: when each customer's text was answered (Unix time)."""

    at: dict[str, float] = field(default_factory=dict)
    repeated: int = 0


class System:
    """`with System(ground) as system:` everything runs; afterwards everything has ended."""

    def __init__(self, ground: Ground, name: str, *, starts_workers: bool = True) -> None:
        self._ground = ground
        self._folder = ground.folder / name
        self._folder.mkdir()
        self.store: Store = ground.fresh_store(name, "cli")
        self.stack = Stack(
            self._folder, ground.mongod.uri, self.store.database.name, {**BENCH_SETTINGS, **ground.settings}
        )
        self._record_path = self._folder / "sent.jsonl"
        self._record_path.touch()
        self._read_bytes = 0
        self._replies = Replies()
        self._starts_workers = starts_workers
        self._loads = 0
        self._peer_url = ""
        self.bot_id = ""
        self.web: Running
        self.worker: Running
        self.timer: Running
        self.peer: Running

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def _start(self) -> None:
        self._start_peer()
        keys = self.stack.environ["ENCRYPTION_KEYS"]
        self.bot_id, _ = make_bot(self.store, keys, three_nodes())
        self.web = self.stack.start_web()
        if self._starts_workers:
            self.worker = self.stack.start_worker()
            self.timer = self.stack.start_timer()
            self._wait_for("worker", "timer")

    def _start_peer(self) -> None:
        port_path = self._folder / "peer.port"
        command = [sys.executable, "-m", "scripts.peers", "--port-file", str(port_path), "--window", "off"]
        command += ["--no-pair-limit", "--number-per-second", "0", "--statuses", "off"]
        command += [
            "--webhook-url",
            self.stack.webhook_url,
            "--app-secret",
            self.stack.secrets["META_APP_SECRET"],
        ]
        self.peer = self.stack.start("peer", [*command, "--record", str(self._record_path)])
        end = time.monotonic() + _START_SECONDS
        while not port_path.exists():
            if time.monotonic() > end or not self.peer.is_running:
                raise RuntimeError(f"the WhatsApp peer does not start: {self.peer.log()[-1000:]}")
            time.sleep(_LOOK_SECONDS)
        self._peer_url = f"http://127.0.0.1:{port_path.read_text().strip()}"
        self.stack.environ["GRAPH_BASE_URL"] = f"{self._peer_url}/graph"

    def _wait_for(self, *kinds: str) -> None:
        end = time.monotonic() + _START_SECONDS
        while not set(kinds) <= set(self.store.heartbeats.seconds_since()):
            if time.monotonic() > end:
                raise RuntimeError(f"not started: {self.worker.log()[-1000:]}{self.timer.log()[-1000:]}")
            time.sleep(_LOOK_SECONDS)

    def _end(self) -> None:
        for process in reversed(self.stack.processes):
            if process.is_running:
                process.send(signal.SIGCONT)
                process.stop()
        self._ground.drop(self.store)

    def tell_peer(self, method: str, path: str, body: object = None) -> None:
        """Change what the WhatsApp peer does, through its remote control."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._peer_url}/_control/{path}", data, method=method)  # noqa: S310 - our own loopback address
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - as above
            return

    def plan(self, **wishes: Any) -> Plan:
        """A load on this system."""
        self._loads += 1
        wishes.setdefault("prefix", f"bench{self._loads}x")
        return Plan(
            port=self.stack.port,
            app_secret=self.stack.secrets["META_APP_SECRET"],
            phone_number_id=SAMPLE_NUMBER,
            record_path=str(self._record_path),
            **wishes,
        )

    def run(self, plan: Plan) -> Result:
        """Let the load loose; returns when every POST is answered. Raises RuntimeError where one was refused."""
        plan_path, result_path = (self._folder / f"{plan.prefix}.{name}.json" for name in ("plan", "result"))
        plan_path.write_text(json.dumps(asdict(plan)))
        command = [sys.executable, "-m", "scripts.bench.load", str(plan_path), str(result_path)]
        subprocess.run(command, cwd=ROOT, timeout=plan.most_seconds + _SPARE_SECONDS, check=True)
        result = Result(**json.loads(result_path.read_text()))
        if result.refused:
            raise RuntimeError(f"{result.refused} webhooks were refused: {self.web.log()[-1000:]}")
        return result

    def replies_to(self, texts: list[str], seconds: float = 60.0) -> list[float]:
        """When the peer received the reply to each of these, once it has them all. Raises RuntimeError."""
        end = time.monotonic() + seconds
        while True:
            self._read_record()
            missing = sum(text not in self._replies.at for text in texts)
            if not missing:
                return [self._replies.at[text] for text in texts]
            if time.monotonic() > end:
                log = self.worker.log()[-2000:] if self._starts_workers else ""
                raise RuntimeError(f"{missing} of {len(texts)} messages were not answered: {log}")
            time.sleep(_LOOK_SECONDS)

    @property
    def repeated_replies(self) -> int:
        """Replies that the peer received more than once."""
        return self._replies.repeated

    def _read_record(self) -> None:
        with self._record_path.open("rb") as record:
            record.seek(self._read_bytes)
            for line in record:
                if not line.endswith(b"\n"):
                    break
                self._read_bytes += len(line)
                sent = json.loads(line)
                text = sent["body"].removeprefix(REPLY)
                self._replies.repeated += text in self._replies.at
                self._replies.at.setdefault(text, sent["at"])
