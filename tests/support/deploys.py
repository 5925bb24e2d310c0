"""Deploys as the web process makes them, and the proof that what ran afterwards can be run again from its log."""

from __future__ import annotations

import json
import time
from typing import Any

from common.flow.definition import load_flow
from common.flow.replay import LoggedTurn, replay
from common.ids import new_ulid
from common.model.flow_settings import RunningConversations
from common.model.session import Session
from common.store.deployments import Deploy
from tests.support.flows import Json
from tests.support.waiting import wait_until
from tests.support.world import Bot

FINISH = RunningConversations.FINISH_ON_OLD
RESTART = RunningConversations.RESTART_ON_NEW
BY = "01OWNER"
FOLLOWED_SECONDS = 1.0


def followed() -> None:
    """Let the time pass within which every worker follows a deploy."""
    until = time.monotonic() + FOLLOWED_SECONDS
    wait_until(lambda: time.monotonic() >= until, "a second has passed")


def flow_id_of(bot: Bot) -> str:
    """The bot's first flow."""
    flow_id: str = min(flow["_id"] for flow in bot.find("flows"))
    return flow_id


def deploy(
    bot: Bot, flow_data: Json, running: RunningConversations = FINISH, flow_id: str | None = None
) -> Json:
    """Save this as the draft and put it live; the version."""
    store, flow_id = bot.world.store, flow_id or flow_id_of(bot)
    store.flows.ensure_draft(flow_id, by=BY)
    draft = store.flows.draft(bot.bot_id, flow_id)
    assert draft is not None
    saved = store.flows.save_draft(bot.bot_id, flow_id, flow_data, revision=draft["revision"], by=BY)
    return store.deployments.deploy(
        _order(bot, flow_id, flow_data, running, revision=saved.draft["revision"])
    )


def roll_back(bot: Bot, running: RunningConversations = FINISH) -> Json:
    """Go back to the version that was live before; the new version."""
    store, flow_id = bot.world.store, flow_id_of(bot)
    live = store.deployments.live(flow_id)
    assert live is not None
    before = store.deployments.previous(flow_id, live["versionNumber"])
    assert before is not None
    order = _order(bot, flow_id, before["flowData"], running, revision=before["revision"])
    return store.deployments.roll_back(order, before)


def _order(
    bot: Bot, flow_id: str, flow_data: Json, running: RunningConversations, *, revision: int
) -> Deploy:
    live = bot.world.store.deployments.live(flow_id)
    return Deploy(
        version_id=new_ulid(),
        bot_id=bot.bot_id,
        flow_id=flow_id,
        flow_data=flow_data,
        by=BY,
        revision=revision,
        live_before=live["_id"] if live else None,
        running=running,
    )


def add_flow(bot: Bot, name: str, flow_data: Json, triggers: list[Json] | None = None) -> str:
    """A further live flow of the bot; its id."""
    store = bot.world.store
    flow_id: str = store.flows.create(bot.bot_id, name, flow_id=new_ulid(), by=BY, flow_data=flow_data)["_id"]
    store.database["flows"].update_one({"_id": flow_id}, {"$set": {"triggers": triggers or []}})
    store.deployments.put_live(flow_id, flow_data, deployed_by=BY)
    return flow_id


def session_of(bot: Bot, person: str) -> Json:
    """Somebody's newest conversation."""
    found = bot.find("sessions", userPhoneNumber=person)
    session: Json = max(found, key=lambda session: session["_id"])
    return session


def beginnings(bot: Bot, person: str) -> list[tuple[str, str]]:
    """Why a conversation began again, each time, and the note in the log."""
    steps = bot.world.store.execution_logs.steps(session_of(bot, person)["_id"])
    details = [(json.loads(step.get("detail", "{}")), step) for step in steps]
    return [
        (detail["beganAgain"]["why"], step["notes"][0]) for detail, step in details if "beganAgain" in detail
    ]


def check_replays(bot: Bot) -> None:
    """Every conversation, across all its versions: the log alone gives the same path, messages and variables."""
    store = bot.world.store
    for stored in bot.find("sessions"):
        steps = store.execution_logs.steps(stored["_id"])
        said, way, session = [], [], None
        for step in (step for step in steps if "cause" in step):
            version = store.bots.version(step["flowVersionId"])
            assert version is not None
            flow = load_flow(version.flow_data, version.version_id).flow
            assert flow is not None
            begun = Session(stored["_id"], stored["botId"], stored["contactId"], version.version_id)
            replayed = replay(flow, session or begun, [LoggedTurn.from_json(json.loads(step["cause"]))])
            session = replayed.session
            said += [message.text for message in replayed.messages]
            way.append((step["turn"], session.turn, session.flow_version_id))
        assert session is not None
        assert way == [(turn, turn, version) for turn, _, version in way]
        assert said == [message["messageContent"] for message in bot.out(sessionId=stored["_id"])]
        assert (session.status, session.node_id) == (stored["status"], stored["currentNodeId"])
        assert session.flow_version_id == stored["flowVersionId"]
        found = store.database["session_variables"].find({"sessionId": stored["_id"]})
        variables: dict[str, Any] = {one["variableName"]: one["variableValue"] for one in found}
        assert variables == (session.variables if stored["isOpen"] else {})
