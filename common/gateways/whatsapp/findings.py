"""What a look at a WhatsApp connection brought to light: steps as data, each with a sentence for the bot's owner."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from common.gateways.json_api import Unreachable
from common.gateways.whatsapp.health import Health
from common.gateways.whatsapp.management import GraphRefused


class StepState(StrEnum):
    """FAILED is kept for what a bot cannot work without; nothing is stored then."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was looked at. `sentence` is ours, `detail` Graph's words, if there are any."""

    name: str
    title: str
    state: StepState
    sentence: str
    detail: str | None = None

    def as_document(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "title": self.title,
            "state": self.state.value,
            "sentence": self.sentence,
            "detail": self.detail,
        }


TITLES = {
    "number": "Phone number",
    "status": "Connection of the number",
    "details": "Details of the number",
    "account": "Business account",
    "token": "Access token",
    "app_secret": "App secret",
    "health": "Health",
    "subscription": "Webhook subscription",
}


@dataclass(frozen=True, slots=True)
class Connection:
    """What is to be looked at. `installation_secret` signs the webhooks of bots without an app secret of their own."""

    phone_number_id: str
    business_account_id: str
    access_token: str = field(repr=False)
    installation_secret: str = field(repr=False)
    app_id: str | None = None
    app_secret: str | None = field(default=None, repr=False)


@dataclass(slots=True)
class Findings:
    """The steps in their order, and what they brought to light."""

    steps: list[Step] = field(default_factory=list)
    phone_number: str = ""  # digits
    details: dict[str, Any] = field(default_factory=dict)
    app_id: str | None = None
    health: Health | None = None

    @property
    def is_good(self) -> bool:
        return all(step.state is not StepState.FAILED for step in self.steps)

    def add(self, name: str, state: StepState, sentence: str, detail: str | None = None) -> bool:
        """Note a step; returns whether the next ones make sense."""
        self.steps.append(Step(name, TITLES[name], state, sentence, detail or None))
        return state is not StepState.FAILED


def words_of(error: GraphRefused | Unreachable) -> str:
    """Graph's own words, without secrets, or what kept it from speaking."""
    return error.words if isinstance(error, GraphRefused) else str(error)
