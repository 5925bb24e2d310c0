"""One mongod process on loopback with its data folder: start, adopt, stop, kill."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pymongo import MongoClient
from pymongo.errors import PyMongoError

from scripts.local.mongod_binary import MongodError, find_mongod

if TYPE_CHECKING:
    from collections.abc import Sequence

HOST: Final = "127.0.0.1"
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 60.0
LOG_BYTES: Final = 16 * 1024 * 1024  # an older log is thrown away at the next start
_OPEN_FILES = 64_000
_FILES = "file_manager=(close_idle_time=5,close_scan_interval=2,close_handle_minimum=100)"
_PORT_TAKEN: Final = 48  # mongod's exit code
_LOOK_SECONDS: Final = 0.02


class MongodProcess:
    """A mongod of the replica set `replica_set`, which it does not initiate.

    The folder keeps `db/`, `mongod.log` and `instance.json` (pid and port of the last start).
    """

    def __init__(
        self,
        data_dir: Path | str,
        port: int = 0,
        *,
        cache_gb: float = 0.25,
        replica_set: str = "rs0",
        extra: Sequence[str] = (),
    ) -> None:
        self.data_dir = Path(data_dir).resolve()
        self.replica_set = replica_set
        self.port = 0
        self.pid: int | None = None
        self._wanted_port = port
        self._cache_gb = cache_gb
        self._extra = tuple(extra)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def log_path(self) -> Path:
        return self.data_dir / "mongod.log"

    @property
    def _words_path(self) -> Path:
        """What it says before it opens its log, or instead of it."""
        return self.data_dir / "mongod.out"

    def start(self, *, is_alone: bool = False) -> None:
        """Start it (alone: outside its replica set), or adopt the one that runs on this folder.

        Raises MongodError.
        """
        (self.data_dir / "db").mkdir(parents=True, exist_ok=True)
        if self._is_folder_in_use():
            self._adopt()
            return
        for _ in range(3):  # a port that was free a moment ago may be taken now
            self.port = self._choose_port()
            if self._launch(is_alone=is_alone):
                self._write_instance()
                return
        raise MongodError(f"mongod found port {self.port} taken, three times.")

    def stop(self) -> None:
        """Ask it to end and wait until it has. Nothing happens if it is not running."""
        self._signal(signal.SIGTERM)
        if not self._wait_until_gone(STOP_SECONDS):
            raise MongodError(f"mongod (process {self.pid}) does not end; see {self.log_path}")
        self.pid = self._child = None

    def kill(self) -> None:
        """End it as a crash would (SIGKILL) and wait until it is gone."""
        self._signal(signal.SIGKILL)
        self._wait_until_gone(STOP_SECONDS)
        self.pid = self._child = None

    def is_running(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        # Adopted: the lock tells it, also where a parent has not yet noticed the end of its child.
        return self.pid is not None and self._is_folder_in_use()

    def client(self, timeout_seconds: float = 5.0) -> MongoClient[dict[str, Any]]:
        """A client of this member alone, whatever its state in the set. The caller closes it."""
        return MongoClient(
            HOST,
            self.port,
            directConnection=True,
            serverSelectionTimeoutMS=int(timeout_seconds * 1000),
            connectTimeoutMS=int(timeout_seconds * 1000),
        )

    def _launch(self, *, is_alone: bool) -> bool:
        """Whether it came up; False if the port was taken. Raises MongodError where it ended otherwise."""
        if self.log_path.exists() and self.log_path.stat().st_size > LOG_BYTES:
            self.log_path.unlink()
        # A session of its own: Ctrl+C in the terminal must not reach the database before its clients.
        with self._words_path.open("wb") as words:
            _allow_open_files()
            self._child = subprocess.Popen(
                self._command(is_alone=is_alone),
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                start_new_session=True,
            )
        self.pid = self._child.pid
        end = time.monotonic() + START_SECONDS
        while self._child.poll() is None:
            if _answers(self.port):
                return True
            if time.monotonic() > end:
                self.kill()
                raise MongodError(f"mongod does not answer after {START_SECONDS:.0f} s; see {self.log_path}")
            time.sleep(_LOOK_SECONDS)
        if self._child.returncode == _PORT_TAKEN and not self._wanted_port:
            return False
        raise MongodError(
            f"mongod ended with code {self._child.returncode}; see {self.log_path}\n{self._last_words()}"
        )

    def _command(self, *, is_alone: bool) -> list[str]:
        membership = () if is_alone else ("--replSet", self.replica_set, "--oplogSize", "128")
        return [
            str(find_mongod()),
            *("--dbpath", str(self.data_dir / "db"), "--logpath", str(self.log_path), "--logappend"),
            *("--bind_ip", HOST, "--port", str(self.port), "--nounixsocket", "--quiet"),
            *membership,
            *("--wiredTigerCacheSizeGB", str(self._cache_gb)),
            # Files that nobody uses are closed soon: tests make and drop hundreds of databases, and a limit on open
            # files is reached long before the ten minutes that are usual.
            *("--wiredTigerEngineConfigString", _FILES),
            "--noscripting",  # no $where, no server-side JavaScript
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            # A primary told to end gives the others this long to catch up; alone it would wait for nobody.
            *("--setParameter", "shutdownTimeoutMillisForSignaledShutdown=500"),
            *self._extra,
        ]

    def _choose_port(self) -> int:
        """The port asked for, else the one it had before if that is still free, else any free one."""
        if self._wanted_port:
            if not _is_free(self._wanted_port):
                raise MongodError(f"Port {self._wanted_port} is already in use.")
            return self._wanted_port
        previous = self._read_instance().get("port", 0)
        if previous and _is_free(previous):
            return previous
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
            return port

    def _is_folder_in_use(self) -> bool:
        """Whether a living mongod holds the lock; a lock file that a crash left behind is not locked."""
        try:
            with (self.data_dir / "db" / "mongod.lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def _adopt(self) -> None:
        text = (self.data_dir / "db" / "mongod.lock").read_text().strip()
        holder = int(text) if text.isdecimal() else None
        instance = self._read_instance()
        port = instance.get("port", 0)
        if not holder or instance.get("pid") != holder or self._wanted_port not in (0, port):
            raise MongodError(
                f"The data folder {self.data_dir} is in use by process {holder or '(unknown)'}. "
                "End that process, or choose another folder."
            )
        end = time.monotonic() + START_SECONDS
        while not _answers(port):
            if time.monotonic() > end or not self._is_folder_in_use():
                raise MongodError(f"mongod (process {holder}) runs but does not answer on port {port}.")
            time.sleep(_LOOK_SECONDS)
        self.pid, self.port, self._child = holder, port, None

    def _read_instance(self) -> dict[str, int]:
        try:
            instance = json.loads((self.data_dir / "instance.json").read_text())
            return {"pid": int(instance["pid"]), "port": int(instance["port"])}
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def _write_instance(self) -> None:
        text = json.dumps({"pid": self.pid, "port": self.port})
        (self.data_dir / "instance.json").write_text(text)

    def _signal(self, number: signal.Signals) -> None:
        if self.is_running() and self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _wait_until_gone(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while self.is_running():
            if time.monotonic() > end:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def _last_words(self) -> str:
        words = self._words_path.read_bytes()
        if not words.strip() and self.log_path.exists():
            words = b"\n".join(self.log_path.read_bytes().splitlines()[-3:])
        return words.decode(errors="replace")[-2000:]


def _answers(port: int) -> bool:
    client: MongoClient[dict[str, Any]] = MongoClient(
        HOST, port, directConnection=True, serverSelectionTimeoutMS=200, connectTimeoutMS=200
    )
    with client:
        try:
            client.admin.command("hello")
        except PyMongoError:
            return False
        return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _allow_open_files() -> None:
    """A shell often allows a process 1,024 open files where it could have far more; each index is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
