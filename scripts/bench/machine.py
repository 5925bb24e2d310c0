"""Where and with what was measured: without that, no figure means anything."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from pymongo import MongoClient

from scripts.bench.ground import CACHE_GB, Ground
from scripts.bench.system import BENCH_SETTINGS


def describe(ground: Ground) -> dict[str, Any]:
    """The machine, the versions and the settings of this run."""
    client: MongoClient[dict[str, Any]] = MongoClient(ground.mongod.uri)
    with client:
        mongod = client.server_info()["version"]
    return {
        "machine": {
            "cores": os.cpu_count(),
            "processor": _processor(),
            "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
            "system": platform.platform(),
            "load_before": [round(load, 2) for load in os.getloadavg()],
        },
        "versions": {
            "python": platform.python_version(),
            "mongod": mongod,
            **{name: version(name) for name in ("pymongo", "flask", "gunicorn", "urllib3")},
        },
        "settings": {
            "product": {**BENCH_SETTINGS, **ground.settings},
            "mongod_cache_gb": CACHE_GB,
            "processes": "one web, one worker, one timer, one mongod, one peer, one load",
        },
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
