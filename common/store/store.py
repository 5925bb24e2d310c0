"""The store as one thing: what a process is handed to reach the database."""

from __future__ import annotations

from pymongo.database import Database
from pymongo.errors import PyMongoError

from common.model.parking import ParkedFor
from common.store.analytics import Analytics
from common.store.audit import Audit
from common.store.bot_records import BotRecords
from common.store.bots import Bots
from common.store.contacts import Contacts
from common.store.counter_folds import CounterFolds
from common.store.counters import Counters
from common.store.database import Document
from common.store.execution_logs import ExecutionLogs
from common.store.heartbeats import Heartbeats
from common.store.idempotency import Idempotency
from common.store.jobs import Jobs
from common.store.lanes import Lanes
from common.store.messages import Messages
from common.store.sessions import Sessions
from common.store.stand_ins import StandIns
from common.store.test_versions import TestVersions
from common.store.timers import Timers
from common.store.turns import Turns
from common.store.users import Users

# What every store method may raise when the database is away; callers outside the store know it by this name.
DatabaseError = PyMongoError


class Store:
    """Every collection, over one database."""

    def __init__(self, database: Database[Document]) -> None:
        self.database = database
        self.analytics = Analytics(database)
        self.audit = Audit(database)
        self.bot_records = BotRecords(database)
        self.bots = Bots(database)
        self.contacts = Contacts(database)
        self.counter_folds = CounterFolds(database)
        self.counters = Counters(database)
        self.execution_logs = ExecutionLogs(database)
        self.heartbeats = Heartbeats(database)
        self.idempotency = Idempotency(database)
        self.jobs = Jobs(database)
        self.lanes = Lanes(database)
        self.messages = Messages(database, self.counters)
        self.sessions = Sessions(database)
        self.stand_ins = StandIns(database)
        self.test_versions = TestVersions(database)
        self.timers = Timers(database)
        self.turns = Turns(database, self.lanes, self.jobs, self.counters)
        self.users = Users(database)

    def resume_sending(self, bot_id: str) -> int:
        """A bot's connection works again: what waits for it goes out now. Returns how many conversations waited."""
        self.bots.resume_sending(bot_id)
        return self.lanes.unpark_all(self.messages.lanes_with_open(bot_id), ParkedFor.BOT_STOPPED)

    def ping(self) -> None:
        """Ask the primary for a sign of life. Raises DatabaseError."""
        self.database.client.admin.command("ping")

    def close(self) -> None:
        """Close the connections."""
        self.database.client.close()
