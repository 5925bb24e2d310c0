"""A large installation to read from: bots, flows, conversations and their logs, as the product would have stored them."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, Final

from pymongo import WriteConcern

from common.clock import utc_now
from common.store.database import Document
from common.store.store import Store
from scripts.bench.crowd_figures import fill_figures

_CHUNK: Final = 2_000
_FILLERS: Final = 4
_STEPS: Final = 10  # in the log of each conversation
_MESSAGES: Final = 4
_NODES: Final = ("start", "menu", "hours", "order", "delay", "crm", "ai", "thanks", "again", "end")
_STATUSES: Final = ("PAUSED", "PAUSED", "ACTIVE", "COMPLETED", "CLOSED", "CLOSED", "CLOSED", "FAILED")
_SNAPSHOTS: Final = 1_000  # in the history of one flow of the big bot, which is saved all day
_BIG_SHARE: Final = 5  # a fifth of all conversations belong to one bot: the one that is looked at


@dataclass(frozen=True, slots=True)
class Crowd:
    """How much there is."""

    users: int
    bots: int
    flows: int
    sessions: int

    @property
    def steps(self) -> int:
        return self.sessions * _STEPS


FULL: Final = Crowd(users=50, bots=200, flows=2_000, sessions=100_000)
QUICK: Final = Crowd(users=5, bots=10, flows=50, sessions=500)


def _id(kind: str, number: int) -> str:
    return f"{kind}{number:0{26 - len(kind)}}"


def owner_id() -> str:
    """The user whose bot is the big one."""
    return _id("USER", 0)


def ids_of(crowd: Crowd, number: int) -> dict[str, str]:
    """One of everything that belongs together in the big bot, by path parameter."""
    session = number % (crowd.sessions // _BIG_SHARE)
    flow = _flow_of(crowd, session)
    return {
        "bot_id": _id("BOT", 0),
        "flow_id": _id("FLOW", flow),
        "version_id": _id("VERSION", flow),
        "session_id": _id("SESSION", session),
        "contact_id": f"{session:024x}",
        "message_id": f"{_id('SESSION', session)}:1:0",
        "name": f"variable{number % 5}",
        "node_id": "menu",
        "conversation_id": f"{flow:023x}t",
        "control_id": _id("CONTROL", 0),
    }


def _bot_of(crowd: Crowd, session: int) -> int:
    big = crowd.sessions // _BIG_SHARE
    return 0 if session < big else session % crowd.bots


def _flow_of(crowd: Crowd, session: int) -> int:
    per_bot = crowd.flows // crowd.bots
    return _bot_of(crowd, session) * per_bot + session // 7 % per_bot


def fill(store: Store, crowd: Crowd) -> None:
    """Store it all. What the database would take anyway is written without waiting for it to be on disk."""
    makers: list[tuple[str, int, Callable[[Crowd, int, datetime], list[Document]]]] = [
        ("users", crowd.users, _user),
        ("bots", crowd.bots, _bot),
        ("whatsapp_accounts", crowd.bots, _account),
        ("bot_variables", crowd.bots, _variables),
        ("flows", crowd.flows, _flow),
        ("flow_drafts", crowd.flows, _draft),
        ("flow_versions", crowd.flows, _version),
        ("contacts", crowd.sessions, _contact),
        ("sessions", crowd.sessions, _session),
        ("session_variables", crowd.sessions, _session_variables),
        ("messages", crowd.sessions, _messages),
        ("execution_logs", crowd.sessions, _steps),
        ("audit_logs", crowd.bots * 20, _audit),
        ("test_conversations", crowd.flows, _test_conversation),
        ("jobs", crowd.bots, _control),
    ]
    now = utc_now()
    for collection, count, make in makers:
        target = store.database[collection].with_options(write_concern=WriteConcern(w=1, j=False))
        with ThreadPoolExecutor(_FILLERS) as pool:
            starts = range(0, count, _CHUNK // 10)

            def write(start: int, make: Any = make, target: Any = target, count: int = count) -> None:
                numbers = range(start, min(start + _CHUNK // 10, count))
                documents = [document for number in numbers for document in make(crowd, number, now)]
                target.insert_many(documents, ordered=False)

            list(pool.map(write, starts))
    owners = {_id("BOT", number): _bot(crowd, number, now)[0]["userId"] for number in range(crowd.bots)}
    per_bot = crowd.flows // crowd.bots
    flows = {
        _id("BOT", bot): [
            (_id("FLOW", n), _id("VERSION", n)) for n in range(bot * per_bot, (bot + 1) * per_bot)
        ]
        for bot in range(crowd.bots)
    }
    fill_figures(store, owners, flows, _id("BOT", 0))


def _ago(now: datetime, number: int) -> datetime:
    """Somewhere in the last ten days, the same for the same number."""
    return now - timedelta(seconds=random.Random(number).randrange(10 * 86_400))  # noqa: S311 - no secret


def _user(_crowd: Crowd, number: int, now: datetime) -> list[Document]:
    at = _ago(now, number)
    return [
        {"_id": _id("USER", number), "email": f"user{number}@example.com", "passwordHash": "none",
         "role": "ADMIN" if number == 1 else "USER", "mustChangePassword": False, "tokenVersion": 0,
         "createdAt": at, "updatedAt": at}
    ]  # fmt: skip


def _bot(crowd: Crowd, number: int, now: datetime) -> list[Document]:
    at = _ago(now, number)
    # The first user has ten bots; the rest are shared out among the others.
    owner = 0 if number < min(10, crowd.bots) else 2 + number % (crowd.users - 2)
    return [
        {"_id": _id("BOT", number), "userId": _id("USER", owner), "name": f"Bot {number}", "description": "A shop",
         "configRevision": 1, "revision": 1, "activeFlowId": _id("FLOW", number * (crowd.flows // crowd.bots)),
         "createdAt": at, "updatedAt": at}
    ]  # fmt: skip


def _account(_crowd: Crowd, number: int, now: datetime) -> list[Document]:
    return [
        {"_id": _id("ACCOUNT", number), "botId": _id("BOT", number), "phoneNumberId": f"{10**14 + number}",
         "phoneNumber": f"{16310000000 + number}", "businessAccountId": "102290129340398", "accessToken": "v1.none",
         "createdAt": now, "updatedAt": now}
    ]  # fmt: skip


def _variables(_crowd: Crowd, number: int, now: datetime) -> list[Document]:
    return [
        {"_id": _id("VAR", number * 5 + place), "botId": _id("BOT", number), "variableName": f"variable{place}",
         "variableValue": "value", "variableType": "STRING", "revision": 1, "createdAt": now, "updatedAt": now}
        for place in range(5)
    ]  # fmt: skip


def _flow(crowd: Crowd, number: int, now: datetime) -> list[Document]:
    at = _ago(now, number)
    return [
        {"_id": _id("FLOW", number), "botId": _id("BOT", number // (crowd.flows // crowd.bots)),
         "name": f"Flow {number}", "nameFolded": f"flow {number}",
         "createdBy": owner_id(), "settings": {"restartPolicy": "RESTART", "fallbackFlowId": None},
         "draft": {"revision": 3, "contentHash": "none", "nodeCount": 32, "savedAt": at}, "description": "",
         "triggers": [], "revision": 1, "createdAt": at, "updatedAt": at}
    ]  # fmt: skip


def _flow_data() -> Document:
    """Thirty messages in a row, between START and END."""
    middle = [f"n{place}" for place in range(30)]
    nodes: list[tuple[str, str, Document]] = [("start", "START", {})]
    nodes += [
        (node, "MESSAGE", {"messageContent": f"This is {node}: {{{{userName}}}}, welcome!"})
        for node in middle
    ]
    nodes += [("end", "END", {"sessionAction": "CLOSE_SESSION"})]
    names = [node[0] for node in nodes]
    return {
        "flowName": "A flow",
        "nodes": [
            {"nodeId": node, "nodeType": kind, "position": {"x": 200 * place, "y": 100}, "config": config}
            for place, (node, kind, config) in enumerate(nodes)
        ],
        "edges": [
            {"edgeId": f"e{place}", "sourceNodeId": source, "targetNodeId": target, "sourceHandle": "output",
             "targetHandle": "input"}
            for place, (source, target) in enumerate(pairwise(names))
        ],
    }  # fmt: skip


def _draft(crowd: Crowd, number: int, now: datetime) -> list[Document]:
    return [
        {"_id": _id("FLOW", number), "botId": _id("BOT", number // (crowd.flows // crowd.bots)), "revision": 3,
         "flowData": _flow_data(), "contentHash": "none", "nodeCount": 32, "savedBy": owner_id(), "savedAt": now,
         "historyRevision": 3, "historyAt": now}
    ]  # fmt: skip


def _version(crowd: Crowd, number: int, now: datetime) -> list[Document]:
    base = {
        "flowId": _id("FLOW", number), "botId": _id("BOT", number // (crowd.flows // crowd.bots)),
        "flowData": _flow_data(), "createdBy": owner_id(), "note": None, "contentHash": "none", "nodeCount": 32,
        "createdAt": now, "updatedAt": now,
    }  # fmt: skip
    return [
        {"_id": _id("VERSION", number), **base, "versionNumber": 10, "isDraft": False, "isProduction": True,
         "deployedAt": now, "deployedBy": owner_id()},
        *(
            {"_id": f"{_id('VERSION', number)}:{place}", **base, "versionNumber": place, "isDraft": True,
             "isProduction": False}
            for place in (*range(1, 10), *range(11, 11 + (_SNAPSHOTS if number == 0 else 0)))
        ),
    ]  # fmt: skip


def _contact(crowd: Crowd, number: int, now: datetime) -> list[Document]:
    phone = f"{4915000000000 + number}"
    at = _ago(now, number)
    return [
        {"_id": f"{number:024x}", "botId": _id("BOT", _bot_of(crowd, number)), "aliases": [f"wa:{phone}"],
         "waId": phone, "bsuid": None, "profileName": f"Customer {number}", "messageSeq": _MESSAGES,
         "lastInboundAt": at, "createdAt": at, "updatedAt": at}
    ]  # fmt: skip


def _of_session(crowd: Crowd, number: int) -> Document:
    return {"botId": _id("BOT", _bot_of(crowd, number)), "lane": f"wa:{number:024x}"}


def _session(crowd: Crowd, number: int, now: datetime) -> list[Document]:
    at, status = _ago(now, number), _STATUSES[number % len(_STATUSES)]
    is_open = status not in ("CLOSED", "FAILED")
    flow = _flow_of(crowd, number)
    return [
        {"_id": _id("SESSION", number), **_of_session(crowd, number), "contactId": f"{number:024x}",
         "channel": "WHATSAPP", "userPhoneNumber": f"{4915000000000 + number}", "flowId": _id("FLOW", flow),
         "flowVersionId": _id("VERSION", flow), "currentNodeId": _NODES[number % len(_NODES)], "status": status,
         "isOpen": is_open, "isTest": False, "turn": 4, "wait": None, "loops": [], "history": [],
         "lastMessage": "hello", "lastReplyNodeId": "menu", "rev": 4, "callStarts": 0, "createdAt": at,
         "updatedAt": at, **({} if is_open else {"closedAt": at}), **({"runsFor": _id("BOT", _bot_of(crowd, number))} if is_open else {})}
    ]  # fmt: skip


def _session_variables(_crowd: Crowd, number: int, now: datetime) -> list[Document]:
    return [
        {"sessionId": _id("SESSION", number), "variableName": f"variable{place}", "variableValue": "value",
         "variableType": "STRING", "createdAt": now, "updatedAt": now}
        for place in range(3)
    ]  # fmt: skip


def _messages(crowd: Crowd, number: int, now: datetime) -> list[Document]:
    at, session = _ago(now, number), _id("SESSION", number)
    return [
        {"_id": f"{session}:{place}:0", "sessionId": session, **_of_session(crowd, number),
         "contactId": f"{number:024x}", "seq": place + 1, "sender": "BOT" if place % 2 else "USER",
         "direction": "OUT" if place % 2 else "IN", "messageType": "TEXT", "messageContent": f"Message {place}",
         "nodeId": "menu", "phoneNumberId": "1", "status": "READ" if place % 2 else "RECEIVED", "rank": 80,
         "attempts": 1, "requestId": f"request{number}", "wamid": f"wamid.{number}.{place}", "sentAt": at,
         "createdAt": at}
        for place in range(_MESSAGES)
    ]  # fmt: skip


def _steps(crowd: Crowd, number: int, now: datetime) -> list[Document]:
    at, session = _ago(now, number), _id("SESSION", number)
    version = _id("VERSION", _flow_of(crowd, number))
    return [
        {"_id": f"{session}:{place // 3 + 1}:{place % 3}", "sessionId": session, **_of_session(crowd, number),
         "flowVersionId": version, "turn": place // 3 + 1, "place": place % 3, "fence": 1,
         "requestId": f"request{number}", "nodeId": f"n{place}", "nodeType": "MESSAGE", "handle": "output",
         "nextNodeId": f"n{place + 1}", "executionDuration": 0.1, "executedAt": at}
        for place in range(_STEPS)
    ]  # fmt: skip


def _audit(_crowd: Crowd, number: int, now: datetime) -> list[Document]:
    return [
        {"_id": _id("AUDIT", number), "at": _ago(now, number), "action": "flow.deployed", "actorId": owner_id(),
         "actorEmail": "user0@example.com", "targetType": "flow", "targetId": _id("FLOW", number % 100),
         "botId": _id("BOT", number % 10), "ip": "127.0.0.1", "requestId": "r", "detail": {}}
    ]  # fmt: skip


def _test_conversation(crowd: Crowd, number: int, now: datetime) -> list[Document]:
    return [
        {"_id": f"{number:023x}t", "botId": _id("BOT", number // (crowd.flows // crowd.bots)), "userId": owner_id(),
         "flowId": _id("FLOW", number), "phoneNumber": "15550001", "name": "", "usedAt": now}
    ]  # fmt: skip


def _control(_crowd: Crowd, number: int, now: datetime) -> list[Document]:
    return [
        {"_id": _id("CONTROL", number), "botId": _id("BOT", number), "kind": "CONTROL", "state": "DONE",
         "lane": "wa:none", "payload": "{}", "requestId": "r", "receivedAt": now, "doneAt": now, "attempts": 0,
         "seq": number}
    ]  # fmt: skip
