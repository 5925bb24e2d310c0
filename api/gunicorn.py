"""How gunicorn runs the web process: threads, since a request waits for the database and for nothing else."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import Any

from common.log import configure_logging
from common.settings import load_settings

_settings = load_settings()

bind = f"0.0.0.0:{_settings.port}"
worker_class = "gthread"
workers = _settings.web_processes
threads = _settings.web_all_threads
worker_connections = 1000
keepalive = 75  # seconds; longer than the idle time-out of usual proxies, so that they close first
timeout = 60  # a worker process that gives no sign of life for so long is replaced
graceful_timeout = 20  # seconds for running requests after SIGTERM
backlog = 2048
accesslog = None  # requests are logged by the application, with their request id
forwarded_allow_ips = ""  # proxies are the application's business: TRUSTED_PROXIES
control_socket_disable = True
worker_tmp_dir = None


# Metrics of all processes together: each writes files here. Set before anything imports the library.
_metrics_folder = tempfile.mkdtemp(prefix="flow-builder-metrics-")
os.environ["PROMETHEUS_MULTIPROC_DIR"] = _metrics_folder


def child_exit(server: Any, worker: Any) -> None:
    """What a process that ended has counted stays in the sums."""
    del server
    from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 - after the folder is set

    mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(server: Any) -> None:
    """Leave nothing behind."""
    del server
    shutil.rmtree(_metrics_folder, ignore_errors=True)


def on_starting(server: Any) -> None:
    """Send gunicorn's own words through our logs."""
    configure_logging(_settings, "web")
    logger = server.log.error_log
    logger.handlers.clear()
    logger.propagate = True


def post_worker_init(worker: Any) -> None:
    """Live views end when their process is told to stop; it would wait for them otherwise."""
    worker.wsgi.extensions["web"].live.stop_when(lambda: not worker.alive)
    worker.wsgi.extensions["is_draining"] = lambda: not worker.alive
    from api.default_passwords import warn_of_default_passwords  # noqa: PLC0415 - as above

    # Once an installation, not once a process.
    if worker.age == 1:
        warn_of_default_passwords(worker.app.callable)
