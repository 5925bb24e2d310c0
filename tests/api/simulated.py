"""An application with a worker and a timer behind it, and somebody who tries a flow there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.rest.tokens import issue
from common.clock import utc_now
from common.ids import new_ulid
from common.store.store import Store
from tests.api.person import Answer, Person
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from flask import Flask
    from pymongo.database import Database

Json = dict[str, Any]
PHONE = "+49 170 1234567"


def somebody(app: Flask, store: Store, role: str = "USER") -> Person:
    """A user who is signed in."""
    email = f"{new_ulid()}@example.com".lower()
    store.users.ensure(email, "-", role, must_change_password=False)
    user = store.users.by_email(email)
    assert user is not None
    with app.app_context():
        token, _ = issue(user)
    return Person(app, user["_id"], email, token)


def give_bot(database: Database[Json], person: Person, *flows: Json) -> tuple[str, list[str]]:
    """A bot of this person's with these flows as drafts; its id and theirs."""
    bot_id, flow_ids = new_ulid(), [new_ulid() for _ in flows]
    bot = {
        "_id": bot_id,
        "userId": person.user_id,
        "name": "Bot",
        "configRevision": 1,
        "createdAt": utc_now(),
    }
    database["bots"].insert_one(bot)
    for flow_id, flow_data in zip(flow_ids, flows, strict=True):
        draft = {
            "_id": flow_id,
            "botId": bot_id,
            "revision": 1,
            "flowData": flow_data,
            "savedBy": person.user_id,
        }
        database["flow_drafts"].insert_one(draft)
    return bot_id, flow_ids


@dataclass
class Trial:
    """A person trying one flow with one phone number."""

    person: Person
    store: Store
    bot_id: str
    flow_id: str
    phone: str = PHONE
    conversation_id: str = ""

    @property
    def path(self) -> str:
        return f"/api/bots/{self.bot_id}/simulator/conversations/{self.conversation_id}"

    def send(self, **what: Any) -> Answer:
        """Send a message; the answer."""
        body = {"botId": self.bot_id, "flowId": self.flow_id, "phoneNumber": self.phone, **what}
        answer = self.person.post("/api/simulator/message", body)
        if answer.status == 202:
            self.conversation_id = answer.json["conversationId"]
        return answer

    def say(self, text: str) -> None:
        answer = self.send(text=text)
        assert answer.status == 202, answer.text

    def open(self) -> Json:
        """Open the conversation without saying anything."""
        body = {"flowId": self.flow_id, "phoneNumber": self.phone}
        answer = self.person.post(f"/api/bots/{self.bot_id}/simulator/conversations", body)
        assert answer.status == 200, answer.text
        self.conversation_id = answer.json["id"]
        state: Json = answer.json
        return state

    def state(self) -> Json:
        answer = self.person.get(self.path)
        assert answer.status == 200, answer.text
        state: Json = answer.json
        return state

    def messages(self) -> list[Json]:
        found = self.store.database["messages"].find({"lane": f"sim:{self.conversation_id}"})
        return sorted(found, key=lambda message: message["seq"])

    def texts(self) -> list[str]:
        """What the bot said."""
        return [message["messageContent"] for message in self.messages() if message["direction"] == "OUT"]

    def wait_for(self, *texts: str) -> None:
        """Wait until the bot has said exactly this."""
        wait_until(lambda: len(self.texts()) >= len(texts), f"{texts}")
        assert self.texts() == list(texts)

    def do(self, what: str, body: Json | None = None, *, method: str = "POST") -> Answer:
        """Give a control."""
        return self.person.request(method, f"{self.path}/{what}", body)

    def change_draft(self, flow_data: Json) -> None:
        """Save the draft."""
        self.store.database["flow_drafts"].update_one(
            {"_id": self.flow_id}, {"$set": {"flowData": flow_data}, "$inc": {"revision": 1}}
        )
