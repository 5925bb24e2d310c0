"""The store as one thing: what a process is handed to reach the database."""

from __future__ import annotations

from pymongo.database import Database
from pymongo.errors import PyMongoError

from common.model.parking import ParkedFor
from common.store.analytics import Analytics
from common.store.audit import Audit
from common.store.bot_copies import BotCopies
from common.store.bot_records import BotRecords
from common.store.bot_variables import BotVariables
from common.store.bots import Bots
from common.store.contact_records import ContactRecords
from common.store.contacts import Contacts
from common.store.counter_folds import CounterFolds
from common.store.counters import Counters
from common.store.database import Document
from common.store.deletions import Deletions
from common.store.deliveries import Deliveries
from common.store.deployments import Deployments
from common.store.encrypted_records import EncryptedRecords
from common.store.execution_logs import ExecutionLogs
from common.store.flow_settings import SettingsOfFlows
from common.store.flow_versions import FlowVersions
from common.store.flows import Flows
from common.store.heartbeats import Heartbeats
from common.store.idempotency import Idempotency
from common.store.jobs import Jobs
from common.store.lanes import Lanes
from common.store.live import Live
from common.store.messages import Messages
from common.store.openai_accounts import OpenAIAccounts
from common.store.overview import Overview
from common.store.queue_state import QueueState
from common.store.retention import Retentions
from common.store.session_history import SessionHistory
from common.store.sessions import Sessions
from common.store.stand_ins import StandIns
from common.store.test_conversations import TestConversations
from common.store.test_versions import TestVersions
from common.store.timers import Timers
from common.store.transcripts import Transcripts
from common.store.turns import Turns
from common.store.users import Users
from common.store.whatsapp_accounts import WhatsAppAccounts

# What every store method may raise when the database is away; callers outside the store know it by this name.
DatabaseError = PyMongoError


class Store:
    """Every collection, over one database."""

    def __init__(self, database: Database[Document]) -> None:
        self.database = database
        self.analytics = Analytics(database)
        self.audit = Audit(database)
        self.bot_records = BotRecords(database)
        self.bot_variables = BotVariables(database)
        self.bots = Bots(database)
        self.contact_records = ContactRecords(database)
        self.contacts = Contacts(database)
        self.counter_folds = CounterFolds(database)
        self.counters = Counters(database)
        self.deployments = Deployments(database)
        self.encrypted_records = EncryptedRecords(database)
        self.execution_logs = ExecutionLogs(database)
        self.flow_settings = SettingsOfFlows(database)
        self.flow_versions = FlowVersions(database)
        self.flows = Flows(database)
        self.heartbeats = Heartbeats(database)
        self.idempotency = Idempotency(database)
        self.jobs = Jobs(database)
        self.lanes = Lanes(database)
        self.deletions = Deletions(database, self.lanes)
        self.retentions = Retentions(database, self.deletions)
        self.bot_copies = BotCopies(database, self.flows, self.bot_variables, self.deletions)
        self.live = Live(database)
        self.deliveries = Deliveries(database, self.counters)
        self.messages = Messages(database)
        self.overview = Overview(database)
        self.queue_state = QueueState(database)
        self.openai_accounts = OpenAIAccounts(database)
        self.session_history = SessionHistory(database)
        self.sessions = Sessions(database)
        self.stand_ins = StandIns(database)
        self.test_conversations = TestConversations(database)
        self.test_versions = TestVersions(database)
        self.timers = Timers(database)
        self.transcripts = Transcripts(database)
        self.turns = Turns(database, self.lanes, self.jobs, self.counters)
        self.users = Users(database)
        self.whatsapp_accounts = WhatsAppAccounts(database)

    def resume_sending(self, bot_id: str) -> int:
        """A bot's connection works again: what waits for it goes out now. Returns how many conversations waited."""
        self.bots.resume_sending(bot_id)
        return self.wake_stopped(bot_id)

    def wake_stopped(self, bot_id: str) -> int:
        """Have a connected bot's conversations go on; returns how many waited for the connection."""
        lanes = self.messages.lanes_with_open(bot_id)
        waited = self.lanes.unpark_all(lanes, ParkedFor.BOT_STOPPED)
        self.lanes.hear(lanes, ParkedFor.BOT_STOPPED)  # one that is being parked just now looks again, too
        return waited

    def ping(self) -> None:
        """Ask the primary for a sign of life. Raises DatabaseError."""
        self.database.client.admin.command("ping")

    def close(self) -> None:
        """Close the connections."""
        self.database.client.close()
