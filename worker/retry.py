"""How long a job that failed waits: exponentially longer, with jitter, up to a limit."""

from __future__ import annotations

import random

from common.settings import Settings

_jitter = random.Random()  # noqa: S311 - spreads load, guards nothing


def retry_after(attempts: int, settings: Settings) -> float:
    """Seconds to wait after the `attempts`-th failure (1 = the first)."""
    delay = min(settings.retry_base_seconds * 2.0 ** (attempts - 1), settings.retry_max_seconds)
    return delay * (0.5 + _jitter.random() / 2)
