"""Which background processes there should be, and which have not been seen of late."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

KINDS: Final = ("worker", "timer")
# Longer than any start or pause; a process says that it is there every ten seconds.
SILENT_SECONDS: Final = 60.0


def missing_kinds(seconds_since: Mapping[str, float]) -> list[str]:
    """The kinds of processes of which none was seen for a minute: messages are accepted, and nobody answers."""
    return [kind for kind in KINDS if seconds_since.get(kind, SILENT_SECONDS) >= SILENT_SECONDS]
