"""What a worker and the web need to know of a bot; none of it changes during a turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from common.model.values import Value


@dataclass(frozen=True, slots=True)
class WhatsAppAccount:
    """A bot's number. `access_token` and `app_secret` are ciphertexts. `stopped_for`: why nothing is sent."""

    account_id: str
    bot_id: str
    phone_number_id: str
    phone_number: str
    business_account_id: str
    access_token: str
    app_secret: str | None = None
    stopped_for: str | None = None


@dataclass(frozen=True, slots=True)
class Trigger:
    """A text that starts a flow when a conversation begins. `match`: EXACT, CONTAINS or STARTS_WITH."""

    text: str
    match: str = "EXACT"

    def fits(self, text: str) -> bool:
        """Whether a customer's text calls for this flow; case and surrounding blanks do not matter."""
        said, wanted = text.strip().casefold(), self.text.strip().casefold()
        match self.match:
            case "CONTAINS":
                return wanted in said
            case "STARTS_WITH":
                return said.startswith(wanted)
            case _:
                return said == wanted


@dataclass(frozen=True, slots=True)
class LiveFlow:
    """A flow's live version."""

    flow_id: str
    version_id: str
    triggers: tuple[Trigger, ...] = ()


@dataclass(frozen=True, slots=True)
class BotConfig:
    """A bot as it stands at one revision. `active_flow_id` names the default among `flows`."""

    bot_id: str
    user_id: str
    revision: int
    active_flow_id: str | None
    flows: tuple[LiveFlow, ...] = ()
    account: WhatsAppAccount | None = None
    openai_key: str | None = None  # ciphertext
    openai_account_id: str | None = None
    variables: dict[str, Value] = field(default_factory=dict)

    def flow_for(self, text: str) -> LiveFlow | None:
        """The flow that a new conversation with this first text starts: by trigger, else the default one."""
        for flow in self.flows:
            if any(trigger.fits(text) for trigger in flow.triggers):
                return flow
        return self.live(self.active_flow_id)

    def live(self, flow_id: str | None) -> LiveFlow | None:
        """The live version of a flow of this bot."""
        return next((flow for flow in self.flows if flow.flow_id == flow_id), None)


@dataclass(frozen=True, slots=True)
class FlowVersion:
    """An immutable version as stored."""

    version_id: str
    flow_id: str
    flow_data: dict[str, Any]
