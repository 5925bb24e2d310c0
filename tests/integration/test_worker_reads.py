"""With the settings on, customers see that their message was read and that an answer is on its way."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.flows import echo
from tests.support.waiting import wait_until
from tests.support.world import World


@pytest.mark.parametrize(("typing", "shown"), [("true", True), ("false", False)])
def test_messages_are_marked_as_read(mongo_uri: str, tmp_path: Path, typing: str, *, shown: bool) -> None:
    with World(mongo_uri, tmp_path, MARK_AS_READ="true", TYPING_INDICATOR=typing) as world:
        world.start()
        bot = world.bot(echo())
        person = bot.person()
        job_id = bot.say(person, "hello")
        bot.wait_for(person, 1)
        wamid = job_id.partition(":")[2]

        def read() -> list[dict[str, object]]:
            reads: list[dict[str, object]] = world.peers.control("GET", "reads")["reads"]
            return [one for one in reads if one["message_id"] == wamid]

        wait_until(lambda: bool(read()), "the message is marked as read", 10)
        assert [bool(one["typing"]) for one in read()] == [shown]
        bot.check()
