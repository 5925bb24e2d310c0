"""Controls and testers' messages put into conversations, as the web process puts them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from common.clock import utc_now
from common.ids import new_ulid
from common.model.control import Control, ControlAction
from common.model.conversation_jobs import (
    Conversation,
    control_job,
    conversation_of_tester,
    conversation_with,
    message_job_of_tester,
)
from common.model.jobs import NewJob
from common.store.store import Store
from tests.support.waiting import wait_until
from tests.support.world import Bot, Json

BY = "01USER"


def put(store: Store, job: NewJob) -> str:
    """Store a job and wake its lane."""
    store.jobs.insert([job], utc_now())
    store.lanes.wake([job.lane or ""])
    return job.job_id


def give(store: Store, where: Conversation, action: ControlAction, **arguments: Any) -> str:
    """Put a control into a conversation; the id of its job."""
    control = Control(action, BY, "because", arguments)
    job_id = put(store, control_job(where, control, job_id=new_ulid(), request_id="r"))
    store.lanes.hear([where.lane], *action.unparks)
    return job_id


def done(store: Store, job_id: str) -> Json:
    """A job once it is over."""
    wait_until(
        lambda: (store.jobs.find(job_id) or {"state": "PENDING"})["state"] != "PENDING", f"{job_id} is done"
    )
    job = store.jobs.find(job_id)
    assert job is not None
    return job


def control(bot: Bot, person: str, action: ControlAction, **arguments: Any) -> str | None:
    """Do something to somebody's conversation; the outcome."""
    store = bot.world.store
    outcome: str | None = done(store, give(store, conversation_with(bot.bot_id, person), action, **arguments)).get(
        "outcome"
    )  # fmt: skip
    return outcome


@dataclass(slots=True)
class Tester:
    """Somebody who tries a flow's draft."""

    bot: Bot
    flow_data: Json
    flow_id: str = field(default_factory=new_ulid)
    user_id: str = BY
    digits: str = "491701234567"
    revision: int = 1

    __test__ = False

    @property
    def store(self) -> Store:
        return self.bot.world.store

    @property
    def where(self) -> Conversation:
        return conversation_of_tester(self.bot.bot_id, self.user_id, self.flow_id, self.digits)

    def say(self, text: str) -> str:
        """Write something; the job's id."""
        return self.send({"type": "text", "text": {"body": text}})

    def send(self, message: Json) -> str:
        version_id = self.store.test_versions.keep(
            self.flow_id, self.revision, self.bot.bot_id, self.flow_data
        )
        return put(
            self.store,
            message_job_of_tester(
                self.where, message, flow_id=self.flow_id, version_id=version_id, job_id=new_ulid(),
                request_id="r", name="Ada",
            ),
        )  # fmt: skip

    def do(self, action: ControlAction, **arguments: Any) -> Json:
        """Give a control; its job, when it is over."""
        return done(self.store, give(self.store, self.where, action, **arguments))

    def messages(self) -> list[Json]:
        found = self.store.database["messages"].find({"lane": self.where.lane})
        return sorted(found, key=lambda message: message["seq"])

    def texts(self) -> list[str]:
        """What the bot said, in order."""
        return [message["messageContent"] for message in self.messages() if message["direction"] == "OUT"]

    def wait_for(self, *texts: str) -> None:
        """Wait until the bot has said exactly this."""
        wait_until(lambda: len(self.texts()) >= len(texts), f"{texts} after {self.texts()}")
        assert self.texts() == list(texts)

    def session(self) -> Json:
        """The newest session."""
        found = self.store.database["sessions"].find_one({"lane": self.where.lane}, sort=[("_id", -1)])
        assert found is not None
        return found

    def contact(self) -> Json:
        found = self.store.database["contacts"].find_one({"_id": self.where.contact_id})
        assert found is not None
        return found

    def steps(self) -> list[Json]:
        return self.store.execution_logs.steps(self.session()["_id"])
