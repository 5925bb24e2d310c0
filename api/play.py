"""`flask play FLOW.json`: talk to a flow in the terminal, without database, WhatsApp or network."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.play_answers import HELP, read_answer, write_call
from api.play_case import CaseRecorder
from api.play_conversation import Conversation
from common.flow.definition import LoadedFlow, load_flow
from common.flow.replay import path_of
from common.model.calls import HttpRequest
from common.model.events import MessageKind

if TYPE_CHECKING:
    from common.flow.definition import Flow
    from common.flow.turn import Turn
    from common.model.calls import Answer, Request
    from common.model.values import Value

COMMANDS = """\
  /wait 30m      let time pass (ms s m h d)     /tap Label   tap a button, an older one too
  /send image    send something that is no text /vars /path  variables, nodes so far
  /reset         forget the conversation        /quit        end (Ctrl+D)"""
PASSIVE_TYPES = frozenset({"reaction", "edit", "revoke", "system", "unsupported"})
OTHER_TYPES = frozenset({"location", "contacts", "order"})
_SPAN = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}


@click.command("play")
@click.argument("flow_file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--var", "pairs", multiple=True, metavar="NAME=VALUE", help="A bot variable; VALUE may be JSON."
)
@click.option("--answer", "answers", multiple=True, metavar="ANSWER", help=f"The next call's answer. {HELP}")
@click.option("--user-name", default="Ada", show_default=True, help="The customer's profile name.")
@click.option("--user-phone", default="4915112345678", show_default=True, help="The customer's number.")
@click.option(
    "--save", type=click.Path(dir_okay=False, path_type=Path), help="Write the play as a test case."
)
def play(  # noqa: PLR0917 - click passes them by name
    flow_file: Path,
    pairs: tuple[str, ...],
    answers: tuple[str, ...],
    user_name: str,
    user_phone: str,
    save: Path | None,
) -> None:
    """Play FLOW_FILE in the terminal. Lines may also come from a pipe."""
    loaded = _load(flow_file)
    _show_issues(loaded)
    if loaded.flow is None:
        raise click.ClickException("This flow cannot run.")
    variables = {**loaded.flow.variables_declared.samples, **_read_pairs(pairs)}
    given = {"bot": dict(variables), "userName": user_name, "userPhone": user_phone}
    player = TerminalPlayer(
        loaded.flow, given, list(answers), CaseRecorder(flow_file.stem, str(flow_file), given)
    )
    player.run()
    if save is not None:
        save.write_text(player.recorder.to_yaml(player.conversation.session), encoding="utf-8")
        click.secho(f"Saved as {save}.", fg="green")


def _load(flow_file: Path) -> LoadedFlow:
    try:
        data = json.loads(flow_file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as wrong:
        raise click.ClickException(f"{flow_file} is not JSON: {wrong}") from wrong
    return load_flow(data, flow_file.stem)


def _show_issues(loaded: LoadedFlow) -> None:
    for issue in loaded.issues:
        where = " ".join(part for part in (issue.node_id, issue.field) if part)
        colour = "red" if issue in loaded.errors else "yellow"
        click.secho(f"{issue.severity.value}  {where or 'flow'}: {issue.message} ({issue.code})", fg=colour)


def _read_pairs(pairs: Iterable[str]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"{pair!r} is not NAME=VALUE.", param_hint="--var")
        try:
            found[name] = json.loads(text)
        except ValueError:
            found[name] = text
    return found


class _Quit(Exception):  # noqa: N818 - the person has left
    """No more lines."""


@dataclass
class TerminalPlayer:
    """Reads lines, shows what the flow does."""

    flow: Flow
    given: dict[str, Any]
    answers: list[str]
    recorder: CaseRecorder
    calls: list[dict[str, Any]] = field(default_factory=list)
    conversation: Conversation = field(init=False)

    def __post_init__(self) -> None:
        self.conversation = self._fresh()

    def _fresh(self) -> Conversation:
        return Conversation(
            flow=self.flow,
            bot_variables=self.given["bot"],
            user_name=self.given["userName"],
            user_phone=self.given["userPhone"],
            answer_call=self._answer,
        )

    def run(self) -> None:
        """Until there are no more lines."""
        click.secho(
            f"Playing {self.flow.name or self.flow.version_id}. Write something; /help helps.", bold=True
        )
        try:
            while True:
                self._take_line(self._read("you> ").strip())
        except _Quit:
            click.echo()

    def _read(self, prompt: str) -> str:
        """The next line. From a pipe it is shown too, so that the transcript can be read."""
        click.secho(prompt, nl=False, fg="cyan")
        line = sys.stdin.readline()
        if not line:
            raise _Quit
        if not sys.stdin.isatty():
            click.echo(line.rstrip("\n"))
        return line.rstrip("\r\n")

    def _take_line(self, line: str) -> None:
        command, _, rest = line.partition(" ")
        rest = rest.strip()
        match command:
            case "":
                return
            case "/quit":
                raise _Quit
            case "/help":
                click.echo(COMMANDS)
            case "/vars":
                self._show_variables()
            case "/path":
                click.echo(" → ".join(self.recorder.path) or "nowhere yet")
            case "/reset":
                self.conversation = self._fresh()
                self.recorder.script, self.recorder.path = [], []
            case "/wait":
                self._wait(rest)
            case "/tap":
                self._tap(rest)
            case "/send":
                self._send(rest or "image")
            case _:
                self._happen({"user": line}, self.conversation.write(line))

    def _wait(self, text: str) -> None:
        found = _SPAN.fullmatch(text)
        if found is None:
            click.echo("Write how long: /wait 30s, /wait 5m, /wait 24h.")
            return
        duration = timedelta(seconds=float(found[1]) * _SECONDS[found[2]])
        self._happen({"after": text}, self.conversation.wait(duration))

    def _tap(self, title: str) -> None:
        button = self.conversation.find_button(title)
        if button is None:
            click.echo("There is no such button.")
            return
        self._happen({"user": {"tap": button.title}}, self.conversation.tap(button))

    def _send(self, type_name: str) -> None:
        kind = MessageKind.MEDIA
        if type_name in PASSIVE_TYPES:
            kind = MessageKind.PASSIVE
        elif type_name in OTHER_TYPES:
            kind = MessageKind.OTHER
        self._happen({"user": {"type": type_name}}, self.conversation.write("", kind, type_name))

    def _happen(self, did: dict[str, Any], turns: Iterable[Turn]) -> None:
        self.calls, done = [], []
        for turn in turns:
            _show_turn(turn)
            done.append(turn)
        self.recorder.add(did, done, self.calls)
        self._show_end()

    def _show_end(self) -> None:
        session = self.conversation.session
        if not session.status.is_open:
            click.secho(f"  {session.status}: the next message begins a new conversation.", fg="magenta")
        elif flow_id := self.conversation.next_flow_id():
            message = f'  The flow "{flow_id}" would take over now; here this one begins again.'
            click.secho(message, fg="magenta")

    def _show_variables(self) -> None:
        for scope, values in (("session", self.conversation.session.variables), ("bot", self.given["bot"])):
            for name, value in values.items():
                click.echo(f"  {scope}.{name} = {json.dumps(value, ensure_ascii=False)}")

    def _answer(self, request: Request) -> Answer:
        """What the outside world says: the next --answer, or what the person types."""
        call = write_call(request)
        click.secho(f"  call {json.dumps(call, ensure_ascii=False)}", fg="blue")
        while True:
            typed = self.answers.pop(0) if self.answers else self._read(_question(request))
            try:
                answer, written = read_answer(request, typed)
            except ValueError as wrong:
                click.secho(f"  {wrong}", fg="red")
                continue
            self.calls.append({**call, "answer": written})
            return answer


def _question(request: Request) -> str:
    return "  answer (status JSON)> " if isinstance(request, HttpRequest) else "  answer> "


def _show_turn(turn: Turn) -> None:
    for message in turn.messages:
        click.secho("bot> ", nl=False, fg="green")
        click.echo(message.text)
        if message.buttons:
            shown = [f"[{number}] {button.title}" for number, button in enumerate(message.buttons, start=1)]
            click.echo("     " + "   ".join(shown))
    if turn.recorded_as:
        click.secho(f"  recorded: {turn.recorded_as}", dim=True)
    for step in turn.steps:
        changes = {**step.changes, **dict.fromkeys(step.deleted, "(deleted)")}
        for name, value in changes.items():
            click.secho(f"  {name} = {json.dumps(value, ensure_ascii=False)}", dim=True)
        for note in step.notes:
            click.secho(f"  note: {note}", fg="yellow")
        if step.error:
            click.secho(f"  {step.node_id} failed: {step.message} ({step.error})", fg="red")
    if path := path_of(turn.steps):
        click.secho(f"  {' → '.join(path)}", dim=True)
