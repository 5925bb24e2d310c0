"""`scripts/up`: a whole installation on this machine, from the database to the processes, until Ctrl+C."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from types import FrameType
from typing import Final

from dotenv import load_dotenv

from common.development_state import ensure_development_state, read_development_state, write_development_state
from common.errors import ConfigurationError
from common.settings import Settings, load_settings
from scripts.local.mongod import EmbeddedMongod, MongodError
from scripts.local.peers import LocalPeers, PeersError
from scripts.local.processes import ProcfileProcesses
from scripts.local.up_lock import AlreadyRunningError, UpLock

# What only holds while it runs. It stands in the state file meanwhile, so that `flask …` finds everything.
WHILE_RUNNING: Final = (
    "MONGODB_URI", "GRAPH_BASE_URL", "OPENAI_BASE_URL", "HTTP_ALLOWED_HOSTS", "PORT",
)  # fmt: skip
PREPARATIONS: Final = ("indexes", "seed")
STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class UpError(Exception):
    """It cannot start; the message says why and what to do."""


def main() -> int:
    """Start, run, stop. 0 after Ctrl+C or SIGTERM."""
    load_dotenv(".env")  # never over the environment; the children inherit it
    for number in STOP_SIGNALS:
        signal.signal(number, _stop)
    try:
        with ExitStack() as on_exit:
            try:
                return _Installation(on_exit).run()
            finally:
                for number in STOP_SIGNALS:  # stopping is under way; a second Ctrl+C must not cut it short
                    signal.signal(number, signal.SIG_IGN)
    except _Stopped:
        return 0
    except (UpError, AlreadyRunningError, ConfigurationError, MongodError, PeersError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


class _Stopped(BaseException):
    """Somebody said stop before the processes ran, or while they were ending."""


def _stop(number: int, _frame: FrameType | None) -> None:
    if number == signal.SIGHUP:  # the terminal was closed; honcho knows only SIGTERM and SIGINT
        os.kill(os.getpid(), signal.SIGTERM)
        return
    raise _Stopped


class _Installation:
    """Everything that is started, in order; `on_exit` ends it in the reverse order."""

    def __init__(self, on_exit: ExitStack) -> None:
        self._on_exit = on_exit
        self._state_dir = Path(os.environ.get("LOCAL_STATE_DIR") or ".local")
        self._given = dict(os.environ)
        self._mongod: EmbeddedMongod | None = None
        self._peers: LocalPeers | None = None
        self._running: dict[str, str] = {}
        self._is_announced = False

    def run(self) -> int:
        if self._given.get("APP_ENV", "development") != "development":
            raise UpError(
                "scripts/up is for development. In production, start the Procfile's processes yourself."
            )
        port = self._port()
        self._url = f"http://localhost:{port}"
        self._lock = UpLock(self._state_dir)
        self._lock.take(self._url)
        self._on_exit.callback(self._lock.release)
        _refuse_taken(port)
        self._begin_state()
        self._start_database()
        self._start_peers(port)
        settings = load_settings()
        for command in PREPARATIONS:
            self._prepare(command)
        return self._run_processes(settings)

    def _port(self) -> int:
        text = self._given.get("PORT") or "5000"
        if not text.isdecimal():
            raise UpError(f"PORT must be a number, not {text!r}.")
        return int(text)

    def _begin_state(self) -> None:
        state = ensure_development_state(str(self._state_dir))
        self._peers_port = int(state.get("LOCAL_PEERS_PORT", "0"))
        self._keep({})  # forget what an earlier start, that was killed, left behind
        # Registered before anything starts, so it runs after everything has stopped.
        self._on_exit.callback(self._keep, {})

    def _keep(self, running: dict[str, str]) -> None:
        """Have the state file say that this is running, and nothing else."""
        lasting = read_development_state(str(self._state_dir))
        lasting = {name: value for name, value in lasting.items() if name not in WHILE_RUNNING}
        if self._peers is not None:  # the same port the next time: the sample bot's variables name it
            lasting["LOCAL_PEERS_PORT"] = str(self._peers.port)
        write_development_state({**lasting, **running}, str(self._state_dir))
        self._running = running

    def _start_database(self) -> None:
        uri = self._given.get("MONGODB_URI")
        if not uri:
            print("Starting MongoDB …", flush=True)
            self._mongod = EmbeddedMongod(self._state_dir / "mongodb")
            self._on_exit.callback(_say_and("Stopping MongoDB …", self._mongod.stop))
            self._mongod.start()
            uri = self._mongod.uri
        self._keep({**self._running, "MONGODB_URI": uri})

    def _start_peers(self, port: int) -> None:
        """Without a Meta app of one's own, messages go to a WhatsApp on this machine."""
        running = {**self._running, "PORT": str(port)}
        if not self._given.get("META_APP_SECRET"):
            secret = read_development_state(str(self._state_dir))["META_APP_SECRET"]
            webhook_url = f"http://127.0.0.1:{port}/api/webhook/whatsapp"
            print("Starting the local WhatsApp, OpenAI and CRM peers …", flush=True)
            self._peers = LocalPeers(self._state_dir, webhook_url, secret)
            self._on_exit.callback(self._peers.stop)
            self._peers.start(self._peers_port)
            self._lock.write(self._url, self._peers_pids())
            running.update(self._peers.settings())
        self._keep(running)

    def _peers_pids(self) -> list[int]:
        return [self._peers.pid] if self._peers and self._peers.pid else []

    def _environment(self) -> dict[str, str]:
        """What the children see: what was given, what runs here, and this virtual environment's programs first."""
        programs = str(Path(sys.executable).parent)
        path = f"{programs}{os.pathsep}{self._given.get('PATH', '')}"
        python = {"PATH": path, "PYTHONUNBUFFERED": "1"}
        return {**self._running, **self._given, **python}

    def _prepare(self, command: str) -> None:
        print(f"flask {command}", flush=True)
        done = subprocess.run([sys.executable, "-m", "flask", command], env=self._environment(), check=False)
        if done.returncode:
            raise UpError(f"`flask {command}` failed; the reason stands above.")

    def _run_processes(self, settings: Settings) -> int:
        self._processes = ProcfileProcesses(
            Path("Procfile"), self._environment(), settings.stop_seconds + 5, self._look_around
        )
        returned = self._processes.run()
        if returned:
            print("\nA process ended by itself; the reason stands above.", file=sys.stderr)
        return returned

    def _look_around(self) -> None:
        """While the processes run: say when all is ready, and end if what they need has ended."""
        if self._mongod is not None and not self._mongod.process.is_running():
            print("MongoDB has ended; see", self._mongod.process.log_path)
            self._processes.terminate()
        elif self._peers is not None and not self._peers.is_running():
            print("The local peers have ended; see", self._state_dir / "peers.log")
            self._processes.terminate()
        elif not self._is_announced and _is_ready(self._running["PORT"]):
            self._is_announced = True
            self._lock.write(self._url, [*self._peers_pids(), *self._processes.pids()])
            print(_welcome(self._url, self._peers), flush=True)


def _say_and(words: str, stop: Callable[[], None]) -> Callable[[], None]:
    def say_and_stop() -> None:
        print(words)
        stop()

    return say_and_stop


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - where gunicorn will listen
        except OSError as error:
            raise UpError(
                f"Port {port} cannot be used ({error.strerror}). Choose another: PORT={port + 1} ./scripts/up"
            ) from error


def _is_ready(port: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=1) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except (OSError, HTTPException):
        return False


def _welcome(url: str, peers: LocalPeers | None) -> str:
    lines = ["", f"  Ready: {url}", ""]
    if peers is not None:
        lines += [
            "  Talk to the sample bot, from another terminal:  .venv/bin/flask chat",
            f"  Its messages go to a WhatsApp on this machine ({peers.url}), not to Meta.",
        ]
    else:
        lines.append(
            f"  Meta's webhook goes to {url}/api/webhook/whatsapp, through a public https address of yours."
        )
    return "\n".join([*lines, "  Stop everything: Ctrl+C", ""])


if __name__ == "__main__":
    sys.exit(main())
