"""Nobody is stranded when a flow is deleted; and a seeded installation has drafts to edit."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from common.ids import new_ulid
from common.secrets import hash_password
from tests.support.deploys import followed
from tests.support.flows import ask, end, flow, say
from tests.support.waiting import wait_until
from tests.support.world import Bot, Json, World

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("deleted")) as world:
        world.start()
        yield world


def asking(text: str) -> Json:
    nodes = {"ask": ask(text), "thanks": say("thanks"), "end": end(action="KEEP_ACTIVE")}
    return flow(nodes, "start > ask, ask.success > thanks, ask.failure > end, thanks > end")


def add_live_flow(bot: Bot, name: str, data: Json) -> str:
    store, user_id = bot.world.store, _owner(bot)["_id"]
    made = store.flows.create(bot.bot_id, name, flow_id=new_ulid(), by=user_id, flow_data=data)
    store.deployments.put_live(made["_id"], data, deployed_by=user_id)
    store.bots.set_active_flow(bot.bot_id, made["_id"])
    return str(made["_id"])


def _owner(bot: Bot) -> Json:
    config = bot.world.store.bots.load(bot.bot_id)
    assert config is not None
    owner = bot.world.store.database["users"].find_one({"_id": config.user_id})
    assert owner is not None
    return owner


def as_owner(bot: Bot, method: str, path: str) -> requests.Response:
    """What the bot's owner is answered, over real HTTP."""
    owner = _owner(bot)
    base = bot.world.stack.webhook_url.removesuffix("/api/webhook/whatsapp")
    email = owner["email"].lower()
    account = {"email": email, "passwordHash": hash_password(PASSWORD)}
    bot.world.store.database["users"].update_one({"_id": owner["_id"]}, {"$set": account})
    body = {"email": email, "password": PASSWORD, "transport": "bearer"}
    token = requests.post(f"{base}/api/auth/login", json=body, timeout=10).json()["accessToken"]
    return requests.request(
        method,
        f"{base}/api/bots/{bot.bot_id}{path}",
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
    )


def test_who_was_on_it_is_not_stranded(world: World) -> None:
    """One waits in the middle of it, one is past its end: both begin the other flow with their next message."""
    bot = world.bot(asking("the old one?"))
    config = world.store.bots.load(bot.bot_id)
    assert config is not None
    old = config.flows[0]
    waiting, ended = bot.person(), bot.person()
    for person in (waiting, ended):
        bot.say(person, "hi")
        bot.wait_for(person, 1)
    bot.say(ended, "an answer")
    bot.wait_for(ended, 2)
    add_live_flow(bot, "New", asking("the new one?"))
    assert as_owner(bot, "DELETE", f"/flows/{old.flow_id}").status_code == 204
    wait_until(lambda: not bot.find("sessions", isOpen=True), "both are closed")
    followed()
    for person, before in ((waiting, 1), (ended, 2)):
        bot.say(person, "hello?")
        assert bot.wait_for(person, before + 1)[-1] == "the new one?"
    begun = bot.find("sessions", isOpen=True)
    assert len(begun) == 2
    assert old.flow_id not in {session["flowId"] for session in begun}
    bot.check()


def test_who_is_not_closed_goes_on_with_the_version_that_is_kept(world: World) -> None:
    """As if the web process had died between the deletion and the closing."""
    bot = world.bot(asking("the old one?"))
    config = world.store.bots.load(bot.bot_id)
    assert config is not None
    person = bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    add_live_flow(bot, "New", asking("the new one?"))
    world.store.flows.delete(bot.bot_id, config.flows[0].flow_id)
    bot.say(person, "an answer")
    assert bot.wait_for(person, 2) == ["the old one?", "thanks"]
    bot.check()


def test_seeded_flows_have_drafts_and_seeding_again_changes_none(world: World) -> None:
    first = world.stack.run("seed")
    assert first.stdout.count("draft of flow") == 3
    database = world.store.database
    user = database["users"].find_one({"email": "abhi@gmail.com"})
    assert user is not None
    bot = database["bots"].find_one({"userId": user["_id"]})
    assert bot is not None
    drafts = {draft["_id"]: draft for draft in database["flow_drafts"].find({"botId": bot["_id"]})}
    live = world.store.flow_versions.live(list(drafts))
    assert len(drafts) == len(live) == 3
    for flow_id, draft in drafts.items():
        assert draft["contentHash"] == live[flow_id]["contentHash"]
        version = world.store.bots.version(live[flow_id]["_id"])
        assert version is not None
        assert draft["flowData"]["nodes"] == version.flow_data["nodes"]
    one = min(drafts)
    world.store.flows.save_draft(bot["_id"], one, {"nodes": []}, revision=1, by=user["_id"])
    other = max(drafts)
    database["flow_drafts"].delete_one({"_id": other})
    again = world.stack.run("seed")
    assert again.stdout.count("draft of flow") == 1
    changed, made = (world.store.flows.draft(bot["_id"], flow_id) for flow_id in (one, other))
    assert changed is not None
    assert made is not None
    assert changed["flowData"]["nodes"] == []
    assert made["contentHash"] == drafts[other]["contentHash"]
