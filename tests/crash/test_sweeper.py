"""Deletions and retention that are killed half-way: the next one goes on, and nothing is out of its reach."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import timedelta

import pytest

from common.clock import utc_now
from common.model.contacts import alias_of_number, contact_id_for
from tests.support.flows import echo
from tests.support.remains import orphans, remains
from tests.support.waiting import wait_until
from tests.support.world import Bot, World

SWEEPER = ["R1"]


@pytest.fixture
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("sweeper"), LEASE_SECONDS="1") as world:
        world.start(timers=0)
        yield world


def talk(bot: Bot) -> list[str]:
    """Some people, each with a conversation."""
    people = [bot.person() for _ in range(3)]
    for person in people:
        bot.say(person, "hello")
    for person in people:
        bot.wait_for(person, 1)
    bot.drain()
    return people


def dies(world: World, point: str) -> None:
    victim = world.stack.start_timer(CRASHPOINT=point)
    assert victim.wait(20) == -signal.SIGKILL


def is_done(world: World) -> bool:
    return world.store.deletions.pending() == 0


@pytest.mark.parametrize("point", SWEEPER)
def test_a_bots_deletion_that_is_killed(world: World, point: str) -> None:
    bot, other = world.bot(echo()), world.bot(echo())
    people = talk(bot)
    talk(other)
    assert world.store.deletions.ask_for_bot(bot.bot_id)
    dies(world, point)
    assert bot.find("sessions"), "in the middle of it"
    world.stack.start_timer()
    wait_until(lambda: is_done(world), "deleted", 30)
    traces = [bot.bot_id, bot.number, *people]
    traces += [contact_id_for(bot.bot_id, alias_of_number(person)) for person in people]
    assert remains(world.store.database, traces) == {}
    assert orphans(world.store.database) == {}
    other.check()


@pytest.mark.parametrize("point", SWEEPER)
def test_a_contacts_deletion_that_is_killed(world: World, point: str) -> None:
    bot = world.bot(echo())
    leaving, *_ = talk(bot)
    contact_id = contact_id_for(bot.bot_id, alias_of_number(leaving))
    contact = world.store.contact_records.find(bot.bot_id, contact_id)
    assert contact is not None
    world.store.deletions.ask_for_contact(contact)
    dies(world, point)
    assert bot.find("contacts", _id=contact_id), "in the middle of it"
    world.stack.start_timer()
    wait_until(lambda: is_done(world), "deleted", 30)
    assert remains(world.store.database, [leaving, contact_id]) == {}
    bot.say(leaving, "again")
    bot.wait_for(leaving, 2)
    assert bot.texts(leaving) == ["1:hello", "1:again"], "they are new here"


@pytest.mark.parametrize("point", SWEEPER)
def test_a_retention_that_is_killed(world: World, point: str) -> None:
    bot = world.bot(echo())
    talk(bot)
    database = world.store.database
    long_ago = utc_now() - timedelta(days=9)
    database["sessions"].update_many(
        {"botId": bot.bot_id},
        {"$set": {"createdAt": long_ago, "closedAt": long_ago, "status": "CLOSED", "isOpen": False}},
    )
    database["messages"].update_many({"botId": bot.bot_id}, {"$set": {"sentAt": long_ago}})
    owner = database["bots"].find_one({"_id": bot.bot_id})
    assert owner is not None
    days = {"messageDays": 3, "executionLogDays": 14}
    assert world.store.bot_records.change(bot.bot_id, owner["userId"], revision=1, retention=days)
    dies(world, point)
    assert bot.find("sessions"), "in the middle of it"
    world.stack.start_timer()
    wait_until(lambda: not bot.find("sessions"), "what is too old is gone", 30)
    assert bot.find("messages") == bot.find("execution_logs") == []
    assert orphans(database) == {}
