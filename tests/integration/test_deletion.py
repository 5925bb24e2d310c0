"""Bots and contacts are deleted while real processes work on them: nothing is left, and nothing comes back."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import pytest

from common.clock import utc_now
from common.model.contacts import alias_of_number, contact_id_for
from common.store.indexes import Retention, declared
from tests.support.flows import ask, call, count, end, flow, say, wait
from tests.support.processes import thaw, wait_until_frozen, wait_until_logged
from tests.support.remains import orphans, remains
from tests.support.waiting import wait_until
from tests.support.world import Bot, World

PEOPLE = 8


@pytest.fixture
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("deletion"), LEASE_SECONDS="1") as world:
        yield world


def journey(world: World, seconds: int = 1) -> Bot:
    """A bot whose every answer takes a call, a delay and two messages."""
    nodes = {
        "count": count(),
        "moment": say("{{n}} moment"),
        "call": call(world.crm("echo")),
        "wait": wait(seconds),
        "ask": ask("{{n}} done {{lastMessage}}"),
        "end": end("failed"),
    }
    edges = (
        "start > count, count > moment, moment > call, call.success > wait, call.failure > end, "
        "wait > ask, ask.success > count, ask.failure > end"
    )
    return world.bot(flow(nodes, edges))


def contact_of(bot: Bot, person: str) -> str:
    return contact_id_for(bot.bot_id, alias_of_number(person))


def traces(bot: Bot, people: list[str]) -> list[str]:
    return [bot.bot_id, bot.version_id, bot.number, *people, *(contact_of(bot, person) for person in people)]


def is_deleted(world: World) -> bool:
    return world.store.deletions.pending() == 0


class Crowd:
    """People who go on writing until they are told to stop."""

    def __init__(self, bots: list[Bot]) -> None:
        self.people = {bot.bot_id: [bot.person() for _ in range(PEOPLE)] for bot in bots}
        self._bots = bots
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._talk)

    def _talk(self) -> None:
        with ThreadPoolExecutor(4) as pool:
            number = 0
            while not self._stopping.wait(0.7):
                number += 1
                for bot in self._bots:
                    for person in self.people[bot.bot_id]:
                        pool.submit(bot.say, person, f"message {number}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()


def test_a_bot_is_deleted_under_load(world: World) -> None:
    """Webhooks, timers, calls and sends are under way while it goes, and messages for it keep coming."""
    doomed, other = journey(world), journey(world)
    world.start(workers=2, timers=2)
    with Crowd([doomed, other]) as crowd:
        people = crowd.people[doomed.bot_id]
        wait_until(lambda: len(doomed.out(status="DELIVERED")) > PEOPLE, "both are in the middle of it", 60)
        wait_until(
            lambda: doomed.find("counters") and doomed.find("sessions", status="PAUSED"), "timers wait"
        )
        assert world.store.deletions.ask_for_bot(doomed.bot_id)
        wait_until(lambda: not doomed.find("sessions"), "the first pass", 30)
        sent = len(doomed.sends())
        wait_until(lambda: is_deleted(world), "the last pass", 60)
        assert len(other.sends()) > PEOPLE
    world.peers.control("POST", "webhook", {"retry_base_seconds": 0.05})
    other.drain(60)
    wait_until(lambda: is_deleted(world), "what came back is gone again")
    assert len(doomed.sends()) == sent, "it fell silent with the first pass"
    # What came for its number afterwards belongs to nobody here, and waits for an operator to look at it.
    world.store.database["jobs"].delete_many({"state": "UNROUTED", "botId": None})
    assert remains(world.store.database, traces(doomed, people)) == {}
    assert orphans(world.store.database) == {}
    other.check()


def test_a_worker_that_was_frozen_brings_nothing_back(world: World) -> None:
    """It holds a lane and a computed turn when the bot goes, and wakes up when all is over."""
    bot = journey(world)
    world.start(workers=0)
    frozen = world.stack.start_worker(PAUSEPOINT="K2")
    person = bot.person()
    bot.say(person, "hello")
    wait_until_frozen(frozen)
    assert world.store.deletions.ask_for_bot(bot.bot_id)
    wait_until(lambda: is_deleted(world), "deleted", 30)
    thaw(frozen)
    wait_until_logged(frozen, "lane.lost")
    wait_until(lambda: is_deleted(world), "deleted still")
    assert remains(world.store.database, traces(bot, [person])) == {}


def test_a_job_that_was_on_its_way_calls_the_deletion_back(world: World) -> None:
    """A web process that stood still between looking its bot up and storing the message."""
    bot = journey(world)
    person = bot.person()
    world.start(workers=0)
    bot.say(person, "hello")
    (late,) = wait_until(lambda: bot.find("jobs"), "the job")
    assert world.store.deletions.ask_for_bot(bot.bot_id)
    wait_until(lambda: is_deleted(world), "deleted", 30)
    world.store.database["jobs"].insert_one(late)
    world.store.lanes.wake([late["lane"]])
    world.stack.start_worker()
    wait_until(lambda: not bot.find("jobs") and is_deleted(world), "deleted once more", 30)
    lane = world.store.database["lanes"]
    wait_until(lambda: lane.find_one({"_id": late["lane"]}) is None, "its lane, too")
    assert remains(world.store.database, traces(bot, [person])) == {}


def test_a_contact_is_deleted_under_load_and_may_come_again(world: World) -> None:
    bot = journey(world)
    world.start(workers=2)
    with Crowd([bot]) as crowd:
        leaving, *staying = crowd.people[bot.bot_id]
        wait_until(lambda: len(bot.sends(leaving)) > 2, "they are talking", 60)
        contact_id = contact_of(bot, leaving)
        contact = world.store.contact_records.find(bot.bot_id, contact_id)
        assert contact is not None
        world.store.database["contacts"].update_one(
            {"_id": contact_id}, {"$set": {"profileName": "trace-of-old"}}
        )
        (old,) = bot.find("sessions", contactId=contact_id)
        world.store.deletions.ask_for_contact(contact)
        wait_until(lambda: is_deleted(world), "deleted", 30)
        # They go on writing: a new contact, in a new conversation.
        wait_until(lambda: bot.find("sessions", contactId=contact_id), "they are back", 30)
    assert old["_id"] not in {session["_id"] for session in bot.find("sessions")}
    assert remains(world.store.database, [old["_id"], "trace-of-old"]) == {}
    assert orphans(world.store.database) == {}
    bot.drain(60)
    (contact,) = bot.find("contacts", _id=contact_id)
    assert contact["messageSeq"] == len(bot.find("messages", contactId=contact_id))
    bot.said = [said for said in bot.said if said.person in staying]


def test_a_contact_that_stays_away_leaves_nothing(world: World) -> None:
    bot = journey(world, seconds=3)
    world.start(workers=1)
    person, other = bot.person(), bot.person()
    for each in (person, other):
        bot.say(each, "hello")
    wait_until(lambda: len(bot.find("sessions", status="PAUSED")) == 2, "both wait for their timer")
    contact = world.store.contact_records.find(bot.bot_id, contact_of(bot, person))
    assert contact is not None
    world.store.deletions.ask_for_contact(contact)
    wait_until(lambda: is_deleted(world), "deleted", 30)
    bot.wait_for(other, 2)
    bot.drain()
    assert remains(world.store.database, [person, contact_of(bot, person)]) == {}
    assert len(bot.sends(person)) == 1, "nothing was sent to them afterwards"


def test_a_lane_of_nobody_does_not_stay(world: World) -> None:
    """A web process that stood still between storing a message, deleted meanwhile, and waking its lane."""
    world.store.lanes.wake(["wa:0123456789abcdef01234567"])
    world.stack.start_worker()
    lanes = world.store.database["lanes"]
    wait_until(lambda: lanes.find_one({}) is None, "the lane goes")


# What belongs to no bot, and why it stays when one goes.
OF_NO_BOT = {
    "users": "people",
    "revoked_tokens": "people",
    "idempotency_keys": "goes after a day",
    "audit_logs": "who did what",
    "openai_accounts": "a user's",
    "heartbeats": "processes",
    "deletions": "the tombstones themselves",
}


def test_every_collection_is_thought_of(world: World) -> None:
    """A new collection is either emptied with its bot, or says here why not."""
    bot_id = "bot-to-delete"
    database = world.store.database
    of_a_bot = {index.collection for index in declared(Retention())} - set(OF_NO_BOT)
    database["bots"].insert_one({"_id": bot_id, "userId": "u", "name": "x"})
    number = {"phoneNumberId": "777", "phoneNumber": "777"}
    for name in sorted(of_a_bot - {"bots", "lanes"}):
        span: dict[str, object] = {"versionId": None, "at": utc_now(), "n": {"turns": 1}}
        more: dict[str, object] = {}
        more |= number if name == "whatsapp_accounts" else span if name == "counters" else {}
        parents = {
            "contactId": "a-contact",
            "sessionId": "a-session",
            "flowId": "a-flow",
            "lane": "wa:a-contact",
        }
        document_id = {"contacts": "a-contact", "sessions": "a-session", "flows": "a-flow"}.get(
            name, f"one-of-{name}"
        )
        database[name].insert_one({"_id": document_id, "botId": bot_id, "owner": bot_id, **parents, **more})
    for name in ("session_variables", "execution_logs"):  # found by their session alone
        database[name].update_one({}, {"$unset": {"botId": ""}})
    database["lanes"].insert_many([{"_id": "wa:a-contact", "dueAt": None}, {"_id": "st:777:3"}])
    assert world.store.deletions.ask_for_bot(bot_id)
    world.stack.start_timer()
    wait_until(lambda: is_deleted(world), "deleted", 30)
    not_theirs = {"owner": {"$nin": ["*", "u:u"]}}  # its figures stay with the platform and its owner
    left = {name: database[name].count_documents(not_theirs) for name in of_a_bot}
    assert {name: count for name, count in left.items() if count} == {}
