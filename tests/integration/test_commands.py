"""Operators' commands, run as an operator runs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from common.clock import utc_now
from common.model.jobs import JobKind, NewJob
from tests.support.flows import echo
from tests.support.world import World


@pytest.fixture(scope="module")
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("commands")) as world:
        yield world


def test_a_stopped_bot_is_listed_and_resumed(world: World) -> None:
    bot = world.bot(echo())
    world.store.bots.stop_sending(bot.bot_id, "190: token expired")
    listed = world.stack.run("bots", "list")
    assert f"{bot.bot_id}  number {bot.number}  stopped: 190: token expired" in listed.stdout
    resumed = world.stack.run("bots", "resume", bot.bot_id)
    assert resumed.stdout == "Sending again; 0 conversations waited for it.\n"
    account = world.store.bots.account_of(bot.bot_id)
    assert account is not None
    assert account.stopped_for is None


def test_a_bot_that_does_not_exist_is_not_resumed(world: World) -> None:
    done = world.stack.run("bots", "resume", "nobody")
    assert done.returncode == 1
    assert "There is no bot nobody" in done.stderr


def test_the_doctor_sees_what_is_wrong(world: World) -> None:
    assert "no job is pending" in world.stack.run("doctor").stdout
    job = NewJob("doctor:1", JobKind.MESSAGE, "wa:doctor", "{}", "r", "b", "n")
    world.store.jobs.insert([job], utc_now())
    done = world.stack.run("doctor")
    assert done.returncode == 1
    assert "oldest pending job: " in done.stdout
    assert "no worker process was seen" in done.stdout
    assert "replica set" in done.stdout
    assert "the database's clock is" in done.stdout


def test_indexes_are_made_once(world: World) -> None:
    assert world.stack.run("indexes").stdout == "All indexes are in place.\n"
