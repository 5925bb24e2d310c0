"""A worker that dies, freezes or is told to stop loses nothing, repeats nothing and holds nobody up."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.support.flows import call, echo, echoes, end, flow, say
from tests.support.history import Allowed
from tests.support.processes import logged, thaw, wait_until_frozen, wait_until_let_go, wait_until_logged
from tests.support.waiting import wait_until
from tests.support.world import SMALL, World, interleaved

LEASE_SECONDS = float(SMALL["LEASE_SECONDS"])
GRACE_SECONDS = float(SMALL["SEND_GRACE_SECONDS"])


@pytest.fixture(scope="module")
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Web and timer run; each test brings its own workers."""
    with World(mongo_uri, tmp_path_factory.mktemp("leases")) as world:
        world.start(workers=0)
        yield world


@pytest.fixture(autouse=True)
def _no_workers_left(world: World) -> Iterator[None]:
    yield
    for process in world.stack.processes:
        if process.name == "worker":
            process.kill()


# K5 (not sent yet) and K6 (sent, not written down) have tests of their own: there the outcome is unknown.
@pytest.mark.parametrize("point", ["K1", "K2", "K3", "K4", "K7"])
def test_a_frozen_worker_that_wakes_up_changes_nothing(world: World, point: str) -> None:
    bot = world.bot(echo())
    person = bot.person()
    zombie = world.stack.start_worker(PAUSEPOINT=point)
    bot.say(person, "one")
    wait_until_frozen(zombie)
    frozen_at = time.time()
    world.stack.start_worker()
    bot.say(person, "two")
    bot.wait_for(person, 2)
    if point != "K7":  # there, the first message was sent before the freeze
        took_over_after = bot.sends(person)[0]["at"] - frozen_at
        assert took_over_after < LEASE_SECONDS + 3
    thaw(zombie)
    if point in {"K3", "K4"}:
        wait_until_let_go(zombie)
    bot.say(person, "three")
    bot.wait_for(person, 3)
    bot.check()
    assert bot.texts(person) == echoes(["one", "two", "three"])
    assert zombie.is_running


def test_one_frozen_in_the_middle_of_a_commit_holds_nobody_up(world: World) -> None:
    """Its transaction has locked the lane: neither the others' claims nor the webhook may wait for that."""
    bot = world.bot(echo())
    stuck, others = bot.person(), [bot.person() for _ in range(5)]
    zombie = world.stack.start_worker(PAUSEPOINT="K3")
    bot.say(stuck, "one")
    wait_until_frozen(zombie)
    world.stack.start_worker()
    begun_at = time.time()
    for person, text in interleaved(others, [str(number) for number in range(8)]):
        bot.say(person, text)
    bot.say(stuck, "two")
    for person in others:
        bot.wait_for(person, 8)
    bot.wait_for(stuck, 2)
    assert (
        max(sent["at"] for sent in bot.sends()) - begun_at < LEASE_SECONDS + 8
    )  # not the minute of MongoDB's limit
    thaw(zombie)
    wait_until_let_go(zombie)
    bot.check()


def test_one_frozen_after_the_post_does_not_send_again(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    zombie = world.stack.start_worker(PAUSEPOINT="K6")
    bot.say(person, "one")
    wait_until_frozen(zombie)
    world.stack.start_worker()
    bot.say(person, "two")
    bot.wait_for(person, 2)
    thaw(zombie)
    bot.say(person, "three")
    bot.wait_for(person, 3)
    bot.check()
    assert bot.texts(person) == echoes(["one", "two", "three"])


def test_a_send_of_a_killed_worker_waits_for_a_late_status_and_is_not_repeated(world: World) -> None:
    """Even where everything unknown is repeated: first, Meta gets the time to say that it has the message."""
    bot = world.bot(echo())
    person = bot.person()
    settings = {"SEND_UNKNOWN_POLICY": "RESEND", "SEND_GRACE_SECONDS": "10"}
    before = world.peers.control("GET", "statuses")["delays"]
    world.peers.control("PUT", "statuses", {"sent": LEASE_SECONDS + 2})
    victim = world.stack.start_worker(CRASHPOINT="K6", **settings)
    bot.say(person, "one")
    assert victim.wait(15) == -signal.SIGKILL
    world.stack.start_worker(**settings)
    wait_until(lambda: bot.out(status="UNKNOWN"), "the next holder does not know")
    wait_until(lambda: bot.out(status="SENT"), "the status tells")
    world.peers.control("PUT", "statuses", before)
    bot.say(person, "two")
    bot.wait_for(person, 2)
    bot.check()
    assert bot.texts(person) == echoes(["one", "two"])


@pytest.mark.parametrize("policy", ["HOLD", "RESEND"])
def test_one_frozen_before_the_post_never_posts_once_it_is_too_late(world: World, policy: str) -> None:
    """The next holder decides about the message; whatever it decides, the zombie has no part in it."""
    bot = world.bot(echo())
    person = bot.person()
    zombie = world.stack.start_worker(PAUSEPOINT="K5", SEND_UNKNOWN_POLICY=policy)
    bot.say(person, "one")
    wait_until_frozen(zombie)
    world.stack.start_worker(SEND_UNKNOWN_POLICY=policy)
    bot.say(person, "two")
    sent = ["2:two"] if policy == "HOLD" else ["1:one", "2:two"]
    bot.wait_for(person, len(sent), LEASE_SECONDS + GRACE_SECONDS + 5)
    thaw(zombie)
    wait_until_let_go(zombie)
    bot.say(person, "three")
    bot.wait_for(person, len(sent) + 1)
    bot.check(Allowed(unsent=policy == "HOLD"))
    assert bot.texts(person) == [*sent, "3:three"]


def test_one_frozen_before_the_post_that_wakes_in_time_to_say_so_is_believed(world: World) -> None:
    """It knows that it did not post: nobody needs to wait for the end of the grace period, or to guess."""
    bot = world.bot(echo())
    person = bot.person()
    settings = {"SEND_UNKNOWN_POLICY": "HOLD", "SEND_GRACE_SECONDS": "8"}
    zombie = world.stack.start_worker(PAUSEPOINT="K5", **settings)
    bot.say(person, "one")
    wait_until_frozen(zombie)
    successor = world.stack.start_worker(**settings)
    wait_until_logged(successor, "lane.parked")
    thaw(zombie)
    bot.wait_for(person, 1, 12)
    bot.check()
    assert bot.texts(person) == ["1:one"]


def test_a_killed_workers_conversations_go_on_within_a_lease(world: World) -> None:
    bot = world.bot(echo())
    people = [bot.person() for _ in range(20)]
    # What died before its POST is then sent by the next holder, not left open.
    victim, _ = [world.stack.start_worker(SEND_UNKNOWN_POLICY="RESEND") for _ in range(2)]
    texts = [str(number) for number in range(6)]
    for place, (person, text) in enumerate(interleaved(people, texts)):
        bot.say(person, text)
        if place == 60:
            wait_until(lambda: len(bot.sends()) > 10, "both workers are busy")
            victim.kill()
    killed_at = time.time()
    bot.drain(LEASE_SECONDS + GRACE_SECONDS + 10)
    bot.check()
    assert {person: bot.texts(person) for person in people} == dict.fromkeys(people, echoes(texts))
    last = max(sent["at"] for sent in bot.sends())
    assert last - killed_at < LEASE_SECONDS + GRACE_SECONDS + 3


def test_told_to_stop_under_load_it_hands_everything_over_at_once(world: World) -> None:
    """A lease of a minute: had one lane been left leased, its messages would come a minute late."""
    slow = flow(
        {"wait": call(world.crm("echo")), "done": end("done")},
        "start > wait, wait.success > done, wait.failure > done",
    )
    bot, caller = world.bot(echo()), world.bot(slow)
    people, waiting = [bot.person() for _ in range(20)], [caller.person() for _ in range(5)]
    stopped = world.stack.start_worker(LEASE_SECONDS="60")
    fault = world.peers.fault("latency", endpoint="crm.echo", seconds=2)
    texts = [str(number) for number in range(6)]
    for person in waiting:
        caller.say(person, "go")
    for person, text in interleaved(people, texts):
        bot.say(person, text)
    wait_until(lambda: len(bot.sends()) > 10, "it is busy")
    world.stack.start_worker(LEASE_SECONDS="60")
    begun_at = time.monotonic()
    assert stopped.stop() == 0
    assert time.monotonic() - begun_at < float(SMALL["STOP_SECONDS"])
    for one in (bot, caller):
        one.drain(15)
        one.check()
    assert {person: bot.texts(person) for person in people} == dict.fromkeys(people, echoes(texts))
    assert [caller.texts(person) for person in waiting] == [["done"]] * 5
    assert logged(stopped, "worker.stopped")[0]["held"] == 0
    world.peers.control("DELETE", f"faults/{fault}")


def test_told_to_stop_during_a_call_that_hangs_it_does_not_wait_for_the_end(world: World) -> None:
    hanging = flow(
        {"ask": call(world.crm("echo")), "done": end("done")},
        "start > ask, ask.success > done, ask.failure > done",
    )
    bot = world.bot(hanging)
    person = bot.person()
    fault = world.peers.fault("hang_before", endpoint="crm.echo", times=1)
    worker = world.stack.start_worker(STOP_SECONDS="4", LEASE_SECONDS="60")
    bot.say(person, "go")
    wait_until(lambda: bot.find("sessions", callStarts=1), "the call is under way")
    begun_at = time.monotonic()
    assert worker.stop() == 0
    assert time.monotonic() - begun_at < 5
    world.stack.start_worker()
    bot.wait_for(person, 1, 5)
    bot.check()
    world.peers.control("DELETE", f"faults/{fault}")


def test_told_twice_it_ends_at_once_and_others_go_on(world: World) -> None:
    bot = world.bot(flow({"hello": say("hello"), "done": end()}, "start > hello, hello > done"))
    person = bot.person()
    fault = world.peers.fault("latency", seconds=6, times=1, to=person)
    worker = world.stack.start_worker(GRAPH_TIMEOUT_SECONDS="20", STOP_SECONDS="25")
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    worker.send(signal.SIGTERM)
    wait_until_logged(worker, "worker.stopping")
    time.sleep(0.6)  # a second signal right behind the first one is the same one, told by two
    begun_at = time.monotonic()
    worker.send(signal.SIGTERM)
    assert worker.wait(5) != 0
    assert time.monotonic() - begun_at < 1
    world.stack.start_worker()
    bot.check()
    assert bot.texts(person) == ["hello"]
    world.peers.control("DELETE", f"faults/{fault}")


def test_a_killed_child_is_started_again(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    supervisor = world.stack.start_worker(WORKER_PROCESSES="2")
    children = wait_until(lambda: _children(supervisor.pid, 2), "two children")
    for child in children:
        child.kill()
    fresh = wait_until(
        lambda: [c for c in _children(supervisor.pid, 2) if c not in children], "both started again"
    )
    bot.say(person, "one")
    bot.wait_for(person, 1)
    bot.check()
    assert len(fresh) == 2
    # As honcho and a terminal do it: the signal goes to the whole group, so a child gets it twice.
    supervisor.send(signal.SIGTERM)
    assert supervisor.wait(10) == 0
    assert len(logged(supervisor, "worker.stopped")) == 2
    assert not any(child.is_running() for child in fresh)


def _children(pid: int, count: int) -> list[psutil.Process]:
    children = [c for c in psutil.Process(pid).children() if c.status() != psutil.STATUS_ZOMBIE]
    return children if len(children) == count else []
