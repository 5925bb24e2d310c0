"""Every index, in one list, created idempotently at start-up and by `flask indexes`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.database import Database

from common.store.database import Document

_DAY_SECONDS = 86_400
_OF_TESTS = {"conversationTurn": {"$exists": True}}
# Figures by the hour; those by the day are kept for good.
HOURS_KEPT_DAYS = 9


@dataclass(frozen=True, slots=True)
class Retention:
    """How long finished documents are kept, in days."""

    done_jobs: int = 8  # Meta redelivers for 7 days; a duplicate must still be known
    execution_logs: int = 14
    messages: int = 90


@dataclass(frozen=True, slots=True)
class Index:
    """One index: `keys` as (field, direction), the rest as MongoDB names it."""

    collection: str
    keys: tuple[tuple[str, int], ...]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "_".join(f"{key}_{direction}" for key, direction in self.keys)


def _index(collection: str, *keys: str, **options: Any) -> Index:
    pairs = tuple((key.lstrip("-"), DESCENDING if key.startswith("-") else ASCENDING) for key in keys)
    return Index(collection, pairs, options)


def declared(retention: Retention) -> list[Index]:
    """The indexes of the whole product."""
    day = _DAY_SECONDS
    return [
        _index("users", "email", unique=True),
        _index("users", "createdAt", "_id"),
        _index("revoked_tokens", "expiresAt", expireAfterSeconds=0),
        _index("idempotency_keys", "at", expireAfterSeconds=day),
        _index("audit_logs", "at", "_id"),
        _index("audit_logs", "actorId", "at", "_id"),
        _index("audit_logs", "botId", "at", "_id"),
        _index("audit_logs", "action", "at", "_id"),
        _index("openai_accounts", "userId", unique=True),
        _index("bots", "userId", "createdAt", "_id"),
        _index("bots", "userId", "updatedAt", "_id"),
        _index("bots", "userId", "nameFolded", "_id"),
        # Only bots that keep things for less time than the installation does.
        _index("bots", "retentionDueAt", partialFilterExpression={"retentionDueAt": {"$exists": True}}),
        _index("deletions", "dueAt"),
        _index("whatsapp_accounts", "botId", unique=True),
        _index("whatsapp_accounts", "phoneNumberId", unique=True),
        _index("whatsapp_accounts", "phoneNumber", unique=True),
        _index("flows", "botId", "name", unique=True),
        _index("flows", "botId", "nameFolded", "_id"),
        _index("flows", "botId", "updatedAt", "_id"),
        _index("flows", "botId", "createdAt", "_id"),
        _index("flow_drafts", "botId", "_id"),
        _index("flow_versions", "flowId", "versionNumber", unique=True),
        # Lists, newest first: of saved ones, of deployed ones, or of both, merged in order.
        _index("flow_versions", "flowId", "isDraft", "versionNumber", "_id"),
        _index(
            "flow_versions",
            "flowId",
            "isProduction",
            unique=True,
            partialFilterExpression={"isProduction": True},
        ),
        # Those that are or were live, among all that saving left.
        _index("flow_versions", "flowId", "-versionNumber", partialFilterExpression={"isDraft": False}),
        _index("flow_versions", "botId"),
        _index("bot_variables", "botId", "variableName", unique=True),
        # A person is known by any of their ids; two contacts of a bot never share one.
        _index("contacts", "botId", "aliases", unique=True),
        _index("contacts", "botId", "createdAt", "_id"),
        _index("contacts", "botId", "waId", "_id"),
        _index("contacts", "botId", "nameFolded", "_id"),
        _index(
            "contacts",
            "botId",
            "botPausedAt",
            "_id",
            partialFilterExpression={"botPausedAt": {"$type": "date"}},
        ),
        _index("contacts", "updatedAt", partialFilterExpression={"isTest": True}),
        # One open session a conversation. The contact comes first: turns look sessions up by it.
        _index(
            "sessions",
            "contactId",
            "channel",
            "botId",
            unique=True,
            partialFilterExpression={"isOpen": True},
        ),
        # Lists, newest first. Statuses are few: all of them are named where none is asked for, and merged in order.
        _index("sessions", "botId", "isTest", "status", "-createdAt", "-_id"),
        _index("sessions", "flowId", "isTest", "status", "-createdAt", "-_id"),
        _index("sessions", "flowVersionId", "status", "-createdAt", "-_id"),
        _index("sessions", "flowVersionId", "currentNodeId", "status", "-createdAt", "-_id"),
        _index("sessions", "contactId", "-createdAt", "-_id"),
        _index("sessions", "resumeAt", partialFilterExpression={"resumeAt": {"$exists": True}}),
        # Ended ones go with the last of their messages.
        _index(
            "sessions",
            "closedAt",
            expireAfterSeconds=retention.messages * day,
            partialFilterExpression={"closedAt": {"$exists": True}},
        ),
        # Who is under way, and where: counted, never read. Tests in the simulator are not in the figures.
        _index(
            "sessions",
            "runsFor",
            "flowVersionId",
            "currentNodeId",
            "updatedAt",
            partialFilterExpression={"runsFor": {"$exists": True}},
        ),
        _index("session_variables", "sessionId", "variableName", unique=True),
        _index("messages", "sessionId", "seq"),
        _index("messages", "contactId", "seq", "_id"),
        # Few: what came while nobody talked.
        _index("messages", "botId", "sentAt", partialFilterExpression={"sessionId": {"$type": "null"}}),
        # What needs a person's eye: nearly empty, and free for a message that arrives.
        _index(
            "messages",
            "botId",
            "status",
            "-createdAt",
            "-_id",
            partialFilterExpression={"status": {"$in": ["FAILED", "UNKNOWN"]}},
        ),
        _index("messages", "lane", "seq", partialFilterExpression={"open": True}),
        _index("messages", "attemptIds", partialFilterExpression={"attemptIds": {"$exists": True}}),
        _index("messages", "wamid", partialFilterExpression={"wamid": {"$exists": True}}),
        _index("messages", "sentAt", expireAfterSeconds=retention.messages * day),
        # Only what tests write: whoever watches one goes on behind the last turn that they saw.
        _index("messages", "lane", "conversationTurn", partialFilterExpression=_OF_TESTS),
        _index("execution_logs", "sessionId", "turn", "place"),
        _index("execution_logs", "executedAt", expireAfterSeconds=retention.execution_logs * day),
        _index("execution_logs", "lane", "conversationTurn", partialFilterExpression=_OF_TESTS),
        # Only lanes with work are in this index: an idle lane has no `dueAt`, so the backlog is all it holds.
        _index("lanes", "dueAt", partialFilterExpression={"dueAt": {"$exists": True}}),
        _index("jobs", "lane", "seq", partialFilterExpression={"state": "PENDING"}),
        # For deleting a bot or a contact, with all of its jobs.
        _index("jobs", "botId", "lane"),
        # Nearly always empty: whether a person's control waits is asked before each answer of a call.
        _index("jobs", "kind", "lane", partialFilterExpression={"state": "PENDING", "kind": "CONTROL"}),
        _index("jobs", "state", "-seq", partialFilterExpression={"state": {"$in": ["DEAD", "UNROUTED"]}}),
        _index(
            "jobs",
            "doneAt",
            expireAfterSeconds=retention.done_jobs * day,
            partialFilterExpression={"doneAt": {"$exists": True}},
        ),
        _index("heartbeats", "at", expireAfterSeconds=3600),
        _index("counters", "at"),
        _index("counters", "botId"),
        _index("counter_hours", "owner", "scope", "at"),
        _index("counter_hours", "at", expireAfterSeconds=HOURS_KEPT_DAYS * day),
        _index("counter_days", "owner", "scope", "at"),
        _index("test_versions", "usedAt", expireAfterSeconds=3 * day),
        _index("test_versions", "botId"),
        _index("stand_ins", "botId", "flowId", "nodeId", unique=True),
        _index("test_conversations", "botId", "flowId", "usedAt", "_id"),
        _index("test_conversations", "usedAt", expireAfterSeconds=30 * day),
    ]


def ensure_indexes(database: Database[Document], retention: Retention) -> list[str]:
    """Create what is missing and bring changed retention times up to date. Returns what was done, in words."""
    done: list[str] = []
    by_collection: dict[str, list[Index]] = {}
    for index in declared(retention):
        by_collection.setdefault(index.collection, []).append(index)
    existing_collections = set(database.list_collection_names())
    for collection, indexes in by_collection.items():
        present = database[collection].index_information() if collection in existing_collections else {}
        missing = [index for index in indexes if index.name not in present]
        if missing:
            database[collection].create_indexes(
                [IndexModel(list(index.keys), name=index.name, **index.options) for index in missing]
            )
            done.extend(f"created {collection}.{index.name}" for index in missing)
        for index in indexes:
            wanted = index.options.get("expireAfterSeconds")
            if index.name in present and present[index.name].get("expireAfterSeconds") != wanted:
                database.command(
                    "collMod", collection, index={"name": index.name, "expireAfterSeconds": wanted}
                )
                done.append(f"changed retention of {collection}.{index.name} to {wanted} s")
    return done
