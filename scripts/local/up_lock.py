"""Only one `scripts/up` at a time in a folder, and no processes left over from one that was killed."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any


class AlreadyRunningError(RuntimeError):
    """Another `scripts/up`, or what it left behind, runs; the message says what to do."""


class UpLock:
    """A locked file that names the running `scripts/up` and the processes that it started."""

    def __init__(self, state_dir: Path) -> None:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = (state_dir / "up.json").open("a+")

    def take(self, url: str) -> None:
        """Raises AlreadyRunningError."""
        try:
            # A record lock: our children do not inherit it, so it ends with us, however we end.
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            running = self._read()
            raise AlreadyRunningError(
                f"It runs already (process {running.get('pid', '?')}): {running.get('url', '')}\n"
                "Stop it with Ctrl+C in its terminal."
            ) from error
        left = [pid for pid in self._read().get("started", []) if _leads_a_group(pid)]
        if left:
            groups = " ".join(f"-{pid}" for pid in left)
            raise AlreadyRunningError(
                f"Processes of an earlier start, which was killed, still run. End them: kill -- {groups}"
            )
        self.write(url, [])

    def write(self, url: str, started: list[int]) -> None:
        """Keep who runs, for the next start to see."""
        self._file.seek(0)
        self._file.truncate()
        json.dump({"pid": os.getpid(), "url": url, "started": started}, self._file)
        self._file.flush()

    def release(self) -> None:
        """Everything has ended."""
        self._file.seek(0)
        self._file.truncate()
        self._file.close()

    def _read(self) -> dict[str, Any]:
        self._file.seek(0)
        try:
            written = json.load(self._file)
        except ValueError:
            return {}
        return written if isinstance(written, dict) else {}


def _leads_a_group(pid: int) -> bool:
    """Whether it lives and leads its own group, as honcho's children do; a number used again hardly ever does."""
    try:
        return os.getpgid(pid) == pid
    except (ProcessLookupError, PermissionError):
        return False
