"""Replies reach Meta in order and once, whatever Meta answers, and whatever it says about them afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from common.model.parking import ParkedFor
from tests.http.meta_webhooks import post, status, value
from tests.support.flows import echo, echoes, end, flow, say
from tests.support.history import Allowed
from tests.support.waiting import wait_until
from tests.support.webhooks import deliver, written
from tests.support.world import SMALL, Bot, World

GRACE_SECONDS = float(SMALL["SEND_GRACE_SECONDS"])
STATUSES = {"sent": 0.02, "delivered": 0.06, "read": 0.12}
_TWO = "start > a, a > b"


@pytest.fixture(scope="module")
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("sends"), statuses=STATUSES) as world:
        world.start()
        yield world


@pytest.fixture(autouse=True)
def _no_faults_left(world: World) -> Iterator[None]:
    yield
    world.peers.control("DELETE", "faults")


def two_messages() -> dict[str, object]:
    return flow({"a": say("a"), "b": end("b")}, _TWO)


def states(bot: Bot) -> list[str]:
    return [message["status"] for message in bot.out()]


def quickly_answered(bot: Bot) -> None:
    """Somebody else of the same bot is served as if nothing was."""
    other = bot.person()
    begun_at = time.monotonic()
    bot.say(other, "x")
    bot.wait_for(other, 1)
    assert time.monotonic() - begun_at < GRACE_SECONDS


# Statuses


@pytest.mark.parametrize(
    ("twist", "final"),
    [
        ({"do": "reorder_statuses"}, "READ"),
        ({"do": "duplicate_statuses", "copies": 3}, "READ"),
        ({"do": "drop_statuses", "statuses": ["sent", "delivered"]}, "READ"),
        ({"do": "drop_statuses", "statuses": ["delivered", "read"]}, "SENT"),
        ({"do": "drop_statuses"}, "ACCEPTED"),
        ({"do": "status_first"}, "SENT"),  # the peer tells only the first one then,
    ],
    ids=["reversed", "repeated", "only-the-last", "only-the-first", "none", "before-the-answer"],
)
def test_statuses_move_a_message_forward_in_whatever_order(
    world: World, twist: dict[str, object], final: str
) -> None:
    bot = world.bot(echo())
    person = bot.person()
    world.peers.fault(**{"to": person, **twist})  # type: ignore[arg-type] # a fault's fields
    bot.say(person, "one")
    bot.wait_for(person, 1)
    wait_until(lambda: states(bot) == [final], f"the message ends {final}")
    bot.check()
    assert states(bot) == [final]
    (message,) = bot.out()
    assert message["wamid"] == bot.sends()[0]["wamid"]


def test_a_status_of_another_number_moves_nothing(world: World) -> None:
    bot, stranger = world.bot(echo()), world.bot(echo())
    person = bot.person()
    world.peers.fault("drop_statuses", to=person)
    bot.say(person, "one")
    bot.wait_for(person, 1)
    (message,) = wait_until(lambda: bot.out(status="ACCEPTED"), "it is accepted")
    echoed = {"biz_opaque_callback_data": message["attemptIds"][0]}
    deliver(bot, post(value(stranger.number, statuses=[status(message["wamid"], "read", **echoed)])))
    stranger.drain()
    assert states(bot) == ["ACCEPTED"]
    deliver(bot, post(value(bot.number, statuses=[status(message["wamid"], "read", **echoed)])))
    wait_until(lambda: states(bot) == ["READ"], "the right number's status counts")
    bot.check()


def test_a_message_that_fails_afterwards_says_why_and_the_conversation_goes_on(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    world.peers.fault("fail_status", code=131026, times=1, to=person)
    bot.say(person, "one")
    wait_until(lambda: states(bot) == ["FAILED"], "the status says that it failed")
    bot.say(person, "two")
    bot.wait_for(person, 2)
    bot.check(Allowed(unsent=True))
    assert states(bot) == ["FAILED", "READ"]
    assert bot.out()[0]["error"]["code"] == 131026


# Sends whose outcome cannot be known


@pytest.mark.parametrize("fault", ["hang_after", "reset_after", "garbage"])
def test_a_send_without_an_answer_is_proved_by_its_status(world: World, fault: str) -> None:
    bot = world.bot(echo())
    person = bot.person()
    world.peers.fault(fault, times=1, to=person)
    bot.say(person, "one")
    bot.say(person, "two")
    quickly_answered(bot)
    bot.wait_for(person, 2)
    bot.check()
    assert bot.texts(person) == echoes(["one", "two"])


def silent_send(bot: Bot, person: str) -> None:
    """Meta takes the first reply to this person, but neither answers nor ever says so."""
    bot.world.peers.fault("drop_statuses", times=1, to=person)
    bot.world.peers.fault("hang_after", times=1, to=person)
    bot.say(person, "one")
    bot.say(person, "two")
    wait_until(lambda: bot.out(status="UNKNOWN"), "its outcome is unknown")


def test_silence_of_a_silent_number_is_no_evidence(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    silent_send(bot, person)
    bot.wait_for(person, 2)
    bot.check(Allowed(unsent=True))
    assert bot.texts(person) == echoes(["one", "two"])
    assert states(bot) == ["UNKNOWN", "READ"]


def test_silence_about_one_message_among_others_is_evidence(world: World) -> None:
    bot = world.bot(echo())
    person, other = bot.person(), bot.person()
    silent_send(bot, person)

    def chatter() -> bool:
        bot.say(other, "still here")
        return len(bot.texts(person)) >= 2

    wait_until(chatter, "it is sent again", GRACE_SECONDS + 5)
    bot.wait_for(person, 3)
    bot.check(Allowed(repeats=1))
    assert bot.texts(person) == ["1:one", "1:one", "2:two"]


@pytest.mark.parametrize("policy", ["HOLD", "RESEND"])
def test_the_policy_decides_about_an_unknown_send(
    mongo_uri: str, tmp_path_factory: pytest.TempPathFactory, policy: str
) -> None:
    folder = tmp_path_factory.mktemp(policy)
    with World(mongo_uri, folder, statuses=STATUSES, SEND_UNKNOWN_POLICY=policy) as world:
        world.start(timers=0)
        bot = world.bot(echo())
        person, other = bot.person(), bot.person()
        silent_send(bot, person)
        bot.say(other, "x")
        expected = ["1:one", "2:two"] if policy == "HOLD" else ["1:one", "1:one", "2:two"]
        bot.wait_for(person, len(expected), GRACE_SECONDS + 5)
        bot.check(Allowed(unsent=policy == "HOLD", repeats=int(policy == "RESEND")))
        assert bot.texts(person) == expected
        assert bot.out()[0]["status"] in {"UNKNOWN", "READ"}


# What Graph refuses


def test_a_revoked_token_stops_the_bot_and_nothing_is_lost(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    others: list[str] = []
    world.peers.fault("graph_error", code=190)
    bot.say(person, "one")
    bot.say(person, "two")
    accounts = world.store.database["whatsapp_accounts"]
    stopped = {"botId": bot.bot_id, "stoppedFor": {"$ne": None}}
    wait_until(lambda: accounts.find_one(stopped), "the bot stopped")

    def is_known() -> bool:
        """Within a second, workers do not even try any more."""
        others.append(bot.person())
        bot.say(others[-1], "one")
        wait_until(lambda: _parked(bot) == 1 + len(others), "every lane waits")
        return any(message["attempts"] == 0 for message in bot.out())

    wait_until(is_known, "the workers know")
    assert bot.sends() == []
    world.peers.control("DELETE", "faults")
    assert world.store.resume_sending(bot.bot_id) == 1 + len(others)
    bot.wait_for(person, 2, 5)
    for other in others:
        bot.wait_for(other, 1, 5)
    bot.check()
    assert bot.texts(person) == echoes(["one", "two"])


def _parked(bot: Bot) -> int:
    lanes = [job["lane"] for job in bot.find("jobs")]
    query = {"_id": {"$in": lanes}, "parkedFor": ParkedFor.BOT_STOPPED.value}
    return bot.world.store.database["lanes"].count_documents(query)


def test_too_many_to_one_person_waits_and_then_sends(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    world.peers.fault("graph_error", code=131056, times=1, to=person)
    begun_at = time.time()
    bot.say(person, "one")
    quickly_answered(bot)
    bot.wait_for(person, 1)
    bot.check()
    assert bot.sends(person)[0]["at"] - begun_at > 1


def test_too_many_from_one_number_holds_the_number_back(world: World) -> None:
    bot, elsewhere = world.bot(echo()), world.bot(echo())
    person, other = bot.person(), bot.person()
    world.peers.fault("graph_error", code=130429, times=1, to=person)
    bot.say(person, "one")
    wait_until(lambda: bot.out(lastError={"$exists": True}), "it was refused")
    refused_at = time.time()
    bot.say(other, "x")
    quickly_answered(elsewhere)
    bot.wait_for(person, 1)
    bot.wait_for(other, 1)
    bot.check()
    assert min(sent["at"] for sent in bot.sends()) - refused_at > 0.8


def test_a_closed_window_fails_the_message_and_the_flow_goes_on(world: World) -> None:
    bot = world.bot(two_messages())
    person = bot.person()
    world.peers.fault("graph_error", code=131047, times=1, to=person)
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    bot.check(Allowed(unsent=True))
    assert bot.texts(person) == ["b"]
    assert states(bot) == ["FAILED", "READ"]
    assert bot.out()[0]["error"]["code"] == 131047


def test_a_window_that_we_know_is_closed_costs_no_request(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    refused = world.peers.control("GET", "state")["refused"]
    deliver(bot, post(written(bot, person, f"wamid.old{person}", "yesterday", ago_seconds=86_400)))
    wait_until(lambda: states(bot) == ["FAILED"], "it is not even tried")
    bot.check(Allowed(unsent=True))
    assert bot.out()[0]["error"]["code"] == 131047
    assert bot.sends() == []
    assert world.peers.control("GET", "state")["refused"] == refused


def test_trouble_at_metas_is_tried_three_times_more(world: World) -> None:
    bot = world.bot(two_messages())
    person = bot.person()
    world.peers.fault("graph_error", code=131000, times=4, to=person)
    bot.say(person, "hi")
    (lane,) = {job["lane"] for job in wait_until(lambda: bot.find("jobs"), "it is stored")}

    def hurry() -> bool:
        world.store.lanes.unpark_all([lane], ParkedFor.RETRY_SEND)
        return len(bot.texts(person)) >= 1

    wait_until(hurry, "the second message is sent")
    bot.check(Allowed(unsent=True))
    assert states(bot) == ["FAILED", "READ"]
    first, second = bot.out()
    assert (first["error"]["code"], first["attempts"], second["attempts"]) == (131000, 4, 1)
