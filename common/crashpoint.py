"""Named places where a test may kill the process, as `kill -9` would; nothing anywhere else.

`CRASHPOINT=K5` ends the process at the first hit of K5; `CRASHPOINT=K5:3` at the third.
"""

from __future__ import annotations

import os
import signal
import threading

_name, _, _hit = os.environ.get("CRASHPOINT", "").partition(":")
_left = int(_hit or 1)
_lock = threading.Lock()


def crashpoint(name: str) -> None:
    """Die here if the environment says so. The names and places are listed in docs/states.md."""
    global _left  # noqa: PLW0603 - one counter a process is the point
    if name != _name:
        return
    with _lock:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
