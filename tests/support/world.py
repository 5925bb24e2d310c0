"""A whole installation for a test: database, peers, and the product's real processes with small time constants."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from common.clock import utc_now
from common.ids import new_ulid
from common.store.database import connect
from common.store.indexes import Retention, ensure_indexes
from common.store.store import Store
from scripts.local.bots import SAMPLE_NUMBER, SAMPLE_TOKEN, make_bot
from scripts.local.stack import Running, Stack
from scripts.peers.server import PeerServer
from tests.support.history import Allowed, History, Said, violations
from tests.support.recount import differences
from tests.support.waiting import wait_until

Json = dict[str, Any]

SMALL = {
    "LEASE_SECONDS": "2",
    "SEND_GRACE_SECONDS": "1.5",
    "GRAPH_TIMEOUT_SECONDS": "1",
    "POLL_MAX_SECONDS": "0.2",
    "RETRY_BASE_SECONDS": "0.05",
    "RETRY_MAX_SECONDS": "0.2",
    "TIMER_INTERVAL_SECONDS": "0.2",
    "NUMBER_PER_SECOND": "1000",
    "PAIR_BURST": "1000",
    "INBOUND_PER_MINUTE": "1000",
    "MARK_AS_READ": "false",
    "STOP_SECONDS": "8",
}
_PEOPLE = itertools.count(1)
_NUMBERS = itertools.count(900_000_000_000_001)
_COLLECTIONS = ("jobs", "lanes", "sessions", "messages", "execution_logs", "contacts")


@dataclass(slots=True)
class Bot:
    """A bot with a business number of its own, and the people who write to it."""

    world: World
    bot_id: str
    version_id: str
    number: str
    said: list[Said] = field(default_factory=list)
    swept: int = 0  # messages that nobody had counted when they should have been

    def person(self) -> str:
        """The phone number of somebody new."""
        return f"49170{next(_PEOPLE):07d}"

    def say(self, person: str, text: str, **more: object) -> str:
        """Write to the bot; the id of the message's job."""
        wamid = self.world.peers.say(person, text, phone_number_id=self.number, **more)
        said = Said(person, text, f"{self.number}:{wamid}")
        self.said.append(said)
        return said.job_id

    def sends(self, person: str | None = None) -> list[Json]:
        """What Meta took from this bot, as the peer recorded it."""
        to = f"&to={person}" if person else ""
        found: list[Json] = self.world.peers.control("GET", f"sent?phone_number_id={self.number}{to}")[
            "messages"
        ]
        return found

    def texts(self, person: str) -> list[str]:
        """What somebody got, in order."""
        return [sent["body"] for sent in self.sends(person)]

    def wait_for(self, person: str, count: int, seconds: float = 15.0) -> list[str]:
        """What somebody got, once that are so many messages."""
        wait_until(lambda: len(self.sends(person)) >= count, f"{count} messages for {person}", seconds)
        return self.texts(person)

    def find(self, collection: str, **query: object) -> list[Json]:
        """Documents of this bot."""
        return list(self.world.store.database[collection].find({"botId": self.bot_id, **query}))

    def find_days(self) -> list[Json]:
        """The figures of this bot that are folded already."""
        return list(self.world.store.database["counter_days"].find({"owner": self.bot_id}))

    def out(self, **query: object) -> list[Json]:
        """Messages that this bot wrote, in their order."""
        found = self.find("messages", direction="OUT", **query)
        return sorted(found, key=lambda message: (message["lane"], message["seq"]))

    def history(self) -> History:
        """All that is known of this bot's conversations."""
        database = {name: self.find(name) for name in _COLLECTIONS if name != "lanes"}
        lanes = {job["lane"] for job in database["jobs"] if job["lane"]}
        database["lanes"] = list(self.world.store.database["lanes"].find({"_id": {"$in": list(lanes)}}))
        sessions = {session["_id"] for session in database["sessions"]}
        calls = [
            made
            for made in self.world.peers.control("GET", "crm/calls")["calls"]
            if made["headers"].get("idempotency-key", "").partition(":")[0] in sessions
        ]
        return History(self.said, self.sends(), calls, database)

    def check(self, allowed: Allowed | None = None) -> None:
        """Drain, then judge everything; the figures, too."""
        self.drain()
        history = self.history()
        broken = violations(history, allowed)
        assert not broken, broken
        if not self._figures_fit(2):
            # A process died between a message's change and its count: a later look finds it.
            now = utc_now()
            self.swept += self.world.store.deliveries.sweep(now - timedelta(hours=1), now)
        assert not (wrong := self.wrong_figures()), wrong

    def wrong_figures(self) -> list[str]:
        """Every figure that is not what the conversations left behind."""
        database = self.history().database
        looks = [(self.find("counters"), self.find_days()) for _ in range(2)]  # folded just now: look again
        return min((differences(database, *look) for look in looks), key=len)

    def _figures_fit(self, seconds: float) -> bool:
        try:
            wait_until(lambda: not self.wrong_figures(), "messages are counted", seconds)
        except AssertionError:
            return False
        return True

    def drain(self, seconds: float = 30.0) -> None:
        """Wait until all work of this bot is done: nothing under way at Meta's, no job, no lane."""
        wait_until(self._is_quiet, f"drain of {self.bot_id}: {self._rest()}", seconds)

    def _is_quiet(self) -> bool:
        state = self.world.peers.control("GET", "state")
        if state["webhooks_pending"] or state["statuses_waiting"]:
            return False
        return not self._rest()

    def _rest(self) -> list[str]:
        jobs = self.find("jobs")
        lanes = list({job["lane"] for job in jobs if job["lane"]})
        busy = self.world.store.database["lanes"].find(
            {"_id": {"$in": lanes}, "$or": [{"dueAt": {"$exists": True}}, {"owner": {"$ne": None}}]}
        )
        return [job["_id"] for job in jobs if job["state"] == "PENDING"] + [lane["_id"] for lane in busy]


class World:
    """`with World(mongo_uri, folder) as world: world.start(); bot = world.bot(flow); bot.say(…)`."""

    def __init__(
        self, mongo_uri: str, folder: Path, *, statuses: dict[str, float] | None = None, **settings: str
    ) -> None:
        self.database_name = f"test_{new_ulid()}"
        self.stack = Stack(folder, mongo_uri, self.database_name, {**SMALL, **settings})
        self.peers = PeerServer(
            webhook_url=self.stack.webhook_url,
            app_secret=self.stack.secrets["META_APP_SECRET"],
            status_delays={"sent": 0.02, "delivered": 0.05} if statuses is None else statuses,
        )
        self.store = Store(connect(mongo_uri, self.database_name, "cli"))

    def __enter__(self) -> Self:
        self.peers.__enter__()
        self.stack.environ.update(
            GRAPH_BASE_URL=self.peers.graph_url,
            OPENAI_BASE_URL=self.peers.openai_url,
            HTTP_ALLOWED_HOSTS=self.peers.url.removeprefix("http://"),
        )
        self.peers.control("PATCH", "rules", {"pair_limit": False})
        self.peers.control("POST", "webhook", {"retry_base_seconds": 0.05, "retry_max_seconds": 0.5})
        ensure_indexes(self.store.database, Retention())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stack.__exit__(kind, error, trace)
        self.peers.__exit__(kind, error, trace)
        self.store.database.client.drop_database(self.database_name)
        self.store.close()

    def start(self, *, workers: int = 1, timers: int = 1) -> list[Running]:
        """Start the web process, so many workers and timers; the workers."""
        started = [self.stack.start_worker() for _ in range(workers)]
        for _ in range(timers):
            self.stack.start_timer()
        self.stack.start_web()
        return started

    def bot(self, flow: Json, **more: Any) -> Bot:
        """A new bot with a number of its own and this flow live."""
        number = str(next(_NUMBERS))
        fields = {"phone_number_id": number, "waba_id": f"9{number[-12:]}", "access_token": SAMPLE_TOKEN}
        self.peers.control("POST", "numbers", fields)
        keys = self.stack.secrets["ENCRYPTION_KEYS"]
        bot_id, version_id = make_bot(self.store, keys, flow, phone_number_id=number, **more)
        return Bot(self, bot_id, version_id, number)

    def crm(self, path: str) -> str:
        """An address of the CRM peer."""
        return f"{self.peers.url}/crm/{path}"


__all__ = ["SAMPLE_NUMBER", "SMALL", "Allowed", "Bot", "World", "wait_until"]


def interleaved(people: Sequence[str], texts: Sequence[str]) -> list[tuple[str, str]]:
    """Everybody's first message, then everybody's second, and so on."""
    return [(person, text) for text in texts for person in people]
