"""What a flow alone does not say, but a check wants to know: the bot's variables, accounts, its other flows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from common.model.values import Value, VariableType, type_of


@dataclass(frozen=True, slots=True)
class BotVariable:
    """A variable of the bot as it is now. Its value may change at any time, its type does not."""

    value: Value = None
    type: VariableType | None = None

    @property
    def known_type(self) -> VariableType:
        return type_of(self.value) if self.type is None else self.type


@dataclass(frozen=True, slots=True)
class OtherFlow:
    """Another flow of the same bot. A trigger is a text that starts it."""

    flow_id: str
    name: str = ""
    is_live: bool = False
    triggers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckContext:
    """Everything around the flow. None means "not known": what would need it is then not judged.

    With `bot_variables` None, the variables that the flow itself names as the bot's are believed.
    `brought_along` are variables that conversations may already have when this flow begins, because another flow
    hands them over. `flow_id` is the flow's own id, `models` the chat models that are known to exist.
    """

    bot_variables: Mapping[str, BotVariable] | None = None
    has_openai_account: bool | None = None
    is_whatsapp_connected: bool | None = None
    other_flows: Mapping[str, OtherFlow] | None = None
    models: frozenset[str] | None = None
    brought_along: frozenset[str] = field(default_factory=frozenset)
    flow_id: str = ""
