"""What becomes of conversations whose bot is disconnected, reconnected, or gets another number."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from common.ids import new_ulid
from common.model.encrypted_fields import ACCESS_TOKEN
from common.secrets import KeyRing
from scripts.local.bots import SAMPLE_TOKEN
from tests.http.meta_webhooks import message, post, value
from tests.support.flows import ask, echo, echoes, end, flow, wait
from tests.support.waiting import wait_until
from tests.support.webhooks import deliver
from tests.support.world import Bot, World

FOLLOW_SECONDS = 1.05  # until every worker has looked at its bots again


@pytest.fixture(scope="module")
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("reconnects")) as world:
        world.start()
        yield world


@pytest.fixture(autouse=True)
def _everything_works_again(world: World) -> Iterator[None]:
    yield
    world.peers.control("DELETE", "faults")


def connect(bot: Bot, number: str) -> int:
    """Save the account as the API does; returns how many conversations waited for it."""
    save(bot, number)
    return bot.world.store.wake_stopped(bot.bot_id)


def save(bot: Bot, number: str) -> None:
    world, store = bot.world, bot.world.store
    keys = KeyRing.from_setting(world.stack.secrets["ENCRYPTION_KEYS"])
    stored = store.whatsapp_accounts.find(bot.bot_id)
    account_id = stored["_id"] if stored else new_ulid()
    fields: dict[str, Any] = {
        "phoneNumberId": number,
        "phoneNumber": f"1{number[-10:]}",
        "businessAccountId": "1",
        "accessToken": keys.encrypt(SAMPLE_TOKEN, ACCESS_TOKEN.context(account_id)),
    }
    revision = stored.get("revision") if stored else None
    store.whatsapp_accounts.save(bot.bot_id, account_id, revision, fields, is_new=stored is None)


def waiting(bot: Bot) -> list[str]:
    return [each["messageContent"] for each in bot.out(status="QUEUED")]


def is_parked(bot: Bot) -> bool:
    """Nobody will look for long."""
    lanes = {job["lane"] for job in bot.find("jobs")}
    parked = {"_id": {"$in": list(lanes)}, "parkedFor": "bot_stopped"}
    later = {"$expr": {"$gt": ["$dueAt", {"$add": ["$$NOW", 30_000]}]}}
    return len(list(bot.world.store.database["lanes"].find({**parked, **later}))) == 1


def stop(bot: Bot, person: str, text: str) -> None:
    """Meta accepts the token no more; the answer to this text waits."""
    bot.world.peers.fault("graph_error", code=190, to=person)
    bot.say(person, text)
    wait_until(lambda: is_parked(bot), "the bot is stopped and its conversation waits")
    bot.world.peers.control("DELETE", "faults")
    time.sleep(FOLLOW_SECONDS)


def add_number(world: World, number: str) -> None:
    fields = {"phone_number_id": number, "waba_id": f"9{number[-12:]}", "access_token": SAMPLE_TOKEN}
    world.peers.control("POST", "numbers", fields)


def write_to(bot: Bot, number: str, person: str, text: str) -> None:
    """Somebody writes to this number of the bot, right now."""
    bot.world.peers.control("POST", f"phones/{person}/wrote", {"phone_number_id": number})
    said = {"sender": person, "text": {"body": text}, "timestamp": "4000000000"}
    deliver(bot, post(value(number, messages=[message(f"wamid.{new_ulid()}", **said)])))


def test_what_waited_goes_out_at_once_when_the_same_number_is_reconnected(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    stop(bot, person, "one")
    assert waiting(bot) == echoes(["one"])
    assert connect(bot, bot.number) == 1
    assert bot.wait_for(person, 1, 5) == echoes(["one"])
    bot.check()


def test_a_disconnected_bot_keeps_what_it_wants_to_say(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    stop(bot, person, "one")
    assert world.store.whatsapp_accounts.disconnect(bot.bot_id) is not None
    time.sleep(FOLLOW_SECONDS)
    # The lane is looked at and parked again: there is no number to send with.
    world.store.wake_stopped(bot.bot_id)
    wait_until(lambda: is_parked(bot), "it waits on")
    assert waiting(bot) == echoes(["one"])
    assert connect(bot, bot.number) == 1
    assert bot.wait_for(person, 1, 5) == echoes(["one"])
    bot.say(person, "two")
    assert bot.wait_for(person, 2) == echoes(["one", "two"])
    bot.check()


def test_a_new_number_answers_only_those_who_wrote_to_it(world: World) -> None:
    bot = world.bot(echo())
    old, new = bot.number, f"8{bot.number[1:]}"
    add_number(world, new)
    person = bot.person()
    stop(bot, person, "one")
    connect(bot, new)
    wait_until(lambda: bot.out(status="FAILED"), "what was for the old number fails and says why")
    (failed,) = bot.out(status="FAILED")
    assert failed["error"]["code"] == "number_changed"
    assert "another number" in failed["error"]["message"]
    assert (world.peers.sent(person), failed["phoneNumberId"]) == ([], old)
    # They write to the new number: the conversation goes on where it was, and is answered from there.
    write_to(bot, new, person, "two")
    wait_until(lambda: world.peers.sent(person), "an answer")
    (sent,) = world.peers.sent(person)
    assert (sent["phone_number_id"], sent["body"]) == (new, echoes(["one", "two"])[1])


def test_what_waits_goes_out_from_the_new_number_to_somebody_who_wrote_to_it_meanwhile(world: World) -> None:
    bot = world.bot(echo())
    new = f"8{bot.number[1:]}"
    add_number(world, new)
    person = bot.person()
    stop(bot, person, "one")
    save(bot, new)
    write_to(bot, new, person, "two")
    world.store.wake_stopped(bot.bot_id)
    wait_until(lambda: len(world.peers.sent(person)) == 2, "both answers")
    assert [(sent["phone_number_id"], sent["body"]) for sent in world.peers.sent(person)] == [
        (new, words) for words in echoes(["one", "two"])
    ]


def test_a_timer_that_ends_after_the_change_says_nothing_from_the_new_number(world: World) -> None:
    slow = flow(
        {"a": ask("?"), "w": wait(3), "b": end("late")}, "start > a, a.success > w, a.failure > b, w > b"
    )
    bot = world.bot(slow)
    new = f"8{bot.number[1:]}"
    add_number(world, new)
    person = bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    bot.say(person, "go")
    wait_until(lambda: bot.find("sessions", status="PAUSED", currentNodeId="w"), "it waits for the time")
    time.sleep(FOLLOW_SECONDS)
    connect(bot, new)
    (failed,) = wait_until(lambda: bot.out(status="FAILED"), "the message fails")
    assert failed["error"]["code"] == "number_changed"
    assert len(world.peers.sent(person)) == 1


def test_a_refusal_of_the_old_credentials_does_not_stop_the_new_connection(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    world.peers.fault("latency", seconds=0.6, times=1, to=person)
    world.peers.fault("graph_error", code=190, times=1, to=person)
    bot.say(person, "one")
    wait_until(lambda: bot.out(status="SENDING"), "it is on its way with the old token")
    connect(bot, bot.number)
    assert bot.wait_for(person, 1, 5) == echoes(["one"])
    account = world.store.bots.account_of(bot.bot_id)
    assert account is not None
    assert account.stopped_for is None
    bot.check()
