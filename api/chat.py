"""`flask chat`: a phone in the terminal. It writes to the running web process as Meta would, and shows the replies.

Every line becomes a signed webhook. What the bot answers is read from the local WhatsApp peer, which received it.
"""

from __future__ import annotations

import contextlib
import importlib
import re
import shutil
import sys
import textwrap
import threading
import time
from typing import Final

import click

from api.phone import START_HINT, Phone, Received, Talk
from common.errors import ConfigurationError
from common.settings import load_settings

SAMPLE_PHONE: Final = "16505551234"
WEBHOOK_PATH: Final = "/api/webhook/whatsapp"
POLL_SECONDS: Final = 10.0
SETTLED_SECONDS: Final = 1.0
PIPED_QUIET_SECONDS: Final = 3.0
INDENT: Final = " " * 15
_BSUID: Final = re.compile(r"[A-Z]{2}\.(ENT\.)?[0-9A-Za-z]{1,128}")


@click.command()
@click.option("--phone", help=f"Your phone number with country code; {SAMPLE_PHONE} if you give no --bsuid.")
@click.option("--bsuid", help="Your business-scoped user id; alone, Meta is taken not to tell your number.")
@click.option("--name", default="Ada", show_default=True, help="Your name on WhatsApp.")
@click.option("--to", help="The business's phone_number_id; the first one of the local peer.")
@click.option("--webhook", help=f"Where the webhooks go; this machine's web process, {WEBHOOK_PATH}.")
@click.option("--peer", help="The local peers' address; from GRAPH_BASE_URL.")
@click.option(
    "--once-quiet", type=click.FloatRange(0.1, 600), help="Piped input: end after so many quiet seconds."
)
def chat(
    *,
    phone: str | None,
    bsuid: str | None,
    name: str,
    to: str | None,
    webhook: str | None,
    peer: str | None,
    once_quiet: float | None,
) -> None:
    """Be a customer: write to a bot on this machine, see its answers.

    Type a text, or the number or label of a button under the bot's last message. `/tap 1` taps a button of the
    last message that had some, even if newer ones came since. Ctrl+D ends. Lines can also be piped in.
    """
    try:
        settings = load_settings()
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from None
    talk = Talk(
        _person(phone, bsuid, name),
        webhook or f"http://127.0.0.1:{settings.port}{WEBHOOK_PATH}",
        peer.rstrip("/") if peer else _peer_url(settings.graph_base_url),
        settings.meta_app_secret,
        to,
    )
    with contextlib.closing(talk):
        if sys.stdin.isatty() and once_quiet is None:
            _converse(talk)
        else:
            _play(talk, once_quiet or PIPED_QUIET_SECONDS)


def _person(phone: str | None, bsuid: str | None, name: str) -> Phone:
    if bsuid is not None and not _BSUID.fullmatch(bsuid):
        raise click.UsageError("--bsuid is like US.13491208655302741918.")
    if phone is None and bsuid is not None:
        return Phone(None, bsuid, name)
    wa_id = re.sub(r"[+ ()\-]", "", phone or SAMPLE_PHONE)
    if not re.fullmatch(r"[1-9][0-9]{6,14}", wa_id):
        raise click.UsageError("--phone is a number with country code, such as +1 650 555 1234.")
    return Phone(wa_id, bsuid, name)


def _peer_url(graph_base_url: str) -> str:
    """The peers' address out of the Graph API's, which is `<peers>/graph` when the peer stands in for Meta."""
    base = graph_base_url.rstrip("/")
    if not base.endswith("/graph"):
        text = f"GRAPH_BASE_URL is {base}, which is no local WhatsApp peer; `flask chat` talks only to one. "
        raise click.ClickException(
            text + "Start ./scripts/up without Meta credentials, or name one with --peer."
        )
    return base.removesuffix("/graph")


class Screen:
    """The terminal that one thread reads from while another one shows what comes in."""

    def __init__(self) -> None:
        self.prompt = click.style("you> ", fg="cyan", bold=True)
        self._is_reading = False
        with contextlib.suppress(ImportError):  # Windows has none; there, what was typed is not put back
            importlib.import_module("readline")

    def read(self) -> str:
        """The next line; raises EOFError at the end."""
        self._is_reading = True
        try:
            return input(_readline_safe(self.prompt)).strip()
        finally:
            self._is_reading = False

    def show(self, text: str) -> None:
        """Print over the prompt, then put back the prompt and what was typed so far."""
        typed = ""
        if self._is_reading and "readline" in sys.modules:
            typed = sys.modules["readline"].get_line_buffer()
        rest = f"{self.prompt}{typed}" if self._is_reading else ""
        click.echo(f"\r\x1b[K{text}\n{rest}", nl=False)

    def complain(self, error: click.ClickException) -> None:
        """Show what went wrong."""
        self.show(click.style(f"{INDENT}✗ {error.format_message()}", fg="red"))


def _converse(talk: Talk) -> None:
    """Talk with somebody at a terminal."""
    is_over, screen = threading.Event(), Screen()
    screen.show(click.style(f"Writing to {talk.number_id}. Say hi; Ctrl+D ends.", dim=True))
    threading.Thread(target=_listen, args=(talk, screen, is_over), daemon=True).start()
    with contextlib.suppress(EOFError, KeyboardInterrupt):
        while True:
            line = screen.read()
            if not line:
                continue
            try:
                _say(talk, line)
            except click.ClickException as error:
                screen.complain(error)
            else:
                screen.show(click.style(f"{INDENT}✓", dim=True))
    is_over.set()
    click.echo()


def _listen(talk: Talk, screen: Screen, is_over: threading.Event) -> None:
    """Show what comes in; say once when the peer is away, and go on asking."""
    is_away = False
    while not is_over.is_set():
        try:
            messages = talk.receive(POLL_SECONDS)
        except click.ClickException as error:
            if not is_away and not is_over.is_set():
                screen.complain(error)
            is_away = True
            is_over.wait(1)
            continue
        is_away = False
        if messages and not is_over.is_set():
            screen.show("\n".join(_bubble(message) for message in messages))


def _play(talk: Talk, quiet_seconds: float) -> None:
    """Send the piped lines one by one, each after the answer to the one before has settled."""
    answers = 0
    for line in sys.stdin:
        text = line.strip()
        if not text:
            continue
        click.echo(f"{_clock()}  {click.style('you', fg='cyan', bold=True)}  {text}")
        _say(talk, text)
        answers += _show_until_quiet(talk, quiet_seconds, SETTLED_SECONDS)
    answers += _show_until_quiet(talk, quiet_seconds, quiet_seconds)
    if not answers:
        text = (
            f"No answer within {quiet_seconds:g} s. Is the worker running, and a flow deployed? {START_HINT}"
        )
        raise click.ClickException(text)


def _show_until_quiet(talk: Talk, quiet_seconds: float, settled_seconds: float) -> int:
    """Show messages until none has come for a while; a shorter while once the first one is there."""
    count = 0
    while messages := talk.receive(min(settled_seconds, quiet_seconds) if count else quiet_seconds):
        count += len(messages)
        for message in messages:
            click.echo(_bubble(message))
    return count


def _say(talk: Talk, line: str) -> None:
    if line.startswith("/tap "):
        message, typed = talk.last_with_buttons, line.removeprefix("/tap ")
        button = message.button(typed) if message is not None else None
        if message is None or button is None:
            raise click.ClickException(f"There is no button {typed!r} to tap.")
        talk.tap(message, button)
        return
    button = talk.last.button(line) if talk.last is not None else None
    if talk.last is not None and button is not None:
        talk.tap(talk.last, button)
    else:
        talk.write(line)


def _bubble(message: Received) -> str:
    width = max(20, shutil.get_terminal_size().columns - len(INDENT))
    lines = [part for line in message.text.split("\n") for part in (textwrap.wrap(line, width) or [""])]
    head = f"{_clock()}  {click.style('bot', fg='green', bold=True)}  "
    rows = [
        click.style(f"[{place}] {title}", fg="yellow") for place, (_, title) in enumerate(message.buttons, 1)
    ]
    return head + f"\n{INDENT}".join([*lines, *rows])


def _clock() -> str:
    return click.style(time.strftime("%H:%M:%S"), dim=True)


def _readline_safe(prompt: str) -> str:
    """Mark colour codes as taking no room, so that readline knows where the cursor is."""
    if "readline" not in sys.modules:
        return prompt
    return re.sub(r"(\x1b\[[0-9;]*m)", "\x01\\1\x02", prompt)
