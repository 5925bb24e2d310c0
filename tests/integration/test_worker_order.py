"""Every message is answered once and in its place, whatever comes with it and however often."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.http.meta_webhooks import post
from tests.support.flows import echo, echoes
from tests.support.history import Allowed
from tests.support.waiting import wait_until
from tests.support.webhooks import deliver, written
from tests.support.world import World, interleaved


@pytest.fixture(scope="module")
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("order")) as world:
        world.start(workers=2)
        yield world


def test_fifty_conversations_of_ten_messages_run_in_order(world: World) -> None:
    bot = world.bot(echo())
    people = [bot.person() for _ in range(50)]
    texts = [f"word {number}" for number in range(10)]
    with ThreadPoolExecutor(8) as pool:  # per person in order, all people at once
        for text in texts:
            list(pool.map(lambda person, text=text: bot.say(person, text), people))
    bot.drain(60)
    got = {person: bot.texts(person) for person in people}
    assert got == dict.fromkeys(people, echoes(texts))
    bot.check()
    holders = {entry["lane"] for entry in bot.find("execution_logs")}
    assert len(holders) == 50


def test_duplicates_change_nothing_whenever_they_come(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    bot.say(person, "one", copies=5)  # at once
    bot.wait_for(person, 1)
    body = post(written(bot, person, f"wamid.dup{person}", "two"))
    with ThreadPoolExecutor(8) as pool:  # concurrently
        list(pool.map(lambda _: deliver(bot, body), range(16)))
    bot.wait_for(person, 2)
    bot.drain()
    deliver(bot, body)  # late: the job is done long since
    bot.say(person, "three")
    bot.wait_for(person, 3)
    bot.check()
    assert bot.texts(person) == echoes(["one", "two", "three"])


def test_the_same_message_twice_in_one_batch_counts_once(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    once = written(bot, person, f"wamid.a{person}", "one")
    again = written(bot, person, f"wamid.b{person}", "two")
    deliver(bot, post(once, again, once, again))
    bot.wait_for(person, 2)
    bot.check()
    assert bot.texts(person) == echoes(["one", "two"])


def test_a_batch_of_one_person_runs_in_its_order(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    texts = [f"part {number}" for number in range(45)]  # more than a worker loads at a time
    values = [written(bot, person, f"wamid.{person}.{n}", text) for n, text in enumerate(texts)]
    deliver(bot, post(*values))
    bot.wait_for(person, len(texts))
    bot.check()
    assert bot.texts(person) == echoes(texts)


def test_a_sender_without_a_phone_number_is_answered(world: World) -> None:
    bot = world.bot(echo())
    person = f"US.{bot.person()}"
    for text in ("one", "two"):
        bot.say(person, text)
    bot.wait_for(person, 2)
    bot.check()
    assert bot.texts(person) == echoes(["one", "two"])
    assert {sent["to"] for sent in bot.sends()} == {None}


def test_one_person_under_two_ids_is_one_contact_in_order(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    bot.say(person, "by number")
    bot.wait_for(person, 1)
    for text in ("both 1", "both 2", "both 3"):
        bot.say(person, text, bsuid=f"US.{person}")
    bot.wait_for(person, 4)
    bot.check()
    assert bot.texts(person) == echoes(["by number", "both 1", "both 2", "both 3"])
    (contact,) = bot.find("contacts")
    assert set(contact["aliases"]) == {f"wa:{person}", f"bsuid:US.{person}"}


@pytest.mark.parametrize("first", ["number", "both"])
def test_two_ids_that_arrive_together_become_one_contact(world: World, first: str) -> None:
    """Neither lane knows of the other when both are claimed: one has to give way."""
    bot = world.bot(echo())
    person = bot.person()
    by_number = written(bot, person, f"wamid.n{person}", "x")
    by_both = written(bot, person, f"wamid.b{person}", "x", from_user_id=f"US.{person}")
    deliver(bot, post(by_number, by_both) if first == "number" else post(by_both, by_number))
    bot.wait_for(person, 2)
    bot.said.clear()  # which of the two lanes goes first is open; that both run, and in one session, is not
    bot.check()
    assert bot.texts(person) == echoes(["x", "x"])
    (contact,) = bot.find("contacts")
    assert set(contact["aliases"]) == {f"wa:{person}", f"bsuid:US.{person}"}


def test_a_known_person_who_comes_back_with_the_number_alone_keeps_the_conversation(world: World) -> None:
    bot = world.bot(echo())
    person = bot.person()
    deliver(bot, post(written(bot, person, f"wamid.1{person}", "both", from_user_id=f"US.{person}")))
    bot.wait_for(person, 1)
    deliver(bot, post(written(bot, person, f"wamid.2{person}", "number")))
    bot.wait_for(person, 2)
    bot.check()
    assert bot.texts(person) == echoes(["both", "number"])
    assert len(bot.find("contacts")) == 1


def test_messages_above_the_rate_are_kept_but_not_run(
    mongo_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with World(mongo_uri, tmp_path_factory.mktemp("rate"), INBOUND_PER_MINUTE="3") as world:
        world.start(timers=0)
        bot = world.bot(echo())
        loud, quiet = bot.person(), bot.person()
        for person, text in [*interleaved([loud], list("012345")), (quiet, "hello")]:
            bot.say(person, text)
        bot.wait_for(loud, 3)
        bot.check(Allowed())
        assert bot.texts(loud) == echoes(["0", "1", "2"])
        assert bot.texts(quiet) == echoes(["hello"])
        notes = [m.get("note") for m in bot.find("messages", direction="IN") if m["messageContent"] in "345"]
        assert notes == ["rate_limited"] * 3


class _Graph(BaseHTTPRequestHandler):
    """A Graph API that only remembers the headers of what it is sent."""

    seen: list[dict[str, str]]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.seen.append(dict(self.headers))
        body = json.dumps({"messages": [{"id": f"wamid.{len(self.seen)}"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def test_one_request_id_goes_from_the_webhook_to_the_graph_call(
    mongo_uri: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _Graph.seen = []
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), _Graph) as graph,
        World(mongo_uri, tmp_path_factory.mktemp("trace")) as world,
    ):
        Thread(target=graph.serve_forever, daemon=True).start()
        world.stack.environ["GRAPH_BASE_URL"] = f"http://127.0.0.1:{graph.server_address[1]}"
        (worker,) = world.start(timers=0)
        bot = world.bot(echo())
        person = bot.person()
        request_id = deliver(bot, post(written(bot, person, "wamid.trace", "hello"))).headers["X-Request-Id"]
        wait_until(lambda: bot.out(status="ACCEPTED"), "the reply is accepted")
        graph.shutdown()
        assert request_id
        assert [headers["X-Request-Id"] for headers in _Graph.seen] == [request_id]
        assert [job["requestId"] for job in bot.find("jobs")] == [request_id]
        assert {m["requestId"] for m in bot.find("messages")} == {request_id}
        assert {entry["requestId"] for entry in bot.find("execution_logs")} == {request_id}
        events = [json.loads(line) for line in worker.log().splitlines()]
        traced = {event["event"] for event in events if event.get("request_id") == request_id}
        assert traced >= {"turn.committed", "send.accepted"}
