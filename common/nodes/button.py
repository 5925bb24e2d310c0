"""Offer up to three buttons, wait for a tap."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from common.flow.facts import one_of
from common.flow.forecast import Leaving, Says
from common.flow.message_limits import BUTTON_TEXT_MAX, BUTTONS_MAX, TITLE_MAX, fit_titles
from common.flow.node import Exit, ExitPerRow, Go, Look, NodeType, WaitReply
from common.flow.settings_fields import choice, item_id, next_node
from common.flow.settings_groups import (
    NodeSettings,
    SettingsPart,
    group,
    optional_group,
    rows,
    settings_class,
)
from common.flow.settings_language import template, variable
from common.flow.spans import NoReplyTimeout
from common.flow.text_matching import folded
from common.model.events import Event, MessageReceived
from common.model.session import WaitKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from common.flow.templates import Template
    from common.flow.turn import Turn
    from common.model.issues import Issue


class StaleTap(StrEnum):
    FALLBACK = "FALLBACK"
    ACCEPT = "ACCEPT"


@settings_class
class ReplyChoice(SettingsPart):
    button_id: str = item_id("Button ID", prefix="button")
    label: Template = template("Label", required=True, max_length=TITLE_MAX, widget="text", says=Says.TITLE)
    store_in: str = variable("Store the button's ID in", help="A variable; optional.")
    next_node_id: str | None = next_node()

    @property
    def handle(self) -> str:
        return self.button_id

    @property
    def exit_label(self) -> str:
        return self.label.source


@settings_class
class Fallback(SettingsPart):
    message: Template = template(
        "Message",
        says=Says.MESSAGE,
        is_answer=True,
        help="Sent if the customer writes something else; optional.",
    )
    next_node_id: str | None = next_node()

    handle = "fallback"


@settings_class
class ButtonSettings(NodeSettings):
    message_text: Template = template(
        "Text",
        required=True,
        max_length=BUTTON_TEXT_MAX,
        says=Says.ABOVE_BUTTONS,
        help="Stands above the buttons.",
    )
    buttons: tuple[ReplyChoice, ...] = rows("Buttons", ReplyChoice, minimum=1, maximum=BUTTONS_MAX)
    fallback: Fallback = group("If the customer writes something else", Fallback)
    stale_tap: StaleTap = choice(
        "A tap on this node's buttons later on",
        default=StaleTap.FALLBACK,
        labels={"FALLBACK": "Does not count", "ACCEPT": "Goes back to that button's branch"},
    )
    no_reply_timeout: NoReplyTimeout | None = optional_group("If nobody answers", NoReplyTimeout)

    def findings(self) -> Iterator[Issue]:
        if self.no_reply_timeout is not None:
            yield from self.no_reply_timeout.findings()

    def button(self, button_id: str | None) -> ReplyChoice | None:
        return next((button for button in self.buttons if button.button_id == button_id), None)


class Button(NodeType[ButtonSettings]):
    kind = "BUTTON"
    look = Look("Buttons", icon="mouse-pointer-click", tone="purple")
    description = "Sends a text with buttons and waits for a tap."
    exits = (
        ExitPerRow("buttons"),
        Exit("fallback", "Something else"),
        Exit("timeout", "No reply", when="no_reply_timeout"),
    )
    waits_for = WaitKind.REPLY
    bounds_cycles = True
    settings = ButtonSettings

    def leaving(self, settings: ButtonSettings, handle: str) -> Leaving:
        button = settings.button(handle)
        kept = {} if button is None or not button.store_in else {button.store_in: one_of((button.button_id,))}
        return replace(super().leaving(settings, handle), sets=kept)

    def enter(self, settings: ButtonSettings, turn: Turn) -> WaitReply:
        turn.ask(
            settings.message_text,
            [(button.button_id, turn.fill(button.label)) for button in settings.buttons],
        )
        timeout = settings.no_reply_timeout
        return WaitReply(None if timeout is None else timeout.seconds)

    def resume(self, settings: ButtonSettings, turn: Turn, event: Event) -> Go:
        if not isinstance(event, MessageReceived):
            return Go("timeout")
        button, typed = settings.button(turn.tap), turn.typed(event.message)
        if button is None and typed is not None:
            button = _typed(settings, turn, typed)
        if button is None:
            turn.say(settings.fallback.message)
            return Go("fallback")
        return _choose(button, turn)

    def stale_tap(self, settings: ButtonSettings, turn: Turn, button_id: str) -> Go | None:
        button = settings.button(button_id)
        if button is None or settings.stale_tap is not StaleTap.ACCEPT:
            return None
        return _choose(button, turn)


def _choose(button: ReplyChoice, turn: Turn) -> Go:
    turn.step.detail["button"] = button.button_id
    if button.store_in:
        turn.set(button.store_in, button.button_id)
    return Go(button.handle)


def _typed(settings: ButtonSettings, turn: Turn, text: str) -> ReplyChoice | None:
    """The button whose label or number was typed: labels first, since one may itself be a number."""
    typed, labels = folded(text), [turn.fill(button.label) for button in settings.buttons]
    titles = [title for title, _ in fit_titles(labels)]
    for button, label, title in zip(settings.buttons, labels, titles, strict=True):
        if typed in (folded(label), folded(title)):
            return button
    if typed.isdecimal() and len(typed) == 1 and 0 < int(typed) <= len(settings.buttons):
        return settings.buttons[int(typed) - 1]
    return None
