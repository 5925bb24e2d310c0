"""Ask a question, check the answer, keep it in a variable."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from common.flow.facts import NUMBER, Fact, text_fact
from common.flow.forecast import Leaving, Says
from common.flow.node import Exit, Go, Look, NodeType, WaitReply
from common.flow.patterns import compile_pattern
from common.flow.settings_fields import OnlyIf, choice, next_node, number, whole
from common.flow.settings_groups import NodeSettings, SettingsPart, group, optional_group, settings_class
from common.flow.settings_language import pattern, template, variable
from common.flow.spans import NoReplyTimeout
from common.flow.variables import parse_number
from common.model.events import Event, MessageReceived
from common.model.issues import Issue
from common.model.session import WaitKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from common.flow.patterns import Pattern
    from common.flow.templates import Template
    from common.flow.turn import Turn
    from common.model.values import Value

EMAIL: Final = compile_pattern(r"^[^\s@]+@[^\s@]+\.[^\s@]+$")
PHONE: Final = compile_pattern(r"^\+?[1-9]\d{1,14}$")
PHONE_LONGEST: Final = 16  # a plus and 15 digits
PHONE_SEPARATORS: Final = dict.fromkeys(map(ord, " \t\u00a0\u202f\u2009\u2060-\u2010\u2011\u2012\u2013./()"))
EXACT_INTEGER_MAX: Final = 2**53 - 1  # beyond it, numbers lose digits on their way through JSON


class InputType(StrEnum):
    TEXT = "TEXT"
    NUMBER = "NUMBER"
    EMAIL = "EMAIL"
    PHONE = "PHONE"
    REGEX = "REGEX"


_MEASURED = OnlyIf("inputType", ("TEXT", "EMAIL", "PHONE", "REGEX"), default="TEXT")
_NUMERIC = OnlyIf("inputType", ("NUMBER",), default="TEXT")
_CUSTOM = OnlyIf("inputType", ("REGEX",), default="TEXT")


@settings_class
class Validation(SettingsPart):
    min_length: int | None = whole(
        "At least this many characters", default=None, minimum=0, maximum=4096, only_if=_MEASURED
    )
    max_length: int | None = whole(
        "At most this many characters", default=None, minimum=1, maximum=4096, only_if=_MEASURED
    )
    min_value: float | None = number("At least", default=None, only_if=_NUMERIC)
    max_value: float | None = number("At most", default=None, only_if=_NUMERIC)
    pattern: Pattern | None = pattern(
        "Pattern", required=True, only_if=_CUSTOM, help="A regular expression that the answer must match."
    )


@settings_class
class RetryConfig(SettingsPart):
    max_retries: int = whole(
        "Further tries", default=3, minimum=0, maximum=10, help="After the first answer was refused."
    )
    retry_message: Template = template(
        "Message after a wrong answer",
        says=Says.MESSAGE,
        is_answer=True,
        help="Without one, the question comes again.",
    )
    failure_next_node_id: str | None = next_node("failure", "After too many wrong answers")


@settings_class
class InputSettings(NodeSettings):
    prompt_message: Template = template("Question", required=True, says=Says.MESSAGE)
    input_type: InputType = choice(
        "Kind of answer", default=InputType.TEXT, labels={"EMAIL": "E-mail", "REGEX": "Custom pattern"}
    )
    validation: Validation = group("Validation", Validation, inherits=("inputType",))
    variable_name: str = variable("Keep the answer in", required=True)
    retry_config: RetryConfig = group("Wrong answers", RetryConfig)
    success_next_node_id: str | None = next_node("success", "After a valid answer")
    no_reply_timeout: NoReplyTimeout | None = optional_group("If nobody answers", NoReplyTimeout)

    def findings(self) -> Iterator[Issue]:
        limits = self.validation
        if limits.max_length is not None and limits.max_length < (limits.min_length or 0):
            yield Issue.error(
                "field.range", "No answer is that long and that short.", field="validation.maxLength"
            )
        lowest, highest = limits.min_value, limits.max_value
        if lowest is not None and highest is not None and lowest > highest:
            yield Issue.error(
                "field.range", "No number is that large and that small.", field="validation.maxValue"
            )
        if self.no_reply_timeout is not None:
            yield from self.no_reply_timeout.findings()


class Input(NodeType[InputSettings]):
    kind = "INPUT"
    look = Look("Input", icon="keyboard", tone="orange")
    description = "Asks a question, checks the answer and keeps it in a variable."
    exits = (
        Exit("success", "Valid answer"),
        Exit("failure", "Too many wrong answers"),
        Exit("timeout", "No reply", when="no_reply_timeout"),
    )
    waits_for = WaitKind.REPLY
    bounds_cycles = True
    settings = InputSettings

    def leaving(self, settings: InputSettings, handle: str) -> Leaving:
        kept = {settings.variable_name: _fact(settings)} if handle == "success" else {}
        return replace(super().leaving(settings, handle), sets=kept)

    def enter(self, settings: InputSettings, turn: Turn) -> WaitReply:
        turn.say(settings.prompt_message)
        return _wait(settings, refused=0)

    def resume(self, settings: InputSettings, turn: Turn, event: Event) -> Go | WaitReply:
        if not isinstance(event, MessageReceived):
            return Go("timeout")
        typed = turn.typed(event.message)
        answer = None if typed is None else accept(settings, typed)
        if answer is not None:
            turn.set(settings.variable_name, answer)
            return Go("success")
        refused = turn.state.get("refused", 0) + 1
        turn.step.detail["refused"] = refused
        if refused > settings.retry_config.max_retries:
            return Go("failure")
        retry = settings.retry_config.retry_message
        turn.say(retry if retry.source.strip() else settings.prompt_message)
        return _wait(settings, refused=refused)


def _fact(settings: InputSettings) -> Fact:
    """What is known of an answer that was accepted."""
    longest = settings.validation.max_length
    match settings.input_type:
        case InputType.NUMBER:
            return NUMBER
        case InputType.EMAIL:
            return text_fact(longest, reads_as_number=False)
        case InputType.PHONE:
            return text_fact(PHONE_LONGEST if longest is None else min(longest, PHONE_LONGEST))
        case InputType.TEXT | InputType.REGEX:
            return text_fact(longest)


def _wait(settings: InputSettings, *, refused: int) -> WaitReply:
    timeout = settings.no_reply_timeout
    return WaitReply(None if timeout is None else timeout.seconds, {"refused": refused})


def accept(settings: InputSettings, text: str) -> Value:
    """The answer as it is kept, or None if it is refused."""
    text, limits = text.strip(), settings.validation
    match settings.input_type:
        case InputType.NUMBER:
            return _accept_number(text, limits)
        case InputType.EMAIL:
            fits = EMAIL.matches(text)
        case InputType.PHONE:
            text = text.translate(PHONE_SEPARATORS)
            fits = PHONE.matches(text)
        case InputType.REGEX:
            fits = limits.pattern is not None and limits.pattern.matches(text)
        case InputType.TEXT:
            fits = True
    shortest = 1 if limits.min_length is None else limits.min_length
    longest = len(text) if limits.max_length is None else limits.max_length
    return text if fits and shortest <= len(text) <= longest else None


def _accept_number(text: str, limits: Validation) -> int | float | None:
    value = parse_number(text)
    if value is None or abs(value) > EXACT_INTEGER_MAX:
        return None
    if limits.min_value is not None and value < limits.min_value:
        return None
    if limits.max_value is not None and value > limits.max_value:
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value
