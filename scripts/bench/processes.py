"""What processes cost: CPU seconds and resident memory, children included."""

from __future__ import annotations

import time
from collections.abc import Iterable

import psutil

_MEGABYTE = 1024 * 1024


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and its living children so far."""
    total = 0.0
    for process in _family(pid):
        times = process.cpu_times()
        total += times.user + times.system
    return total


def cpu_percent(pids: Iterable[int], seconds: float) -> dict[int, float]:
    """How much of one core each of these processes uses, watched for so long."""
    before = {pid: cpu_seconds(pid) for pid in pids}
    started = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - started
    return {pid: (cpu_seconds(pid) - used) / took * 100 for pid, used in before.items()}


def resident_mb(pid: int) -> list[float]:
    """Resident memory of a process and of each of its children, in MiB; the process comes first."""
    return [round(process.memory_info().rss / _MEGABYTE, 1) for process in _family(pid)]


def _family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]
