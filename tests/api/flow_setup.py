"""A bot with a flow, and how tests work on it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from common.ids import new_ulid

if TYPE_CHECKING:
    from common.store.store import Store
    from tests.api.person import Answer, Person

ELEVEN_MINUTES = timedelta(minutes=11)


def new_bot(store: Store, person: Person, name: str = "Bakery") -> str:
    """A bot of theirs."""
    return store.bots.ensure_bot(person.user_id, name, "")[0]


@dataclass
class FlowPage:
    """A flow as its owner has it open."""

    person: Person
    store: Store
    bot_id: str
    flow_id: str

    @property
    def path(self) -> str:
        return f"/api/bots/{self.bot_id}/flows/{self.flow_id}"

    def show(self) -> dict[str, Any]:
        return ok(self.person.get(self.path))

    def draft(self) -> dict[str, Any]:
        return ok(self.person.get(f"{self.path}/draft"))

    def data(self, message: str | None = None) -> dict[str, Any]:
        """The draft's flow, perhaps with another message in its first MESSAGE node."""
        data: dict[str, Any] = self.draft()["flowData"]
        return data if message is None else with_message(data, message)

    def save(self, data: Any, revision: int | None = None, **more: Any) -> Answer:
        revision = self.draft()["revision"] if revision is None else revision
        return self.person.put(f"{self.path}/draft", {"flowData": data, "revision": revision, **more})

    def versions(self, **query: Any) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = ok(self.person.get(f"{self.path}/versions", **query))["items"]
        return items

    def grow_older(self, by: timedelta = ELEVEN_MINUTES) -> None:
        """As if nobody had touched it for a while."""
        drafts = self.store.database["flow_drafts"]
        draft = drafts.find_one({"_id": self.flow_id})
        assert draft is not None
        past = {name: draft[name] - by for name in ("savedAt", "historyAt")}
        drafts.update_one({"_id": self.flow_id}, {"$set": past})

    def put_live(self, data: dict[str, Any] | None = None) -> str:
        """Make it live as it is, without asking whether it is fit for that."""
        return self.store.deployments.put_live(
            self.flow_id, data or self.data(), deployed_by=self.person.user_id, note="out"
        )


def new_flow(store: Store, person: Person, bot_id: str, name: str = "Welcome", **more: Any) -> FlowPage:
    """A flow made over the API; an example unless `flowData` or `example` says otherwise."""
    body = {"name": name, **({} if "flowData" in more else {"example": "welcome-menu"}), **more}
    answer = person.post(f"/api/bots/{bot_id}/flows", body)
    return FlowPage(person, store, bot_id, ok(answer, 201)["id"])


def with_message(data: dict[str, Any], message: str) -> dict[str, Any]:
    """The same flow with another text in its first MESSAGE node."""
    changed = copy.deepcopy(data)
    node = next(node for node in changed["nodes"] if node["nodeType"] == "MESSAGE")
    node["config"]["messageContent"] = message
    return changed


def look(person: Person, path: str) -> Answer:
    """GET, with the query where it belongs."""
    base, _, query = path.partition("?")
    return person.get(base, **dict(parse_qsl(query)))


def ok(answer: Answer, status: int = 200) -> dict[str, Any]:
    """What was answered, which must be good news."""
    assert answer.status == status, (answer.status, answer.text)
    body: dict[str, Any] = answer.json
    return body


def open_session(store: Store, bot_id: str, flow_id: str, status: str = "PAUSED", **more: Any) -> str:
    """A conversation that is on the flow."""
    contact_id = new_ulid()
    session = {
        "_id": f"s-{contact_id}", "botId": bot_id, "contactId": contact_id, "channel": "WHATSAPP", "flowId": flow_id,
        "lane": f"wa:{contact_id}", "status": status, "isOpen": status not in ("CLOSED", "FAILED"), "isTest": False,
        **more,
    }  # fmt: skip
    store.database["sessions"].insert_one(session)
    return str(session["_id"])
