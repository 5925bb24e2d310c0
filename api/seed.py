"""`flask seed`: two users, a sample bot with its number, variables and three live flows. Repeating it is safe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from api.command_line import open_store
from api.examples import read_example
from common.flow.definition import load_flow
from common.model.flow_settings import Match, Trigger
from common.model.issues import Severity
from common.model.values import Value
from common.secrets import KeyRing, hash_password
from common.settings import Settings
from common.store.store import Store

# As the owner asked for them; production makes their owners change the password first.
USERS = (("admin@gmail.com", "ADMIN"), ("abhi@gmail.com", "USER"))
DEFAULT_PASSWORD = "123456"  # noqa: S105 - the documented default, flagged until it is changed

# The local WhatsApp peer knows this number; scripts/peers/numbers.py has the same.
SAMPLE_ACCOUNT = {
    "phoneNumberId": "106540352242922",
    "phoneNumber": "16315555555",
    "businessAccountId": "102290129340398",
}
SAMPLE_TOKEN = "EAALocalPeerToken"  # noqa: S105 - opens the local peer only
SAMPLE_OPENAI_KEY = "sk-local-peer-key"

VARIABLES: dict[str, Value] = {
    "companyName": "Sunrise Bakery",
    "supportEmail": "hello@sunrise-bakery.example",
    "openingHours": "Monday to Saturday, 7:00 to 18:00",
}


@dataclass(frozen=True, slots=True)
class SampleFlow:
    """A flow of the sample bot. The first one is what a new conversation starts with."""

    name: str
    example: str
    description: str
    triggers: tuple[Trigger, ...] = ()


FLOWS = (
    SampleFlow("Welcome menu", "welcome-menu", "Greets, and leads to hours, orders and a person."),
    SampleFlow(
        "Lead capture",
        "lead-capture",
        "Asks for name and e-mail, checks them, and hands the lead to the CRM.",
        (Trigger("lead"), Trigger("quote", Match.CONTAINS)),
    ),
    SampleFlow(
        "AI support",
        "ai-support",
        "Answers questions with AI until the customer is helped or wants a person.",
        (Trigger("support"), Trigger("help")),
    ),
)


@click.command("seed")
def seed() -> None:
    """Create the default users and the sample bot; says what is new and what was there already."""
    settings, store = open_store()
    for email, role in USERS:
        _user(store, email, role)
    owner = store.users.by_email(USERS[1][0])
    if owner is not None:
        _bot(store, settings, owner["_id"])


def _user(store: Store, email: str, role: str) -> None:
    if store.users.by_email(email) is not None:
        _say(f"user {email}", is_new=False)
        return
    _, is_new = store.users.ensure(email, hash_password(DEFAULT_PASSWORD), role, must_change_password=True)
    _say(f"user {email} ({role}), password {DEFAULT_PASSWORD}", is_new=is_new)


def _bot(store: Store, settings: Settings, user_id: str) -> None:
    bots, keys = store.bots, KeyRing.from_setting(settings.encryption_keys)
    bot_id, is_new = bots.ensure_bot(
        user_id, "Sunrise Bakery", "A sample bot: talk to it, then make it yours."
    )
    _say("bot Sunrise Bakery", is_new=is_new)
    is_new = bots.ensure_account(bot_id, SAMPLE_ACCOUNT, {"accessToken": SAMPLE_TOKEN}, keys.encrypt)
    _say(f"WhatsApp number +{SAMPLE_ACCOUNT['phoneNumber']} (the local peer's)", is_new=is_new)
    _say("OpenAI key (the local peer's)", is_new=bots.ensure_openai(user_id, SAMPLE_OPENAI_KEY, keys.encrypt))
    for name, value in _variables(settings).items():
        _say(f"bot variable {name}", is_new=bots.ensure_variable(bot_id, name, value))
    for sample in FLOWS:
        flow_id, is_new = bots.ensure_flow(bot_id, sample.name, sample.description, sample.triggers)
        _say(f"flow {sample.name}", is_new=is_new)
        if not bots.has_live_version(flow_id):
            data = _example(sample.example)
            store.deployments.put_live(
                flow_id, {**data, "flowId": flow_id, "botId": bot_id}, deployed_by=user_id, note="seeded"
            )
            _say(f"flow {sample.name} put live", is_new=True)
        if store.flows.ensure_draft(flow_id, by=user_id):
            _say(f"draft of flow {sample.name}", is_new=True)
        bots.ensure_active_flow(bot_id, flow_id)  # the first one


def _variables(settings: Settings) -> dict[str, Value]:
    """The sample flows call a CRM; locally that is the peer beside the WhatsApp one."""
    base = settings.graph_base_url.removesuffix("/graph")
    crm = f"{base}/crm" if base != settings.graph_base_url else "https://crm.example.com"
    return {**VARIABLES, "crmUrl": crm, "crmToken": "local-crm-token"}


def _example(name: str) -> dict[str, Any]:
    """A flow of docs/examples. Raises ClickException where it is not fit to run."""
    data = read_example(name)
    errors = [issue.message for issue in load_flow(data, name).issues if issue.severity is Severity.ERROR]
    if errors or data is None:
        raise click.ClickException(f"{name} cannot be run: {'; '.join(errors)}")
    return data


def _say(what: str, *, is_new: bool) -> None:
    click.echo(f"  {'created' if is_new else 'skipped (exists)':<17} {what}")
