"""How long to wait before a refused message is sent again, by what Meta said (whatsapp.md 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from common.gateways.whatsapp.error_table import Action

if TYPE_CHECKING:
    from collections.abc import Callable

JITTER_SHARE = 0.25  # added at random, so that conversations refused together do not come back together
MAX_RETRY_AFTER_SECONDS = 3600.0  # a longer wish is cut: the message is tried then, and may be refused again

# One entry a retry; after the last one the message has failed.
_DELAYS: dict[Action, tuple[float, ...]] = {
    Action.RETRY_PAIR: (1, 4, 16, 64, 256),  # Meta's own rule: 4^X seconds
    # Our own haste, not the message's fault, so it may take a quarter of an hour before it fails.
    Action.RETRY_NUMBER: (1, 2, 4, 8, 16, 32, *(60,) * 14),
    Action.RETRY_APP: (60, 120, 240, 300, 300, 300),  # these limits count by the hour
    Action.RETRY_MAINTENANCE: (5, 10, 20, 40, 60),
    Action.RETRY_TRANSIENT: (2, 8, 30),
    Action.RETRY_ONCE: (2,),
    Action.RETRY_ALTERNATIVE_NUMBER: (0,),
}


def retry_delay(
    action: Action,
    attempt: int,
    random: Callable[[], float],
    retry_after_seconds: float | None = None,
) -> float | None:
    """Seconds until the next attempt after the `attempt`-th one (1 = the first) was refused; None: give up.

    `random` gives numbers in [0, 1). Meta's own wish (`Refused.retry_after_seconds`) is never undercut.
    """
    delays = _DELAYS.get(action, ())
    if not 1 <= attempt <= len(delays):
        return None
    delay = delays[attempt - 1] * (1 + JITTER_SHARE * random())
    if retry_after_seconds is None:
        return delay
    return max(delay, min(retry_after_seconds, MAX_RETRY_AFTER_SECONDS))


def transport_retry_delay(attempt: int, random: Callable[[], float]) -> float | None:
    """The same for a message that was never sent (`NotSent`): Meta could not be reached."""
    return retry_delay(Action.RETRY_MAINTENANCE, attempt, random)
