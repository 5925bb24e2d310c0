"""Named places where a test may kill or freeze the process, as `kill -9` or `kill -STOP` would; nothing elsewhere.

`CRASHPOINT=K5` ends the process at the first hit of K5; `CRASHPOINT=K5:3` at the third. `PAUSEPOINT=K5` stops it
there, until somebody sends SIGCONT: it then goes on as a holder that does not know how late it is.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(slots=True)
class _Trap:
    """What happens at one name, at one hit."""

    name: str
    left: int
    signal: signal.Signals


def _read(environ: Mapping[str, str]) -> list[_Trap]:
    traps = []
    for variable, number in (("CRASHPOINT", signal.SIGKILL), ("PAUSEPOINT", signal.SIGSTOP)):
        name, _, hit = environ.get(variable, "").partition(":")
        if name:
            traps.append(_Trap(name, int(hit or 1), number))
    return traps


_traps = _read(os.environ)
_lock = threading.Lock()


def crashpoint(name: str) -> None:
    """Die or freeze here if the environment says so. The names and places are listed in docs/states.md."""
    for trap in _traps:
        if trap.name != name:
            continue
        with _lock:
            trap.left -= 1
            is_hit = trap.left == 0
        if is_hit:
            # To this very thread: it does not get a step further.
            signal.pthread_kill(threading.get_ident(), trap.signal)
