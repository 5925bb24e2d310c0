"""What Meta refuses because of when and how much: the 24-hour window, the pair limit, the number's limit, unknown users."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from scripts.peers.graph_errors import GraphError
from scripts.peers.people import Person

WINDOW_SECONDS = 24 * 3600
PAIR_BURST = 45
PAIR_SECONDS = 6.0
WINDOW_MODES = ("known", "strict", "off")


@dataclass(slots=True)
class Rules:
    """The switches. `window`: `known` judges only phones that were seen writing, `strict` all, `off` none.

    With `late_refusals` the window and unknown users are accepted first and then reported in a `failed` status,
    which is how Meta mostly does it.
    """

    window: Literal["known", "strict", "off"] = "known"
    pair_limit: bool = True
    number_per_second: float = 0.0
    known_users_only: bool = False
    late_refusals: bool = False

    def change(self, changes: dict[str, Any]) -> None:
        """Take the given switches; raises ValueError for an unknown name or value."""
        known = {item.name for item in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"unknown rule {name!r}; there are: {', '.join(sorted(known))}")
            if not _fits(name, value):
                raise ValueError(f"{name} does not take {value!r}")
        for name, value in changes.items():
            setattr(self, name, value)

    def as_dict(self) -> dict[str, Any]:
        """The switches as JSON."""
        return asdict(self)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float

    def take(self, now: float, capacity: float, per_second: float) -> bool:
        self.tokens = min(capacity, self.tokens + max(0.0, now - self.filled_at) * per_second)
        self.filled_at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Limits:
    """Judges each send against the rules."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._pairs: dict[tuple[str, str], _Bucket] = {}
        self._numbers: dict[str, _Bucket] = {}

    def check_rates(self, number_id: str, recipient: str, now: float) -> None:
        """Raise GraphError 130429 or 131056 when too much was sent."""
        rate = self.rules.number_per_second
        if rate:
            bucket = self._numbers.setdefault(number_id, _Bucket(rate, now))
            if not bucket.take(now, rate, rate):
                raise GraphError(130429, "Cloud API message throughput has been reached.")
        if self.rules.pair_limit:
            pair = self._pairs.setdefault((number_id, recipient), _Bucket(PAIR_BURST, now))
            if not pair.take(now, PAIR_BURST, 1 / PAIR_SECONDS):
                details = "Message failed to send because there were too many messages sent to this user."
                raise GraphError(131056, details)

    def check_person(self, number_id: str, person: Person | None, now: float) -> GraphError | None:
        """What stands against this recipient: not on WhatsApp (131026), or the window is closed (131047)."""
        if person is None:
            if self.rules.known_users_only:
                return GraphError(131026, "Message Undeliverable.")
            return _closed() if self.rules.window == "strict" else None
        if not person.is_on_whatsapp:
            return GraphError(131026, "Message Undeliverable.")
        if self.rules.window == "off":
            return None
        wrote_at = person.wrote_at.get(number_id)
        if wrote_at is None:
            return _closed() if self.rules.window == "strict" else None
        return _closed() if now - wrote_at >= WINDOW_SECONDS else None

    def clear(self) -> None:
        """All buckets full again."""
        self._pairs.clear()
        self._numbers.clear()


def _fits(name: str, value: object) -> bool:
    if name == "window":
        return value in WINDOW_MODES
    if name == "number_per_second":
        return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return isinstance(value, bool)


def _closed() -> GraphError:
    details = (
        "Message failed to send because more than 24 hours have passed since the customer last replied to this "
        "number."
    )
    return GraphError(131047, details)
