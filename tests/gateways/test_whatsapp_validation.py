"""Looking at a WhatsApp connection, against the strict local peer: what is found, in whose words, and nothing leaks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from common.gateways.json_api import Unreachable
from common.gateways.whatsapp.findings import Connection, Findings, Step, StepState
from common.gateways.whatsapp.management import Callback, GraphAccess, GraphManagement
from common.gateways.whatsapp.subscription import check_subscription, subscription_step
from common.gateways.whatsapp.validation import validate
from scripts.peers.numbers import SAMPLE_APP_ID, Number
from scripts.peers.server import PeerServer

SECRET = "5e0c1a9be7d24f6c8a31d07b44f2e9aa"
OTHER_APP, OTHER_SECRET = "700000000000001", "0b7e55a1c9d34e2f8d6a417c93fe20bb"
TOKEN = "EAATokenOfTheseTests0123456789"
NUMBER, WABA = "200000000000001", "300000000000001"
VERIFY = "the-verify-token-of-these-tests"
DAY = 86_400
GOOD = Connection(NUMBER, WABA, TOKEN, SECRET)
ALL_OK = dict.fromkeys(("number", "status", "details", "account", "token", "app_secret", "health"), "ok")


@pytest.fixture(scope="module")
def server() -> Iterator[PeerServer]:
    number = Number(NUMBER, WABA, TOKEN, "+49 30 901820", "Sunrise Bakery")
    with PeerServer(app_secret=SECRET, numbers=[number]) as peers:
        yield peers
        assert peers.control("GET", "state")["broken"] == 0


@pytest.fixture
def peers(server: PeerServer) -> PeerServer:
    server.control("POST", "reset")
    fields = {
        "phone_number_id": NUMBER,
        "waba_id": WABA,
        "access_token": TOKEN,
        "verified_name": "Sunrise Bakery",
    }
    server.control("POST", "numbers", {**fields, "display_phone_number": "+49 30 901820"})
    server.control("PUT", "tokens", {"access_token": TOKEN})
    return server


_OPEN: list[GraphManagement] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while _OPEN:
        _OPEN.pop().close()


def graph_of(peers: PeerServer, token: str = TOKEN, *, timeout_seconds: float = 5) -> GraphAccess:
    management = GraphManagement(peers.graph_url, "v24.0", timeout_seconds=timeout_seconds)
    _OPEN.append(management)
    return management.as_holder_of(token, SECRET, OTHER_SECRET, VERIFY)


def look(peers: PeerServer, connection: Connection = GOOD) -> Findings:
    return validate(graph_of(peers, connection.access_token), connection, datetime.now(UTC))


def states(found: Findings) -> dict[str, str]:
    return {step.name: step.state.value for step in found.steps}


def step(found: Findings, name: str) -> Step:
    return next(each for each in found.steps if each.name == name)


def test_a_good_connection_passes_every_step(peers: PeerServer) -> None:
    found = look(peers)
    assert states(found) == ALL_OK
    assert found.is_good
    assert (found.phone_number, found.app_id) == ("4930901820", SAMPLE_APP_ID)
    assert found.details["displayPhoneNumber"] == "+49 30 901820"
    assert found.details["messagingLimit"] == "TIER_1K"
    assert found.health is not None
    assert found.health.can_send == "AVAILABLE"
    assert all(each.sentence.endswith(".") for each in found.steps)


@pytest.mark.parametrize(
    ("wrong", "name", "said"),
    [
        ({"access_token": "EAAUnknown0000000"}, "number", "does not accept the access token"),
        ({"phone_number_id": "999"}, "number", "knows no phone number with this id"),
        ({"phone_number_id": WABA}, "number", "not that of a phone number"),
        ({"business_account_id": "999"}, "account", "knows no business account"),
        ({"app_secret": "wrong-secret-000"}, "app_secret", "not the secret of the app"),
        ({"app_secret": SECRET, "app_id": OTHER_APP}, "app_secret", "was made by the app"),
    ],
)
def test_each_wrong_entry_is_named(peers: PeerServer, wrong: dict[str, Any], name: str, said: str) -> None:
    found = look(peers, replace(GOOD, **wrong))
    assert not found.is_good
    assert step(found, name).state is StepState.FAILED
    assert said in step(found, name).sentence
    if name == "number":
        assert {state for each, state in states(found).items() if each != "number"} == {"skipped"}


def test_a_number_of_another_account_lists_those_that_are_in_this_one(peers: PeerServer) -> None:
    other = {
        "phone_number_id": "201",
        "waba_id": "301",
        "access_token": TOKEN,
        "display_phone_number": "+49 30 1",
    }
    peers.control("POST", "numbers", other)
    found = look(peers, replace(GOOD, business_account_id="301"))
    assert states(found)["account"] == "failed"
    assert step(found, "account").detail == "Its numbers: +49 30 1 (id 201)."


def test_the_number_is_found_on_a_later_page_without_following_foreign_addresses(peers: PeerServer) -> None:
    for place in range(250):
        fields = {"phone_number_id": f"4{place:05}", "waba_id": "400", "access_token": TOKEN}
        peers.control("POST", "numbers", fields)
    found = look(peers, replace(GOOD, phone_number_id="400240", business_account_id="400"))
    assert states(found)["account"] == "ok"


@pytest.mark.parametrize(
    ("facts", "state", "said"),
    [
        ({"scopes": ["whatsapp_business_management"]}, "failed", "whatsapp_business_messaging"),
        ({"target_ids": ["12345"]}, "failed", "for other business accounts"),
        ({"expires_at": int(time.time()) + DAY}, "warning", "The access token ends on"),
        ({"data_access_expires_at": int(time.time()) + DAY}, "warning", "The access token ends on"),
        ({"expires_at": int(time.time()) + 90 * DAY}, "ok", "may send and manage until"),
    ],
)
def test_what_the_token_may_do_and_for_how_long(
    peers: PeerServer, facts: dict[str, Any], state: str, said: str
) -> None:
    peers.control("PUT", "tokens", {"access_token": TOKEN, **facts})
    found = look(peers)
    assert states(found) == ALL_OK | {"token": state}
    assert said in step(found, "token").sentence


def test_a_token_without_the_management_permission_fails_at_the_account(peers: PeerServer) -> None:
    peers.control("PUT", "tokens", {"access_token": TOKEN, "scopes": ["whatsapp_business_messaging"]})
    found = look(peers)
    assert (states(found)["account"], states(found)["token"]) == ("failed", "failed")
    assert "whatsapp_business_management" in step(found, "account").sentence


@pytest.mark.parametrize("facts", [{"is_valid": False}, {"expires_at": 1_000_000_000}])
def test_a_token_that_counts_no_more(peers: PeerServer, facts: dict[str, Any]) -> None:
    peers.control("PUT", "tokens", {"access_token": TOKEN, **facts})
    found = look(peers)
    assert not found.is_good
    assert step(found, "number").sentence == "WhatsApp does not accept the access token."
    assert "Error validating access token" in (step(found, "number").detail or "")


def test_the_apps_own_secret_is_tested_with_and_without_its_id(peers: PeerServer) -> None:
    peers.control("PUT", f"apps/{OTHER_APP}", {"app_secret": OTHER_SECRET})
    peers.control("PUT", "tokens", {"access_token": TOKEN, "app_id": OTHER_APP})
    own = replace(GOOD, app_secret=OTHER_SECRET)
    assert states(look(peers, own)) == ALL_OK
    assert states(look(peers, replace(own, app_id=OTHER_APP))) == ALL_OK
    # Without a secret of its own the installation's must fit; that it does not is no reason to refuse.
    found = look(peers)
    assert states(found) == ALL_OK | {"app_secret": "warning"}
    assert "Enter the secret of your app" in step(found, "app_secret").sentence
    assert not look(peers, replace(GOOD, app_secret=SECRET)).is_good


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"status": "DISCONNECTED"}, {"status": "failed", "health": "warning"}),
        ({"health": "LIMITED"}, {"health": "warning"}),
        ({"health": "BLOCKED"}, {"health": "warning"}),
        ({"quality_rating": "RED"}, {"details": "warning"}),
    ],
)
def test_the_state_of_the_number(peers: PeerServer, change: dict[str, str], expected: dict[str, str]) -> None:
    peers.control("PATCH", f"numbers/{NUMBER}", change)
    assert states(look(peers)) == ALL_OK | expected


def test_a_field_that_graph_does_not_know_spoils_only_its_own_step(peers: PeerServer) -> None:
    peers.fault("graph_error", endpoint="graph.management.node", code=100, skip=1, times=1)
    assert states(look(peers)) == ALL_OK | {"details": "warning"}


@pytest.mark.parametrize("endpoint", ["node", "phone_numbers"])
@pytest.mark.parametrize(
    "fault",
    [
        {"do": "reset_before"},
        {"do": "garbage"},
        {"do": "status", "status": 503},
        {"do": "status", "status": 401},
        {"do": "graph_error", "code": 2},
        {"do": "graph_error", "code": 4},
        {"do": "graph_error", "code": 80007},
        {"do": "graph_error", "code": 100, "transient": True},
        {"do": "huge_body"},
    ],
)
def test_no_usable_answer_is_no_verdict(peers: PeerServer, endpoint: str, fault: dict[str, Any]) -> None:
    peers.fault(endpoint=f"graph.management.{endpoint}", **fault)
    with pytest.raises(Unreachable) as unreachable:
        look(peers)
    assert TOKEN not in str(unreachable.value)


def test_a_graph_that_hangs_is_not_waited_for(peers: PeerServer) -> None:
    peers.fault("hang_before", endpoint="graph.management", seconds=5)
    begun_at = time.monotonic()
    with pytest.raises(Unreachable):
        validate(graph_of(peers, timeout_seconds=0.3), GOOD, datetime.now(UTC))
    assert time.monotonic() - begun_at < 2


@pytest.mark.parametrize("endpoint", ["health", "debug_token"])
def test_what_is_good_to_know_may_fail(peers: PeerServer, endpoint: str) -> None:
    skip = 1 if endpoint == "debug_token" else 0  # the token itself must be known
    peers.fault("reset_before", endpoint=f"graph.management.{endpoint}", skip=skip)
    name = "health" if endpoint == "health" else "app_secret"
    assert states(look(peers)) == ALL_OK | {name: "warning"}


def test_words_of_graph_come_without_the_token(peers: PeerServer) -> None:
    bad = "Canary-Access.Token_which-Graph/repeats"
    found = look(peers, replace(GOOD, access_token=bad))
    assert step(found, "number").detail == "Malformed access token [secret]"
    for said in (
        f"Cannot parse {TOKEN}",
        f"/debug?input_token={TOKEN}&x=1",
        f"cut {TOKEN[:15]}",
        f"app|{OTHER_SECRET}",
    ):
        peers.control("DELETE", "faults")
        peers.fault("graph_error", endpoint="graph.management.node", code=190, details=said, times=1)
        detail = step(look(peers), "number").detail or ""
        assert "[secret]" in detail
        assert TOKEN[:12] not in detail
        assert OTHER_SECRET[:12] not in detail


# Webhooks


def test_subscribing(peers: PeerServer) -> None:
    graph = graph_of(peers)
    graph.unsubscribe(WABA)
    found = look(peers)
    check_subscription(graph, GOOD, found)
    assert states(found)["subscription"] == "warning"
    assert subscription_step(graph, WABA, None).state is StepState.OK
    found = look(peers)
    check_subscription(graph, GOOD, found)
    assert states(found)["subscription"] == "ok"


def test_a_callback_that_graph_cannot_reach_is_left_out(peers: PeerServer) -> None:
    graph = graph_of(peers)
    graph.unsubscribe(WABA)
    made = subscription_step(graph, WABA, Callback("http://127.0.0.1:9/webhook", VERIFY))
    assert made.state is StepState.WARNING
    assert "did not reach" in made.sentence
    assert peers.control("GET", "subscriptions")[WABA] == {"is_subscribed": True, "callback": None}


@pytest.mark.parametrize("fault", [{"do": "reset_before"}, {"do": "graph_error", "code": 200}])
def test_a_subscription_that_fails_is_a_warning(peers: PeerServer, fault: dict[str, Any]) -> None:
    peers.fault(endpoint="graph.management.subscribed_apps", **fault)
    assert subscription_step(graph_of(peers), WABA, None).state is StepState.WARNING
    found = look(peers)
    check_subscription(graph_of(peers), GOOD, found)
    assert states(found)["subscription"] == "warning"
    assert found.is_good
