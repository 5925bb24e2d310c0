"""The product's real processes with chosen settings, for tests and measurements: start, signal, stop, read logs."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from common.secrets import new_key

ROOT = Path(__file__).parents[2]
_START_SECONDS = 30.0
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.05


def free_port() -> int:
    """A loopback port that is free just now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def fresh_secrets() -> dict[str, str]:
    """Random values for every secret that a process needs."""
    return {
        "JWT_SECRET": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": f"k1:{new_key()}",
        "META_APP_SECRET": secrets.token_hex(16),
        "WEBHOOK_VERIFY_TOKEN": secrets.token_urlsafe(24),
    }


class Running:
    """One process of ours, with its log in a file."""

    def __init__(self, name: str, command: list[str], environ: Mapping[str, str], log_path: Path) -> None:
        self.name = name
        self.log_path = log_path
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=dict(environ), stdout=log, stderr=log, start_new_session=True
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children."""
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """As `kill -9`, and wait until it is gone."""
        if self.is_running:
            self.send(signal.SIGKILL)
        self._process.wait(_STOP_SECONDS)

    def stop(self) -> int:
        """As Ctrl+C or a deploy would: SIGTERM, and wait. Returns the exit status."""
        if self.is_running:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def wait(self, seconds: float) -> int:
        """The exit status, once it has ended. Raises TimeoutExpired."""
        return self._process.wait(seconds)

    def log(self) -> str:
        """What it has logged so far."""
        return self.log_path.read_text(errors="replace")


class Stack:
    """Web, workers and timers over one database. `with Stack(…) as stack: stack.start_web() …`."""

    def __init__(self, folder: Path, mongo_uri: str, database: str, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.port = free_port()
        self.secrets = fresh_secrets()
        self.environ = {
            **{
                name: os.environ[name]
                for name in ("PATH", "HOME", "LANG", "PYTHONDONTWRITEBYTECODE")
                if name in os.environ
            },
            **self.secrets,
            "APP_ENV": "test",
            "MONGODB_URI": mongo_uri,
            "MONGODB_DATABASE": database,
            "PORT": str(self.port),
            "LOCAL_STATE_DIR": str(folder / "state"),
            "LOG_FORMAT": "json",
            **settings,
        }
        self.processes: list[Running] = []

    @property
    def webhook_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/webhook/whatsapp"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()

    def start(self, name: str, command: list[str], **settings: str) -> Running:
        """Start one process with these settings on top."""
        place = len(self.processes)
        process = Running(name, command, {**self.environ, **settings}, self.folder / f"{name}-{place}.log")
        self.processes.append(process)
        return process

    def start_web(self, **settings: str) -> Running:
        """Start the web process and wait until it answers."""
        gunicorn = str(Path(sys.executable).with_name("gunicorn"))
        web = self.start("web", [gunicorn, "--config", "api/gunicorn.py", "api.app:create_app()"], **settings)
        self.wait_until_live(web)
        return web

    def start_worker(self, **settings: str) -> Running:
        """Start a worker process."""
        return self.start("worker", [sys.executable, "-m", "worker", "jobs"], **settings)

    def start_timer(self, **settings: str) -> Running:
        """Start a timer process."""
        return self.start("timer", [sys.executable, "-m", "worker", "timers"], **settings)

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a `flask` command to its end."""
        flask = str(Path(sys.executable).with_name("flask"))
        environ = {**self.environ, "FLASK_APP": "api.cli"}
        return subprocess.run(
            [flask, *arguments], cwd=ROOT, env=environ, input=stdin, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip

    def wait_until_live(self, web: Running) -> None:
        """Wait until the web process answers. Raises RuntimeError with its log where it ends instead."""
        deadline = time.monotonic() + _START_SECONDS
        url = f"http://127.0.0.1:{self.port}/health/live"
        while time.monotonic() < deadline:
            if not web.is_running:
                raise RuntimeError(f"{web.name} ended: {web.log()[-2000:]}")
            try:
                with urllib.request.urlopen(url, timeout=1):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(_LOOK_SECONDS)
        raise RuntimeError(f"{web.name} did not answer in {_START_SECONDS:.0f} s: {web.log()[-2000:]}")
