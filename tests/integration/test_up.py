"""`scripts/up`, for real: it starts everything, once; stops everything; and keeps what it knew."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from common.development_state import read_development_state
from scripts.local.up_lock import AlreadyRunningError, UpLock

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60.0


class Up:
    """A `scripts/up` in a state folder of its own, without what the environment of the test run says."""

    def __init__(self, state_dir: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.state_dir = state_dir
        self.output = state_dir.parent / "up.log"
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environ |= {"LOCAL_STATE_DIR": str(self.state_dir), "PORT": str(self.port)}
        with self.output.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "scripts.local.up"],
                cwd=ROOT,
                env=environ,
                stdout=output,
                stderr=output,
            )
        self._started.append(process)
        return process

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end, self.said()
            time.sleep(0.05)

    def until_ready(self, process: subprocess.Popen[bytes]) -> None:
        self.until(lambda: "Ready:" in self.said() or process.poll() is not None)
        assert process.poll() is None, self.said()

    def end_all(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.terminate()
                process.wait(SECONDS)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    running = Up(tmp_path / "state")
    yield running
    running.end_all()


def test_it_starts_once_stops_cleanly_and_keeps_what_it_knew(up: Up) -> None:
    first = up.start()
    up.until_ready(first)
    with urllib.request.urlopen(f"http://127.0.0.1:{up.port}/health/ready", timeout=5) as answer:
        assert json.load(answer)["status"] == "ok"
    before = read_development_state(str(up.state_dir))
    assert before["GRAPH_BASE_URL"].endswith(f":{before['LOCAL_PEERS_PORT']}/graph")

    second = up.start()
    assert second.wait(SECONDS) == 1
    assert f"It runs already (process {first.pid})" in up.said()

    first.send_signal(signal.SIGINT)
    assert first.wait(SECONDS) == 0
    listed = subprocess.run(["pgrep", "-f", str(up.state_dir)], capture_output=True, check=False)
    assert listed.stdout == b""  # neither database nor peers are left
    stopped = read_development_state(str(up.state_dir))
    assert "MONGODB_URI" not in stopped

    third = up.start()
    up.until_ready(third)
    after = read_development_state(str(up.state_dir))
    assert {name: after[name] for name in stopped} == stopped
    assert after["GRAPH_BASE_URL"] == before["GRAPH_BASE_URL"]
    third.terminate()
    assert third.wait(SECONDS) == 0


def test_a_taken_port_is_named_with_the_way_out(up: Up) -> None:
    with socket.socket() as somebody:
        somebody.bind(("0.0.0.0", up.port))  # noqa: S104 - as gunicorn would
        somebody.listen()
        assert up.start().wait(SECONDS) == 1
    assert f"PORT={up.port + 1} ./scripts/up" in up.said()


def test_production_is_refused(up: Up, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "scripts.local.up"],
        cwd=ROOT,
        env={"APP_ENV": "production", "LOCAL_STATE_DIR": str(up.state_dir), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "scripts/up is for development" in done.stderr
    assert not up.state_dir.exists()


def test_what_a_killed_start_left_behind_is_named(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], start_new_session=True) as left:
        (tmp_path / "up.json").write_text(json.dumps({"pid": 1, "url": "", "started": [left.pid]}))
        lock = UpLock(tmp_path)
        with pytest.raises(AlreadyRunningError, match=f"kill -- -{left.pid}"):
            lock.take("http://localhost:1")
        left.kill()
        left.wait()
        lock.take("http://localhost:1")
        lock.release()
    assert (tmp_path / "up.json").read_text() == ""
