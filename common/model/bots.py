"""What a worker and the web need to know of a bot; none of it changes during a turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from common.model.flow_settings import FlowSettings, Trigger
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
class LiveFlow:
    """A flow's live version. Conversations on versions up to `restart_up_to` are to begin again on this one."""

    flow_id: str
    version_id: str
    triggers: tuple[Trigger, ...] = ()
    name: str = ""
    number: int = 0
    restart_up_to: int = 0


@dataclass(frozen=True, slots=True)
class BotConfig:
    """A bot as it stands at one revision. `active_flow_id` names the default among `flows`.

    `flow_settings` are those of its flows, live or not, by id; a flow that is missing has only those in its JSON.
    """

    bot_id: str
    user_id: str
    revision: int
    active_flow_id: str | None
    flows: tuple[LiveFlow, ...] = ()
    account: WhatsAppAccount | None = None
    openai_key: str | None = None  # ciphertext
    openai_account_id: str | None = None
    variables: dict[str, Value] = field(default_factory=dict)
    flow_settings: dict[str, FlowSettings] = field(default_factory=dict)

    def live(self, flow_id: str | None) -> LiveFlow | None:
        """The live version of a flow of this bot."""
        return next((flow for flow in self.flows if flow.flow_id == flow_id), None)


@dataclass(frozen=True, slots=True)
class FlowVersion:
    """An immutable version as stored. `number` counts up within a flow; copies of drafts for tests have none."""

    version_id: str
    flow_id: str
    flow_data: dict[str, Any]
    number: int = 0
