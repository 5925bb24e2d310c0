"""Looking at the product's processes from the outside."""

from __future__ import annotations

import json
import signal
from typing import Any

import psutil

from scripts.local.stack import Running
from tests.support.waiting import wait_until


def is_frozen(process: Running) -> bool:
    """Whether a process stands still after SIGSTOP."""
    return process.is_running and psutil.Process(process.pid).status() == psutil.STATUS_STOPPED


def wait_until_frozen(process: Running) -> None:
    """Wait until it hit its PAUSEPOINT."""
    wait_until(lambda: is_frozen(process), f"{process.name} stops at its pause point")


def thaw(process: Running) -> None:
    """Let a frozen process go on."""
    process.send(signal.SIGCONT)


def logged(process: Running, event: str | None = None) -> list[dict[str, Any]]:
    """What a process has logged; with `event`, only such lines."""
    lines = [json.loads(line) for line in process.log().splitlines() if line.startswith("{")]
    return [line for line in lines if event is None or line["event"] == event]


def wait_until_logged(process: Running, event: str, seconds: float = 15.0) -> dict[str, Any]:
    """The first such line of a process's log, as soon as it is there."""
    return wait_until(lambda: logged(process, event), f"{process.name} logs {event}", seconds)[0]


def wait_until_let_go(process: Running) -> None:
    """Wait until it says that a lane is not its own any more: lost, or handed back after a commit that failed."""
    wait_until(
        lambda: logged(process, "lane.lost") or logged(process, "lane.given_back"),
        f"{process.name} lets go of its lane",
        15,
    )
