"""A web process that dies in a deploy leaves the old version live or the new one, and never both or none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from http.client import HTTPException

import pytest

from common.clock import utc_now
from common.ids import new_ulid
from tests.support.deploys import flow_id_of, followed
from tests.support.flows import Json, ask, count, end, flow
from tests.support.owner import owner_of
from tests.support.waiting import wait_until
from tests.support.world import Bot, World

DEPLOY = ["D1", "D2"]


@pytest.fixture
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("deploys")) as world:
        world.stack.start_worker()
        world.stack.start_timer()
        yield world


def asking(name: str) -> Json:
    nodes = {"count": count(), "ask": ask(name + " {{n}} {{lastMessage}}"), "end": end()}
    return flow(nodes, "start > count, count > ask, ask.success > count, ask.failure > end")


def versions(bot: Bot) -> list[Json]:
    """Those that are or were live, the oldest first."""
    return sorted(bot.find("flow_versions", isDraft=False), key=lambda version: version["versionNumber"])


@pytest.mark.parametrize("point", DEPLOY)
def test_a_web_process_that_dies_in_a_deploy(world: World, point: str) -> None:
    bot, store = world.bot(asking("old")), world.store
    clean = world.stack.start_web()
    owner, flow_id = owner_of(bot), flow_id_of(bot)
    under_way = bot.person()
    bot.say(under_way, "hi")
    bot.wait_for(under_way, 1)
    store.flows.ensure_draft(flow_id, by=owner.user_id)
    store.flows.save_draft(bot.bot_id, flow_id, asking("new"), revision=1, by=owner.user_id)
    clean.stop()
    victim = world.stack.start_web(CRASHPOINT=point)
    key = new_ulid()

    def deploy(**headers: str) -> tuple[int, Json]:
        body = {"revision": 2, "runningConversations": "RESTART_ON_NEW"}
        return owner.post(f"/api/bots/{bot.bot_id}/flows/{flow_id}/deploy", body, **headers)

    with pytest.raises((OSError, HTTPException)):
        deploy(Idempotency_Key=key)
    wait_until(lambda: "SIGKILL" in victim.log(), "gunicorn sees its worker die")
    victim.kill()
    world.stack.start_web()

    live = [
        version["flowData"]["nodes"][2]["config"]["promptMessage"].split()[0] for version in versions(bot)
    ]
    assert live == (["old"] if point == "D1" else ["old", "new"])
    assert [version["isProduction"] for version in versions(bot)] == (
        [True] if point == "D1" else [False, True]
    )
    # What is live is what runs, for new conversations and for the one that was told to begin again.
    began = "old" if point == "D1" else "new"
    person = bot.person()
    bot.say(person, "a")
    assert bot.wait_for(person, 1) == [f"{began} 1 a"]
    bot.say(under_way, "b")
    assert bot.wait_for(under_way, 2)[1] == f"{began} 2 b"

    status, answer = deploy(Idempotency_Key=key)
    assert (status, answer["error"]["code"]) == (409, "still_running"), "nobody knows yet that it is dead"
    long_ago = utc_now() - timedelta(minutes=2)
    store.database["idempotency_keys"].update_one({}, {"$set": {"startedAt": long_ago}})
    status, answer = repeat(lambda: deploy(Idempotency_Key=key))
    assert status == 200, answer
    made = versions(bot)
    assert len(made) == 2, "repeated, it is the same deploy"
    assert answer["version"]["id"] == made[1]["_id"]
    assert [version["isProduction"] for version in made] == [False, True]
    followed()
    bot.say(under_way, "c")
    assert bot.wait_for(under_way, 3)[2] == "new 3 c"
    bot.check()


def repeat(deploy: Callable[[], tuple[int, Json]]) -> tuple[int, Json]:
    """Until the locks that the dead process left in the database are gone."""
    answers: list[tuple[int, Json]] = []

    def look() -> bool:
        answers.append(deploy())
        return answers[-1][0] != 503

    wait_until(look, "the abandoned transaction is ended", 20)
    return answers[-1]
