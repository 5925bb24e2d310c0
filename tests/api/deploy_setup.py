"""What the tests of deploys and flow settings start from: Ann's bot, connected, with flows that can go live."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from common.clock import utc_now
from common.ids import new_ulid
from common.secrets import KeyRing
from tests.http.web_setup import ENCRYPTION_KEYS
from tests.support.flows import ask, end, flow, say

if TYPE_CHECKING:
    from common.store.store import Store
    from tests.api.person import Answer, Person

Json = dict[str, Any]
_NUMBERS = itertools.count(700_000_000_000_001)


def simple(text: str = "hello") -> Json:
    """A flow that can go live: it says something, asks, and ends."""
    nodes = {"hello": say(text), "ask": ask("your name?"), "end": end("bye")}
    return flow(nodes, "start > hello, hello > ask, ask.success > end, ask.failure > end")


def broken() -> Json:
    """One that cannot: an exit leads nowhere."""
    return flow({"ask": ask("your name?"), "end": end("bye")}, "start > ask, ask.success > end")


@dataclass
class Flow:
    """One flow, seen by its owner."""

    person: Person
    store: Store
    bot_id: str
    flow_id: str

    @property
    def path(self) -> str:
        return f"/api/bots/{self.bot_id}/flows/{self.flow_id}"

    @property
    def revision(self) -> int:
        """The draft's."""
        draft = self.store.flows.draft(self.bot_id, self.flow_id)
        assert draft is not None
        revision: int = draft["revision"]
        return revision

    def save(self, flow_data: Json) -> None:
        self.store.flows.save_draft(
            self.bot_id, self.flow_id, flow_data, revision=self.revision, by=self.person.user_id
        )

    def deploy(self, headers: Mapping[str, str] | None = None, **more: Any) -> Answer:
        body = {"revision": self.revision, **more}
        return self.person.post(f"{self.path}/deploy", body, **(headers or {}))

    def roll_back(self, **more: Any) -> Answer:
        return self.person.post(f"{self.path}/rollback", more)

    def plan(self, **query: Any) -> Json:
        answer = self.person.get(f"{self.path}/deploy-plan", **query)
        assert answer.status == 200, answer.text
        found: Json = answer.json
        return found

    def settings(self) -> Json:
        answer = self.person.get(f"{self.path}/settings")
        assert answer.status == 200, answer.text
        found: Json = answer.json
        return found

    def set(self, **changes: Any) -> Answer:
        """Change some settings and leave the others as they are."""
        now = self.settings()
        keys = ("revision", "restartPolicy", "fallbackFlowId", "triggers")
        return self.person.put(f"{self.path}/settings", {**{key: now[key] for key in keys}, **changes})

    def versions(self) -> list[Json]:
        """Those that are or were live, the oldest first, as stored."""
        query = {"flowId": self.flow_id, "isDraft": False}
        return list(self.store.database["flow_versions"].find(query).sort("versionNumber", 1))

    def live(self) -> Json | None:
        """The live version; there is never more than one."""
        found = [version for version in self.versions() if version["isProduction"]]
        assert len(found) <= 1
        return found[0] if found else None

    def bot(self) -> Json:
        found: Json | None = self.store.database["bots"].find_one({"_id": self.bot_id})
        assert found is not None
        return found

    def audited(self, action: str) -> list[Json]:
        return list(self.store.database["audit_logs"].find({"action": action, "botId": self.bot_id}))

    def stand(self, version_id: str, node_id: str, count: int, **more: Any) -> None:
        """So many customers' conversations stand there."""
        now = utc_now()
        session = {
            "botId": self.bot_id, "channel": "WHATSAPP", "isOpen": True, "isTest": False, "status": "PAUSED",
            "flowId": self.flow_id, "flowVersionId": version_id, "currentNodeId": node_id, "runsFor": self.bot_id,
            "createdAt": now, "updatedAt": now, **more,
        }  # fmt: skip
        session = {key: value for key, value in session.items() if value is not None}
        self.store.database["sessions"].insert_many(
            [{"_id": new_ulid(), "contactId": new_ulid(), **session} for _ in range(count)]
        )


def make_bot(person: Person, store: Store, *, connected: bool = True) -> str:
    bot_id, _ = store.bots.ensure_bot(person.user_id, f"Bot {new_ulid()}", "")
    if connected:
        number = str(next(_NUMBERS))
        account = {"phoneNumberId": number, "phoneNumber": number, "businessAccountId": "1"}
        keys = KeyRing.from_setting(ENCRYPTION_KEYS)
        store.bots.ensure_account(bot_id, account, {"accessToken": "EAAB"}, keys.encrypt)
    return bot_id


def make_flow(
    person: Person, store: Store, bot_id: str, name: str = "Flow", flow_data: Json | None = None
) -> Flow:
    made = store.flows.create(
        bot_id, name, flow_id=new_ulid(), by=person.user_id, flow_data=flow_data or simple()
    )
    return Flow(person, store, bot_id, made["_id"])
