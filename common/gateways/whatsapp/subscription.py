"""Whether, and where, what customers write is delivered: an account's webhooks."""

from __future__ import annotations

from common.gateways.json_api import Unreachable
from common.gateways.whatsapp.findings import Connection, Findings, Step, StepState, words_of
from common.gateways.whatsapp.management import Callback, GraphAccess, GraphRefused

# The callback did not answer as it must, or is no address that Meta takes.
_CALLBACK_REFUSED = frozenset({100, 2200})


def check_subscription(graph: GraphAccess, connection: Connection, found: Findings) -> None:
    """Whether what customers write is delivered; changes nothing."""
    try:
        subscribed = graph.subscribed_app_ids(connection.business_account_id)
    except (GraphRefused, Unreachable) as error:
        found.add(
            "subscription",
            StepState.WARNING,
            "Whether webhooks are subscribed is not known.",
            words_of(error),
        )
        return
    app_id = found.app_id or connection.app_id
    if app_id in subscribed or (app_id is None and subscribed):
        found.add("subscription", StepState.OK, "What customers write is delivered to the app.")
    else:
        sentence = "Nothing that customers write is delivered: subscribe the app to the account's webhooks."
        found.add("subscription", StepState.WARNING, sentence)


def subscribe(graph: GraphAccess, business_account_id: str, callback: Callback | None) -> Step:
    """Subscribe, with our own callback where Meta can reach it, else with the one set at Meta.

    Raises GraphRefused or Unreachable where the app is not subscribed, as far as is known.
    """
    found = Findings()
    if callback is None:
        graph.subscribe(business_account_id)
        sentence = "Subscribed. Webhooks go to the callback URL that stands in the app's settings at Meta."
        found.add("subscription", StepState.OK, sentence)
        return found.steps[0]
    try:
        graph.subscribe(business_account_id, callback)
    except GraphRefused as refused:
        if refused.code not in _CALLBACK_REFUSED:
            raise
        graph.subscribe(business_account_id)
        sentence = (
            f"Subscribed, but WhatsApp did not reach this installation at {callback.uri}. Check the address, or enter "
            "callback URL and verify token in Meta's console yourself."
        )
        found.add("subscription", StepState.WARNING, sentence, refused.words)
    else:
        found.add("subscription", StepState.OK, f"Webhooks are delivered to {callback.uri}.")
    return found.steps[0]


def subscription_step(graph: GraphAccess, business_account_id: str, callback: Callback | None) -> Step:
    """The same as a step of connecting: a number without webhooks is connected all the same. Never raises."""
    found = Findings()
    try:
        return subscribe(graph, business_account_id, callback)
    except GraphRefused as refused:
        sentence = "The app could not be subscribed: what customers write will not arrive."
        found.add("subscription", StepState.WARNING, sentence, refused.words)
    except Unreachable as error:
        sentence = "It is not certain that the app is subscribed. Subscribe again in a moment."
        found.add("subscription", StepState.WARNING, sentence, words_of(error))
    return found.steps[0]
