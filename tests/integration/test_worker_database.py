"""The database changes its primary, or dies and comes back, under load: nothing is lost, and soon all is done."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.local.mongod import EmbeddedMongod, ReplicaSet
from tests.support.figures import note
from tests.support.flows import echo, echoes
from tests.support.history import Allowed
from tests.support.waiting import wait_until
from tests.support.world import Bot, World, interleaved

DRAIN_SECONDS = 30.0
PEOPLE = 15
TEXTS = [str(number) for number in range(8)]
# An answer that Meta gave while the database was away is proved by its status; those come late here, too.
GRACE_SECONDS = "8"


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaSet]:
    with ReplicaSet(tmp_path_factory.mktemp("three"), 3) as members:
        yield members


@pytest.fixture
def world(three: ReplicaSet, tmp_path: Path) -> Iterator[World]:
    with World(three.uri, tmp_path, SEND_GRACE_SECONDS=GRACE_SECONDS) as world:
        world.start(workers=2)
        yield world


def under_load(bot: Bot, trouble: Callable[[], object]) -> float:
    """People write; `trouble` strikes in the middle. Returns the seconds from its end until all was done."""
    people = [bot.person() for _ in range(PEOPLE)]
    messages = interleaved(people, TEXTS)
    struck = threading.Event()

    def write() -> None:
        for place, (person, text) in enumerate(messages):
            bot.say(person, text)
            if place == len(messages) // 2:
                wait_until(lambda: len(bot.sends()) >= PEOPLE, "replies come")
                struck.set()

    writer = threading.Thread(target=write)
    writer.start()
    assert struck.wait(30)
    trouble()
    ended_at = time.monotonic()
    writer.join()
    wait_until(lambda: len(bot.sends()) >= len(messages), "all are answered", DRAIN_SECONDS)
    bot.drain(DRAIN_SECONDS)
    took = time.monotonic() - ended_at
    bot.check(Allowed())
    assert {person: bot.texts(person) for person in people} == dict.fromkeys(people, echoes(TEXTS))
    return took


def test_a_step_down_of_the_primary(three: ReplicaSet, world: World) -> None:
    took = under_load(world.bot(echo()), lambda: three.step_down(5))
    note("drained_after_seconds", took)
    assert took < DRAIN_SECONDS


def test_the_primary_is_killed_and_comes_back(three: ReplicaSet, world: World) -> None:
    def trouble() -> None:
        killed = three.kill_primary()
        three.wait_for_primary()
        three.restart(killed)

    took = under_load(world.bot(echo()), trouble)
    note("drained_after_seconds", took)
    assert took < DRAIN_SECONDS


def test_the_only_member_is_killed_and_comes_back(tmp_path: Path) -> None:
    folder = tmp_path / "stack"
    folder.mkdir()
    with (
        EmbeddedMongod(tmp_path / "one") as mongod,
        World(mongod.uri, folder, SEND_GRACE_SECONDS=GRACE_SECONDS) as world,
    ):
        world.start()

        def trouble() -> None:
            mongod.kill()
            time.sleep(1)  # it is away for a while: requests and commits meet nobody
            mongod.start()

        took = under_load(world.bot(echo()), trouble)
        note("drained_after_seconds", took)
        assert took < DRAIN_SECONDS
