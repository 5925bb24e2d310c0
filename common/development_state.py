"""What a development installation remembers of itself: generated secrets, and where its database runs."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dotenv import dotenv_values

from common.secrets import new_key

STATE_FILE: Final = "development.env"


def read_development_state(local_state_dir: str = ".local") -> dict[str, str]:
    """What the local state file says; nothing where there is none."""
    path = Path(local_state_dir) / STATE_FILE
    if not path.is_file():
        return {}
    return {name: text for name, text in dotenv_values(path, interpolate=False).items() if text}


def ensure_development_state(local_state_dir: str = ".local") -> dict[str, str]:
    """Generate the secrets that the local state file lacks, keep them there, and return all it says."""
    state = read_development_state(local_state_dir)
    generated = {
        "JWT_SECRET": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": f"local:{new_key()}",
        "META_APP_SECRET": secrets.token_hex(16),
        "WEBHOOK_VERIFY_TOKEN": secrets.token_urlsafe(24),
    }
    complete = {**generated, **state}
    if complete != state:
        write_development_state(complete, local_state_dir)
    return complete


def write_development_state(state: Mapping[str, str], local_state_dir: str = ".local") -> None:
    """Replace the local state file at once; only its owner may read it."""
    folder = Path(local_state_dir)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=folder, prefix=".state-")  # mode 0600
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("# Written by scripts/up. Secrets of this machine's development installation.\n")
        file.writelines(f"{name}={_quote(state[name])}\n" for name in sorted(state))
    Path(name).replace(folder / STATE_FILE)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
