"""`flask chat` against a small bot: what it sends is what Meta would send, what it shows is what the peer got."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import pty
import re
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.chat import chat
from tests.peers.conftest import APP_SECRET, USER, Caller, Delivered, WebStub

BSUID = "US.13491208655302741918"
ANSI = re.compile(r"\x1b\[[0-9;]*[mK]")


@dataclass
class Bot:
    """Answers `hi` with a question and three buttons, a tap with its label, everything else with an echo."""

    caller: Caller
    web: WebStub

    def answer(self, item: Delivered) -> None:
        expected = hmac.new(APP_SECRET.encode(), item.body, hashlib.sha256).hexdigest()
        assert item.headers["x-hub-signature-256"] == f"sha256={expected}"
        (message,) = item.changes[0]["messages"]
        to = {"to": f"+{message['from']}"} if "from" in message else {"recipient": message["from_user_id"]}
        if message["type"] == "interactive":
            self.say(to, f"You chose {message['interactive']['button_reply']['title']}.")
        elif message["text"]["body"] == "hi":
            self.ask(to)
        elif message["text"]["body"] != "quiet":
            self.say(to, f"Echo: {message['text']['body']}")

    def say(self, to: dict[str, str], body: str) -> None:
        self.post({"messaging_product": "whatsapp", "type": "text", "text": {"body": body}} | to)

    def ask(self, to: dict[str, str]) -> None:
        replies = [
            {"type": "reply", "reply": {"id": f"v1:menu:{n}", "title": f"Choice {n}"}} for n in (1, 2, 3)
        ]
        inner = {"type": "button", "body": {"text": "Hello!\nWhat next?"}, "action": {"buttons": replies}}
        self.post({"messaging_product": "whatsapp", "type": "interactive", "interactive": inner} | to)

    def post(self, payload: dict[str, Any]) -> None:
        assert self.caller.send(payload).status_code == 200

    def messages(self) -> list[dict[str, Any]]:
        return [item.changes[0]["messages"][0] for item in self.web.delivered]


@pytest.fixture
def bot(caller: Caller, web: WebStub) -> Bot:
    made = Bot(caller, web)
    web.on_delivery = made.answer
    return made


@pytest.fixture
def environment(caller: Caller, tmp_path: Any) -> dict[str, str]:
    return {
        "APP_ENV": "development",
        "LOCAL_STATE_DIR": str(tmp_path),
        "MONGODB_URI": "mongodb://127.0.0.1:1/?replicaSet=none",
        "JWT_SECRET": "j" * 40,
        "ENCRYPTION_KEYS": "local:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        "META_APP_SECRET": APP_SECRET,
        "WEBHOOK_VERIFY_TOKEN": "v" * 32,
        "GRAPH_BASE_URL": caller.peers.graph_url,
    }


def run(bot: Bot, environment: dict[str, str], lines: str, *options: str, quiet: str = "0.3") -> Result:
    arguments = ["--once-quiet", quiet, "--webhook", bot.web.url, *options]
    return CliRunner().invoke(chat, arguments, input=lines, env=environment)


def test_a_conversation_through_a_pipe(bot: Bot, environment: dict[str, str]) -> None:
    result = run(bot, environment, "hi\n2\n\nsome text\n")
    assert result.exit_code == 0, result.output
    shown = [re.sub(r"^[0-9:]{8} +|^ +", "", line) for line in result.output.splitlines()]
    assert shown == [
        "you  hi", "bot  Hello!", "What next?", "[1] Choice 1", "[2] Choice 2", "[3] Choice 3",
        "you  2", "bot  You chose Choice 2.", "you  some text", "bot  Echo: some text",
    ]  # fmt: skip


def test_a_tap_is_a_real_button_reply(bot: Bot, environment: dict[str, str]) -> None:
    run(bot, environment, "hi\nCHOICE 3\n")
    tap = bot.messages()[-1]
    assert tap["interactive"]["button_reply"] == {"id": "v1:menu:3", "title": "Choice 3"}
    asked = next(sent for sent in bot.caller.peers.sent() if sent["buttons"])
    assert tap["context"] == {"from": "16315555555", "id": asked["wamid"]}


def test_a_number_is_a_text_once_the_buttons_are_old_and_tap_still_taps(
    bot: Bot, environment: dict[str, str]
) -> None:
    result = run(bot, environment, "hi\nwait\n2\n/tap 1\n")
    assert [message["type"] for message in bot.messages()] == ["text", "text", "text", "interactive"]
    assert "Echo: 2" in result.output
    assert "You chose Choice 1." in result.output


def test_the_webhook_looks_like_metas(bot: Bot, environment: dict[str, str]) -> None:
    run(bot, environment, "Grüße / 😀\n", "--phone", "+49 (170) 123-4567", "--name", "Jürgen")
    (item,) = bot.web.delivered
    (value,) = item.changes
    assert item.body.isascii()
    assert rb"\/ \ud83d\ude00" in item.body
    assert value["metadata"]["phone_number_id"] == "106540352242922"
    assert value["contacts"] == [{"profile": {"name": "Jürgen"}, "wa_id": "491701234567"}]
    (message,) = value["messages"]
    assert message["id"].startswith("wamid.")
    assert abs(int(message["timestamp"]) - time.time()) < 60
    assert (message["from"], message["text"]) == ("491701234567", {"body": "Grüße / 😀"})


def test_somebody_without_a_number(bot: Bot, environment: dict[str, str]) -> None:
    result = run(bot, environment, "hi\n1\n", "--bsuid", BSUID)
    assert "You chose Choice 1." in result.output
    assert "from" not in bot.messages()[0]
    assert bot.messages()[0]["from_user_id"] == BSUID


def test_somebody_with_both_ids(bot: Bot, environment: dict[str, str]) -> None:
    result = run(bot, environment, "hi\n", "--bsuid", BSUID, "--phone", USER)
    assert "What next?" in result.output
    assert (bot.messages()[0]["from"], bot.messages()[0]["from_user_id"]) == (USER, BSUID)


def test_writing_opens_the_window(bot: Bot, environment: dict[str, str]) -> None:
    bot.caller.peers.control("PATCH", "rules", {"window": "strict"})
    assert run(bot, environment, "hi\n").exit_code == 0


def test_no_answer_is_an_error_that_says_what_to_look_at(bot: Bot, environment: dict[str, str]) -> None:
    result = run(bot, environment, "quiet\n", quiet="0.2")
    assert result.exit_code == 1
    assert "Is the worker running" in result.output


@pytest.mark.parametrize(
    ("status", "said"), [(401, "META_APP_SECRET"), (404, "no webhook"), (503, "database"), (500, "log")]
)
def test_refusals_of_the_web_process_are_explained(
    bot: Bot, environment: dict[str, str], status: int, said: str
) -> None:
    bot.web.planned = [status]
    result = run(bot, environment, "quiet\n")
    assert result.exit_code == 1
    assert said in result.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--webhook", "http://127.0.0.1:9/x"], "./scripts/up"),
        (["--peer", "http://127.0.0.1:9"], "./scripts/up"),
        (["--to", "5"], "106540352242922"),
        (["--phone", "12"], "country code"),
        (["--bsuid", "me"], "US.13491208655302741918"),
    ],
)
def test_what_is_not_there_is_explained(
    bot: Bot, environment: dict[str, str], options: list[str], said: str
) -> None:
    result = run(bot, environment, "hi\n", *options)
    assert result.exit_code != 0
    assert said in result.output
    assert "Traceback" not in result.output


def test_meta_itself_is_no_peer(bot: Bot, environment: dict[str, str]) -> None:
    result = run(bot, environment | {"GRAPH_BASE_URL": "https://graph.facebook.com"}, "hi\n")
    assert result.exit_code == 1
    assert "no local WhatsApp peer" in result.output


def test_missing_settings_are_listed(bot: Bot, environment: dict[str, str]) -> None:
    result = run(bot, environment | {"META_APP_SECRET": ""}, "hi\n")
    assert result.exit_code == 1
    assert "META_APP_SECRET" in result.output


def test_a_conversation_at_a_terminal(bot: Bot, environment: dict[str, str]) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", "from api.chat import chat; chat()", "--webhook", bot.web.url]
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | environment | {"TERM": "xterm"}
    )
    os.close(theirs)
    terminal = Terminal(ours)
    try:
        terminal.wait_for("you> ")
        os.write(ours, b"hi\n")
        terminal.wait_for("Hello!", "What next?", "[3] Choice 3")
        os.write(ours, b"2\n")
        terminal.wait_for("You chose Choice 2.")
        assert terminal.count("✓", 2)
        bot.say({"to": f"+{USER}"}, "Still there?")
        terminal.wait_for("Still there?", "you> ")
        end = time.monotonic() + 15
        while process.poll() is None and time.monotonic() < end:
            os.write(ours, b"\x04")  # readline may not have been listening yet
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.3)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)


class Terminal:
    """Reads what a program shows; keeps all of it, and where the last wait ended."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._raw = b""
        self._place = 0

    def wait_for(self, *wanted: str, seconds: float = 15) -> None:
        """Until these texts have been shown, one after the other, after those of the last wait."""
        end = time.monotonic() + seconds
        for text in wanted:
            while (found := self._text().find(text, self._place)) < 0:
                self._read(end)
            self._place = found + len(text)

    def count(self, text: str, least: int, seconds: float = 15) -> int:
        """How often the text was shown, once that is at least so often."""
        end = time.monotonic() + seconds
        while self._text().count(text) < least:
            self._read(end)
        return self._text().count(text)

    def _read(self, end: float) -> None:
        ready, _, _ = select.select([self._handle], [], [], max(0.0, end - time.monotonic()))
        assert ready, self._text()
        self._raw += os.read(self._handle, 4096)

    def _text(self) -> str:
        return ANSI.sub("", self._raw.decode("utf-8", "ignore"))
