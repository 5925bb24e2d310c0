"""Each named crash point is hit once, with a real `kill -9`: afterwards everything was done, in order, once."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from scripts.local.stack import Running
from tests.support.figures import note
from tests.support.flows import ask, call, count, end, flow, say, wait
from tests.support.history import Allowed
from tests.support.waiting import wait_until
from tests.support.world import SMALL, Bot, World

CLAIMING = ["K1", "K2"]
TURN = ["K3", "K4"]
SENDING = ["K5", "K6", "K7"]
CALLING = ["K8", "K9", "K10"]
WEB = ["W1", "W2", "W3"]
TIMER = ["T1", "T2", "T3"]
WORKER = [*CLAIMING, *TURN, *SENDING, *CALLING]
# From the crash to the last reply: a lease, or a grace period, and the time to start a process.
DRAIN_SECONDS = float(SMALL["LEASE_SECONDS"]) + float(SMALL["SEND_GRACE_SECONDS"]) + 10


@pytest.fixture
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """RESEND: a send that no status proves is repeated, so that a lost message would be our fault alone."""
    folder = tmp_path_factory.mktemp("crash")
    with World(mongo_uri, folder, SEND_UNKNOWN_POLICY="RESEND") as world:
        yield world


def journey(world: World) -> Bot:
    """A bot whose every answer takes a call, a delay and two messages."""
    nodes = {
        "count": count(),
        "moment": say("{{n}} moment"),
        "call": call(world.crm("echo")),
        "wait": wait(1),
        "ask": ask("{{n}} done {{lastMessage}}"),
        "end": end("failed"),
    }
    edges = (
        "start > count, count > moment, moment > call, call.success > wait, call.failure > end, "
        "wait > ask, ask.success > count, ask.failure > end"
    )
    return world.bot(flow(nodes, edges))


def go_through(bot: Bot, crash: Callable[[], None]) -> None:
    """A conversation in which `crash` waits for the crash and starts a clean process."""
    person = bot.person()
    bot.say(person, "one")
    crash()
    crashed_at = time.monotonic()
    bot.wait_for(person, 2, DRAIN_SECONDS)
    note("continued_after_seconds", time.monotonic() - crashed_at)
    bot.say(person, "two")
    bot.wait_for(person, 4, DRAIN_SECONDS)
    bot.drain()
    assert bot.texts(person) == ["1 moment", "1 done one", "2 moment", "2 done two"]


def dies(process: Running) -> None:
    assert process.wait(20) == -signal.SIGKILL


@pytest.mark.parametrize("point", WORKER)
def test_a_worker_that_dies(world: World, point: str) -> None:
    bot = journey(world)
    world.start(workers=0)
    victim = world.stack.start_worker(CRASHPOINT=point)

    def crash() -> None:
        dies(victim)
        world.stack.start_worker()

    go_through(bot, crash)
    # A call that was made, but whose answer died with the process, is made again under the same key.
    bot.check(Allowed(calls_per_key=2 if point == "K9" else 1))
    if point == "K9":
        assert world.peers.control("GET", "crm/calls")["repeats"] == 1


@pytest.mark.parametrize("point", WEB)
def test_a_web_process_that_dies(world: World, point: str) -> None:
    bot = journey(world)
    world.stack.start_worker()
    world.stack.start_timer()
    victim = world.stack.start_web(CRASHPOINT=point)

    def crash() -> None:
        wait_until(lambda: "SIGKILL" in victim.log(), "gunicorn sees its worker die")
        victim.kill()
        world.stack.start_web()

    go_through(bot, crash)
    bot.check()


@pytest.mark.parametrize("point", TIMER)
def test_a_timer_that_dies(world: World, point: str) -> None:
    bot = journey(world)
    world.start(timers=0)
    victim = world.stack.start_timer(CRASHPOINT=point)

    def crash() -> None:
        dies(victim)
        world.stack.start_timer()

    go_through(bot, crash)
    bot.check()
    fired = [job["_id"] for job in bot.find("jobs", kind="TIMER")]
    assert len(fired) == len(set(fired)) == 2
