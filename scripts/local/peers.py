"""The local peers as a child process of `scripts/up`: where the sample bot's messages go without Meta."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

START_SECONDS: Final = 20.0
STOP_SECONDS: Final = 10.0


class PeersError(RuntimeError):
    """They do not start; the message says where to look."""


class LocalPeers:
    """WhatsApp, OpenAI and CRM on one loopback port. They end after the worker, so that its last sends arrive."""

    def __init__(self, state_dir: Path, webhook_url: str, app_secret: str) -> None:
        self._log_path = state_dir / "peers.log"
        self._port_path = state_dir / "peers.port"
        self._webhook_url = webhook_url
        self._app_secret = app_secret
        self._child: subprocess.Popen[bytes] | None = None
        self.port = 0

    def start(self, port: int = 0) -> None:
        """Start them (on that port, if it is free) and wait until they listen. Raises PeersError."""
        for wanted in dict.fromkeys((port, 0)):
            if self._launch(wanted):
                return
        raise PeersError(f"The local peers do not start; see {self._log_path}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child else None

    def is_running(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def stop(self) -> None:
        """End them and wait; nothing happens if they are not running."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def settings(self) -> Mapping[str, str]:
        """The settings that lead to them."""
        return {
            "GRAPH_BASE_URL": f"{self.url}/graph",
            "OPENAI_BASE_URL": f"{self.url}/openai/v1",
            "HTTP_ALLOWED_HOSTS": f"127.0.0.1:{self.port}",
        }

    def _launch(self, port: int) -> bool:
        self._port_path.unlink(missing_ok=True)
        command = [sys.executable, "-m", "scripts.peers", "--port", str(port)]
        command += ["--port-file", str(self._port_path)]
        command += ["--webhook-url", self._webhook_url, "--app-secret", self._app_secret]
        with self._log_path.open("wb") as log:
            # A session of its own: Ctrl+C in the terminal must not reach them before the worker has ended.
            self._child = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + START_SECONDS
        while self.is_running() and time.monotonic() < end:
            if self._port_path.exists():
                self.port = int(self._port_path.read_text())
                return True
            time.sleep(0.02)
        self.stop()
        return False
