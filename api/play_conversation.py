"""A conversation that is played without a database: its session, its clock, its restarts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from common.flow.executor import run
from common.flow.restart import SwitchFlow, decide, prepare
from common.flow.turn import Surroundings, Turn
from common.model.events import (
    EffectAnswered,
    Event,
    InboundMessage,
    MessageKind,
    MessageReceived,
    TimerFired,
)
from common.model.session import Session, SessionStatus
from common.model.session_json import session_from_json, session_to_json

if TYPE_CHECKING:
    from common.flow.definition import Flow
    from common.model.calls import Answer, Request
    from common.model.turn_records import OutboundMessage, ReplyButton
    from common.model.values import Value

BEGIN = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)  # a Monday morning, the same in every play

AnswerCall = Callable[["Request"], "Answer"]


@dataclass(slots=True)
class Conversation:
    """One customer talking to one flow. `answer_call` stands for the outside world."""

    flow: Flow
    bot_variables: Mapping[str, Value]
    user_name: str
    user_phone: str
    answer_call: AnswerCall
    now: datetime = BEGIN
    sessions: int = 0
    received: int = 0
    shown: list[OutboundMessage] = field(default_factory=list)
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self.sessions += 1
        self.session = Session(f"session{self.sessions}", "bot", "contact", self.flow.version_id)

    def write(
        self, text: str, kind: MessageKind = MessageKind.TEXT, type_name: str = "text"
    ) -> Iterator[Turn]:
        """The customer sends something."""
        yield from self._hear(text, kind, None, type_name)

    def tap(self, button: ReplyButton) -> Iterator[Turn]:
        """The customer taps a button, of whatever message."""
        yield from self._hear(button.title, MessageKind.BUTTON, button.button_id, "interactive")

    def _hear(self, text: str, kind: MessageKind, button_id: str | None, type_name: str) -> Iterator[Turn]:
        self.received += 1
        message = InboundMessage(f"wamid.{self.received}", kind, text, self.now, button_id, type_name)
        if kind is not MessageKind.PASSIVE:
            if not self.session.status.is_open:
                self._begin()
            self.session = prepare(self.session, self.flow)
        yield from self._take(MessageReceived(message))

    def wait(self, duration: timedelta) -> Iterator[Turn]:
        """Time passes; what is due meanwhile happens at its moment."""
        until = self.now + duration
        while (wait := self.session.wait) is not None and wait.at is not None and wait.at <= until:
            self.now = max(self.now, wait.at)
            yield from self._take(TimerFired(wait.wait_id))
        self.now = until

    def _take(self, event: Event) -> Iterator[Turn]:
        """The turn that the event causes, and those that the answers of its calls cause."""
        while True:
            turn = run(self.flow, self.session, event, self._surroundings())
            # through JSON, as a database would keep it: what does not survive that is seen here first
            self.session = session_from_json(json.loads(json.dumps(session_to_json(turn.session))))
            self.shown += turn.messages
            yield turn
            if turn.effect is None:
                return
            event = EffectAnswered(turn.effect.effect_id, self.answer_call(turn.effect.request))

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            now=self.now,
            bot_variables=self.bot_variables,
            user_name=self.user_name,
            user_phone=self.user_phone,
            message_id=f"wamid.{self.received}",
            user_id="user1",
        )

    def find_button(self, title: str) -> ReplyButton | None:
        """The newest button of that title or, for a number, the so-manyth of the newest message with buttons."""
        offers = [message.buttons for message in reversed(self.shown) if message.buttons]
        for button in (button for buttons in offers for button in buttons):
            if button.title.casefold() == title.casefold():
                return button
        if offers and title.isdecimal() and 0 < int(title) <= len(offers[0]):
            return offers[0][int(title) - 1]
        return None

    def next_flow_id(self) -> str | None:
        """The flow that the next message would begin, where another one takes over."""
        if self.session.status is not SessionStatus.COMPLETED:
            return None
        decision = decide(self.session, self.flow)
        return decision.flow_id if isinstance(decision, SwitchFlow) else None
