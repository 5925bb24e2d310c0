"""The line of time: complete, in order, the same in pages and at once; as a file whatever anybody wrote."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from api.history import timeline_file
from api.history.pdf_fonts import Fonts, find_fonts
from api.history.timeline_file import print_entries
from common.clock import utc_now
from common.model.control import ControlAction
from tests.api.pdf_text import text_of
from tests.api.talks import Talks, at, everything, ok, sessions_of, talking
from tests.support.controls import control
from tests.support.flows import ask, call, echo, end, flow, say, wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.world import Bot, Json

HOSTILE = [
    "مرحبا، أين طلبي؟ 😀👍🏽👨‍👩‍👧",
    "你好 한국어 日本語 ไทย हिन्दी ქართული Ελληνικά Кириллица",
    "(unbalanced \\ Tj ET /JS (app.alert(1)) <script>alert(1)</script>",
    "\u202eevil\u202c zero\u200bwidth\u0301\u0301\u0301",
    "**bold** --strike-- [link](https://example.com) __u__",
    "𝕬𝖓𝖓𝖆 \ue000 \U000f0000 \ufffe",
    "x" * 4000,
    "\n\n\t\r",
]


@pytest.fixture(scope="module")
def talks(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talks]:
    with talking(mongo_uri, tmp_path_factory.mktemp("timeline")) as talks:
        yield talks


@pytest.fixture(scope="module")
def lively(talks: Talks) -> tuple[Bot, str]:
    """A delay, a call, a takeover, a message nobody waited for."""
    nodes = {
        "begin": say("wait"),
        "wait": wait(0.4),
        "call": call(talks.world.crm("echo")),
        "more": ask("more?", "more"),
        "bye": end("bye"),
    }
    edges = (
        "start > begin, begin > wait, wait > call, call.success > more, call.failure > bye, "
        "more.success > bye, more.failure > bye"
    )
    bot = talks.world.bot(flow(nodes, edges))
    person = bot.person()
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    bot.say(person, "quick")
    bot.wait_for(person, 2)
    control(bot, person, ControlAction.PAUSE)
    bot.say(person, "a human?")
    bot.drain()
    control(bot, person, ControlAction.RESUME)
    bot.say(person, "no")
    bot.wait_for(person, 3)
    bot.drain()
    (session,) = sessions_of(talks.owner(bot), bot)
    return bot, session["id"]


def shown(entry: Json) -> str:
    match entry["kind"]:
        case "EVENT":
            return f"event {entry['event']['action'] or entry['event']['kind']}"
        case "MESSAGE":
            return f"{entry['message']['direction']} {entry['message']['text']}"
        case "CALL":
            return f"call {entry['call']['nodeId']}"
        case _:
            return f"step {entry['step']['nodeId']}"


def test_everything_stands_there_in_order(talks: Talks, lively: tuple[Bot, str]) -> None:
    bot, session = lively
    entries = everything(talks.owner(bot), at(bot, session, "/timeline"), limit=50)
    assert [shown(entry) for entry in entries] == [
        "event MESSAGE", "IN hi", "step start", "step begin", "OUT wait", "step wait",
        "event MESSAGE", "IN quick", "step wait",
        "event TIMER", "step wait", "step call", "call call",
        "event ANSWER", "step call", "step more", "OUT more?",
        "event PAUSE", "step more",
        "IN a human?",
        "event RESUME", "step more",
        "event MESSAGE", "IN no", "step more", "step bye", "OUT bye",
    ]  # fmt: skip
    times = [entry["at"] for entry in entries]
    assert times == sorted(times)
    assert entries[19]["message"]["note"] == "bot_paused"
    assert entries[19]["turn"] is None
    delivered = [entry["message"]["deliveredAt"] for entry in entries if entry["kind"] == "MESSAGE"]
    assert sum(at is not None for at in delivered) == 3


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_together_are_the_whole(talks: Talks, lively: tuple[Bot, str], limit: int) -> None:
    bot, session = lively
    owner, path = talks.owner(bot), at(bot, session, "/timeline")
    assert everything(owner, path, limit=limit) == everything(owner, path, limit=50)
    for cursor in ("x", "-1", "1.5", "9" * 12):
        assert owner.get(path, cursor=cursor).code == "validation_failed"


def test_messages_outlive_the_log(talks: Talks) -> None:
    """They are kept for months, the log for days: what was said still stands there, once."""
    bot = talks.world.bot(echo())
    person, owner = bot.person(), talks.owner(bot)
    for place in (1, 2, 3):
        bot.say(person, f"no {place}")
        bot.wait_for(person, place)
    bot.drain()
    (session,) = sessions_of(owner, bot)
    logs = talks.world.store.database["execution_logs"]
    said = [line for place in (1, 2, 3) for line in (f"IN no {place}", f"OUT {place}:no {place}")]
    for forgotten in (1, 2, 3):
        logs.delete_many({"sessionId": session["id"], "turn": {"$lte": forgotten}})
        for limit in (1, 50):
            entries = everything(owner, at(bot, session, "/timeline"), limit=limit)
            assert [shown(entry) for entry in entries if entry["kind"] == "MESSAGE"] == said
            assert {entry["turn"] for entry in entries} == {None, *range(forgotten + 1, 4)}
    assert ok(owner.get(at(bot, session, "/path"))).json == {"steps": [], "edges": [], "isComplete": True}
    assert ok(owner.get(at(bot, session, "/steps"))).json["items"] == []
    assert ok(owner.get(at(bot, session, "/timeline.pdf"))).status == 200


def test_as_json_to_take_away(talks: Talks, lively: tuple[Bot, str]) -> None:
    bot, session = lively
    owner = talks.owner(bot)
    answer = ok(owner.get(at(bot, session, "/timeline.json")))
    assert answer.headers["Content-Disposition"] == f'attachment; filename="conversation-{session}.json"'
    document = json.loads(answer.text)
    assert document["session"]["id"] == session
    assert document["isComplete"] is True
    assert document["entries"] == everything(owner, at(bot, session, "/timeline"), limit=50)


def test_as_pdf_whose_text_can_be_copied(talks: Talks, lively: tuple[Bot, str]) -> None:
    bot, session = lively
    owner = talks.owner(bot)
    response = owner.app.test_client().get(
        at(bot, session, "/timeline.pdf"), headers={"Authorization": f"Bearer {owner.token}"}
    )
    assert (response.status_code, response.mimetype) == (200, "application/pdf")
    assert response.headers["Content-Disposition"] == f'attachment; filename="conversation-{session}.pdf"'
    text = text_of(response.data)
    for words in (
        f"Conversation {session}",
        "quick",
        "a human?",
        "more?",
        "bye",
        "delivered",
        "crm/echo",
        "PAUSE",
    ):
        assert words in text, words


def test_whatever_customers_write_is_printed(talks: Talks) -> None:
    bot = talks.world.bot(echo())
    person = bot.person()
    for place, text in enumerate(HOSTILE, 1):
        bot.say(person, text)
        bot.wait_for(person, place)
    bot.drain()
    owner = talks.owner(bot)
    (session,) = sessions_of(owner, bot)
    response = owner.app.test_client().get(
        at(bot, session, "/timeline.pdf"), headers={"Authorization": f"Bearer {owner.token}"}
    )
    assert response.status_code == 200
    text = text_of(response.data)
    for words in ("Ελληνικά", "Кириллица", "app.alert(1)", "**bold**", "[link](https://example.com)"):
        assert words in text, words
    for word in (b"/JavaScript", b"/JS", b"/URI", b"/Launch", b"/EmbeddedFile"):
        assert word not in response.data
    ok(owner.get(at(bot, session, "/timeline.json")))


# Without a database


def message(text: str) -> Json:
    return {
        "kind": "MESSAGE",
        "at": utc_now(),
        "turn": 1,
        "message": {
            "direction": "OUT", "messageContent": text, "messageType": "TEXT", "status": "DELIVERED",
            "deliveredAt": utc_now(), "error": None,
        },
    }  # fmt: skip


def session_document() -> Json:
    now = utc_now() - timedelta(hours=1)
    return {
        "_id": "01SESSION",
        "isTest": False,
        "userPhoneNumber": "49170",
        "createdAt": now,
        "status": "PAUSED",
    }


def test_five_hundred_entries_are_quick_and_small() -> None:
    entries = [
        message(f"Your order {number} is on its way; we write again when it is there.")
        for number in range(500)
    ]
    find_fonts()
    begun = time.thread_time()
    printed = print_entries(session_document(), entries, is_complete=False)
    seconds = time.thread_time() - begun  # others may be using the machine
    assert seconds < 1.5, f"{seconds:.1f} s; half a second on an idle machine"
    assert len(printed) < 500_000
    text = text_of(printed)
    assert "Your order 499" in text
    assert "The rest is left out" in text


def test_the_costliest_scripts_cost_seconds_and_not_a_minute() -> None:
    text = ("😀 مرحبا أين طلبي हिन्दी में लिखा 👍 " * 30)[:600]
    find_fonts()
    begun = time.thread_time()
    printed = print_entries(session_document(), [message(text)] * 500, is_complete=True)
    assert time.thread_time() - begun < 10, "a minute without a budget; 2.2 s with it"
    said = " ".join(text_of(printed).split())
    assert "The rest is left out" in said
    assert "Download the timeline as JSON" in said


def test_a_long_text_that_needs_shaping_is_cut_off_and_says_so() -> None:
    if not find_fonts().shapes:
        pytest.skip("uharfbuzz is not installed")
    printed = print_entries(session_document(), [message("ह" * 140 + "x" * 300)], is_complete=True)
    said = text_of(printed)
    assert said.count("x") < 20
    assert "Long texts in some scripts are cut off" in said
    assert "The rest is left out" not in said


def test_one_document_is_printed_at_a_time(talks: Talks, lively: tuple[Bot, str]) -> None:
    bot, session = lively
    owner = talks.owner(bot)
    with timeline_file._printing:
        assert owner.get(at(bot, session, "/timeline.pdf")).code == "too_many_streams"
    assert ok(owner.get(at(bot, session, "/timeline.pdf"))).status == 200


@pytest.mark.parametrize("shaping", ["shaping", ""])
def test_without_any_font_file_there_is_still_a_document(
    monkeypatch: pytest.MonkeyPatch, shaping: str
) -> None:
    latin = frozenset({*range(0x20, 0x7F), *range(0xA0, 0x100)})
    fonts = Fonts((), latin, shapes=bool(shaping))
    monkeypatch.setattr("api.history.timeline_file.find_fonts", lambda: fonts)
    printed = print_entries(
        session_document(), [message(text) for text in [*HOSTILE, "Grüße"]], is_complete=True
    )
    assert printed.startswith(b"%PDF-")
    assert fonts.drawable("Grüße 你\x00\u200d") == "Grüße ? "


def test_a_character_that_no_font_has_is_replaced_and_seen() -> None:
    fonts = find_fonts()
    drawn = fonts.drawable("a\ue000b\U000f0000c")
    assert drawn[0] == "a"
    assert drawn[1] == drawn[3] != "\ue000"
    printed: Any = print_entries(session_document(), [message("a\ue000b")], is_complete=True)
    assert f"a{drawn[1]}b" in text_of(printed)


def test_arabic_letters_are_joined_where_that_can_be_done() -> None:
    fonts = find_fonts()
    if not fonts.shapes:
        pytest.skip("uharfbuzz is not installed")
    assert fonts.needs_shaping("مرحبا")
    assert not fonts.needs_shaping("hello 你好")
    printed = print_entries(session_document(), [message("مرحبا")], is_complete=True)
    assert any("\u0600" <= each <= "\u06ff" for each in text_of(printed))
