"""The gateways and the local peers, which were written apart, understand each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from common.gateways.http import HttpGateway
from common.gateways.openai import ChatGateway
from common.gateways.whatsapp.error_table import Action
from common.gateways.whatsapp.gateway import WhatsAppGateway
from common.gateways.whatsapp.results import Accepted, Recipient, Refused, SenderAccount, SendResult, Unknown
from common.model.calls import CallFailed, ChatAnswer, ChatMessage, ChatRequest, HttpAnswer, HttpRequest
from common.model.turn_records import OutboundMessage, ReplyButton
from scripts.peers.numbers import SAMPLE_NUMBER_ID, SAMPLE_TOKEN
from scripts.peers.openai import SAMPLE_KEY
from scripts.peers.server import PeerServer
from tests.gateways.wire_server import Wire, WireServer

if TYPE_CHECKING:
    from collections.abc import Iterator

PERSON = "16505551234"
ACCOUNT = SenderAccount(SAMPLE_NUMBER_ID, SAMPLE_TOKEN)


@pytest.fixture(scope="module")
def running_peers() -> Iterator[PeerServer]:
    with PeerServer() as peers:
        yield peers


@pytest.fixture
def peers(running_peers: PeerServer) -> PeerServer:
    running_peers.control("POST", "reset", {})
    return running_peers


@pytest.fixture
def whatsapp(peers: PeerServer) -> Iterator[WhatsAppGateway]:
    gateway = WhatsAppGateway(peers.graph_url, "v24.0", timeout_seconds=1, pool_size=2)
    yield gateway
    gateway.close()


def reach(peers: PeerServer) -> Recipient:
    """A person who has written, so that we may answer."""
    peers.control("POST", f"phones/{PERSON}/wrote", {"phone_number_id": SAMPLE_NUMBER_ID})
    return Recipient(wa_id=PERSON)


def answer_all(server: WireServer, wire: Wire) -> None:
    while server.take(wire):
        wire.answer(b"")


def send(
    gateway: WhatsAppGateway, to: Recipient, *buttons: ReplyButton, attempt_id: str = "01A"
) -> SendResult:
    return gateway.send(ACCOUNT, to, OutboundMessage("n", "Hi 😀", buttons), attempt_id, "req-12345678")


def test_texts_and_buttons(peers: PeerServer, whatsapp: WhatsAppGateway) -> None:
    to = reach(peers)
    first, second = send(whatsapp, to), send(whatsapp, to, ReplyButton("v:n:1", "Yes"))
    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert first.recipient_wa_id == to.wa_id
    assert [message["wamid"] for message in peers.sent()] == [first.wamid, second.wamid]


def test_a_wrong_token(peers: PeerServer, whatsapp: WhatsAppGateway) -> None:
    result = whatsapp.send(
        SenderAccount(SAMPLE_NUMBER_ID, "EAAwrong"), reach(peers), OutboundMessage("n", "Hi"), "a"
    )
    assert isinstance(result, Refused)
    assert result.action is Action.STOP_BOT_AUTH


def test_a_graph_error(peers: PeerServer, whatsapp: WhatsAppGateway) -> None:
    to = reach(peers)
    peers.fault("graph_error", code=131056, times=1)
    result = send(whatsapp, to)
    assert isinstance(result, Refused)
    assert (result.code, result.action) == (131056, Action.RETRY_PAIR)
    assert isinstance(send(whatsapp, to), Accepted)


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        ("reset_after", {}),
        ("hang_after", {"seconds": 3}),
        ("garbage", {}),
        ("status", {"status": 503, "shaped": False, "accepted": True}),
        ("huge_body", {"bytes": 5_000_000}),
    ],
)
def test_what_was_taken_is_never_sent_again(
    fault: str, more: dict[str, Any], peers: PeerServer, whatsapp: WhatsAppGateway
) -> None:
    to = reach(peers)
    assert isinstance(send(whatsapp, to), Accepted)  # the fault hits a kept-open connection
    peers.fault(fault, times=1, **more)
    assert isinstance(send(whatsapp, to, attempt_id="01B"), Unknown)
    assert len(peers.sent()) == 2 or fault in {"garbage", "huge_body"}


def test_mark_read() -> None:
    """The webhook's receiver answers 200 and is not looked at: only its message's id is wanted."""
    with WireServer(answer_all) as receiver, PeerServer(webhook_url=receiver.url) as peers:
        wamid = peers.say(PERSON, "hello")
        gateway = WhatsAppGateway(peers.graph_url, "v24.0", timeout_seconds=5, pool_size=1)
        assert gateway.mark_read(ACCOUNT, wamid, typing=True)
        gateway.close()


def test_a_completion(peers: PeerServer) -> None:
    gateway = ChatGateway(peers.openai_url, 10)
    ask = ChatRequest("gpt-4", (ChatMessage("system", "Be brief."), ChatMessage("user", "Hi")))
    answer, failed = gateway.complete(SAMPLE_KEY, ask, "s:1"), gateway.complete("sk-wrong", ask, "s:1")
    gateway.close()
    assert isinstance(answer, ChatAnswer)
    assert answer.text
    assert answer.prompt_tokens > 0
    assert answer.cost_usd
    assert isinstance(failed, CallFailed)
    assert failed.code == "ai.bad_key"


def test_the_crm_is_reached_only_when_opened(peers: PeerServer) -> None:
    request = HttpRequest("POST", f"{peers.url}/crm/leads", body={"email": "ada@example.com", "name": "Ada"})
    opened = HttpGateway((peers.url.removeprefix("http://"),)).attempt(request, "s:1")
    closed = HttpGateway().attempt(request, "s:1")
    assert isinstance(opened, HttpAnswer)
    assert opened.status in {200, 201}
    assert isinstance(closed, CallFailed)
    assert closed.code == "api.blocked_address"
