"""Starting and stopping background processes: signals, heartbeats, and as many worker processes as set."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from common.errors import ConfigurationError, StoreUnavailable
from common.ids import new_ulid
from common.log import configure_logging
from common.settings import Settings, load_settings
from common.store.database import Role, check_replica_set, connect
from common.store.store import DatabaseError, Store
from worker import metrics
from worker.timer_worker import TimerWorker

log = structlog.get_logger()

_USAGE = "usage: python -m worker jobs|timers"
_HEARTBEAT_SECONDS = 10.0
_EXIT_USAGE = 2
# A worker process that ended by itself is started again, but not in a tight circle.
_RESTART_SECONDS = 1.0
# Ctrl+C and process runners signal the whole group, and our supervisor passes the signal on: that is one wish.
_SAME_SIGNAL_SECONDS = 0.5


class _Process(Protocol):
    def run(self) -> None: ...

    def stop(self) -> None: ...


def main(arguments: Sequence[str]) -> int:
    """Run what the command line asks for; returns the exit status."""
    if list(arguments) not in (["jobs"], ["timers"], ["jobs", "--alone"]):
        sys.stderr.write(f"{_USAGE}\n")
        return _EXIT_USAGE
    try:
        settings = load_settings()
        kind = "worker" if arguments[0] == "jobs" else "timer"
        configure_logging(settings, kind)
        if kind == "worker" and settings.worker_processes > 1 and "--alone" not in arguments:
            return _supervise(settings.worker_processes, settings.worker_metrics_port)
        return _run(kind, settings)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _run(kind: str, settings: Settings) -> int:
    role: Role = "worker" if kind == "worker" else "timer"
    pool_size = settings.worker_threads + settings.worker_effect_threads + settings.worker_send_threads + 8
    store = Store(connect(settings.mongodb_uri, settings.mongodb_database, role, pool_size=pool_size))
    owner = f"{socket.gethostname()}:{os.getpid()}:{new_ulid()}"
    process = _make(kind, store, settings, owner)
    stopped = threading.Event()
    told_at = 0.0

    def stop(_number: int, _frame: object) -> None:
        nonlocal told_at
        now = time.monotonic()
        if not stopped.is_set():
            told_at = now
            stopped.set()
            process.stop()
        elif now - told_at > _SAME_SIGNAL_SECONDS:  # told twice: now
            os._exit(1)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    metrics.serve(settings, kind)
    _wait_for_database(store, stopped)
    heart = threading.Thread(target=_beat, args=(store, owner, kind, stopped), daemon=True)
    heart.start()
    log.info("process.started", kind=kind, owner=owner)
    process.run()
    heart.join(2)
    store.close()
    return 0


def _make(kind: str, store: Store, settings: Settings, owner: str) -> _Process:
    if kind == "timer":
        return TimerWorker(store, settings)
    # Only a worker pays for engine and gateways; the timer stays small.
    from common.gateways.whatsapp.gateway import WhatsAppGateway  # noqa: PLC0415
    from worker.job_worker import JobWorker  # noqa: PLC0415

    gateway = WhatsAppGateway(
        settings.graph_base_url,
        settings.graph_version,
        timeout_seconds=settings.graph_timeout_seconds,
        pool_size=settings.worker_send_threads,
    )
    return JobWorker(store, settings, gateway, owner)


def _wait_for_database(store: Store, stopped: threading.Event) -> None:
    """A database that is not up yet is waited for; a standalone one is refused (ConfigurationError)."""
    while not stopped.is_set():
        try:
            check_replica_set(store.database)
        except StoreUnavailable as error:
            log.warning("process.waits_for_database", error=str(error)[:200])
            stopped.wait(_RESTART_SECONDS)
        else:
            return


def _beat(store: Store, owner: str, kind: str, stopped: threading.Event) -> None:
    details = {"host": socket.gethostname(), "pid": os.getpid()}
    while not stopped.is_set():
        _try(lambda: store.heartbeats.beat(owner, kind, details))
        stopped.wait(_HEARTBEAT_SECONDS)
    _try(lambda: store.heartbeats.stop(owner))


def _try(action: Callable[[], None]) -> None:
    try:
        action()
    except DatabaseError as error:
        log.warning("heartbeat.failed", error=type(error).__name__)


def _supervise(count: int, metrics_port: int) -> int:
    """Keep so many worker processes running; pass on the signal to stop, and wait for them.

    Each serves its metrics at a port of its own, from `metrics_port` (0: none) on.
    """
    stopped = threading.Event()
    command = [sys.executable, "-m", "worker", "jobs", "--alone"]

    def start(place: int) -> subprocess.Popen[bytes]:
        port = metrics_port + place if metrics_port else 0
        return subprocess.Popen(command, env={**os.environ, "WORKER_METRICS_PORT": str(port)})  # noqa: S603 - our own command

    processes = [start(place) for place in range(count)]

    def stop(number: int, _frame: object) -> None:
        stopped.set()
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not stopped.is_set():
        time.sleep(_RESTART_SECONDS)
        for place, process in enumerate(processes):
            if process.poll() is not None and not stopped.is_set():
                log.error("worker.ended", pid=process.pid, status=process.returncode)
                processes[place] = start(place)
    return max(process.wait() for process in processes)
