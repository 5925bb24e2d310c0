"""What an event finds: which of them make a conversation begin again after a deploy or by a keyword, and which do not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from common.flow.definition import load_flow
from common.flow.restart import Restart, Resume
from common.model.bots import BotConfig, LiveFlow
from common.model.calls import HttpAnswer
from common.model.contacts import Channel
from common.model.events import (
    EffectAnswered,
    Event,
    InboundMessage,
    MessageKind,
    MessageReceived,
    TimerFired,
)
from common.model.flow_settings import FlowSettings, Match, RestartPolicy, Trigger
from common.model.session import Session, SessionStatus, Wait, WaitKind
from common.store.sessions import StoredSession
from tests.support.flows import ask, end, flow
from worker.beginnings import TakenUp, take_up
from worker.directory import Directory, KnownFlow

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CHAT = flow({"ask": ask("?"), "end": end()}, "start > ask, ask.success > end, ask.failure > end")
NUMBERS = {"v1": 1, "v2": 2, "v3": 3, "other": 9}


class Shelf:
    """A directory of four versions, all of one flow's nodes."""

    def flow(self, version_id: str) -> KnownFlow | None:
        if version_id not in NUMBERS:
            return None
        return KnownFlow("flow", load_flow(CHAT, version_id), NUMBERS[version_id])


def bot(live: str | None = "v3", up_to: int = 2, **more: Any) -> BotConfig:
    flows = [LiveFlow("other", "other", (Trigger("menu", Match.EXACT, interrupts=True),), "Menu", 9)]
    if live is not None:
        flows.append(LiveFlow("flow", live, (), "Chat", NUMBERS[live], up_to))
    return BotConfig("bot", "user", 1, "flow", tuple(flows), **more)


def stored(version: str = "v1", wait: Wait | None = None, **more: Any) -> StoredSession:
    session = Session(
        "s", "bot", "contact", version, SessionStatus.PAUSED, "ask", turn=4,
        wait=wait or Wait(WaitKind.REPLY, 4), variables={"known": 1}, last_reply_node_id="ask",
    )  # fmt: skip
    return StoredSession(replace(session, **more), Channel.WHATSAPP, "flow", NOW, rev=4)


def said(text: str = "hi", kind: MessageKind = MessageKind.TEXT) -> MessageReceived:
    return MessageReceived(InboundMessage("m", kind, text, NOW))


def take(session: StoredSession, event: Event, config: BotConfig) -> TakenUp:
    return take_up(session, event, config, cast("Directory", Shelf()))


TIMED = Wait(WaitKind.TIME, 4, NOW)
CALLED = Wait(WaitKind.EFFECT, 4, request={})
ANSWER = EffectAnswered("s:4", HttpAnswer(200))


@pytest.mark.parametrize(
    ("session", "event", "begins"),
    [
        (stored(), said(), True),
        (stored("v2"), said(), True),
        (stored("v3"), said(), False),
        (stored(wait=TIMED), TimerFired(4), True),
        (stored(wait=TIMED), TimerFired(3), False),
        (stored(), TimerFired(4), False),
        (stored(wait=CALLED), ANSWER, True),
        (stored(wait=CALLED), EffectAnswered("s:3", HttpAnswer(200)), False),
        (stored(wait=TIMED), ANSWER, False),
        (replace(stored(), channel=Channel.SIMULATOR), said(), False),
        (replace(stored(), flow_id="gone"), said(), False),
        (stored("a version that is not kept"), said(), False),
    ],
)
def test_after_a_deploy(session: StoredSession, event: Event, *, begins: bool) -> None:
    taken = take(session, event, bot())
    if not begins:
        assert taken == TakenUp(session)
        return
    begun = taken.stored.session
    assert (begun.flow_version_id, begun.node_id, begun.wait) == ("v3", None, None)
    assert begun.variables == {"known": 1}
    assert taken.how == Restart()
    assert taken.note == "Restarted on version 3 after a deploy."
    assert taken.detail == {
        "why": "DEPLOY",
        "leftVersionId": session.session.flow_version_id,
        "leftNodeId": "ask",
    }


def test_without_such_a_deploy_it_goes_on() -> None:
    assert take(stored(), said(), bot(up_to=0)) == TakenUp(stored())
    assert take(stored("v2"), said(), bot(up_to=1)) == TakenUp(stored("v2"))
    assert take(stored(), said(), bot(live=None)) == TakenUp(stored()), "offline: it ends where it began"


@pytest.mark.parametrize(
    ("session", "event", "interrupts"),
    [
        (stored("v3"), said(" Menu "), True),
        (stored("v3", wait=TIMED), said("menu"), True),
        (stored("v3", status=SessionStatus.COMPLETED, wait=None), said("menu"), True),
        (stored("v3"), said("the menu"), False),
        (stored("v3"), said("menu", MessageKind.BUTTON), False),
        (stored("v3"), said("menu", MessageKind.MEDIA), False),
        (stored("v3", wait=CALLED), said("menu"), False),
        (replace(stored("v3"), channel=Channel.SIMULATOR), said("menu"), False),
    ],
)
def test_a_keyword(session: StoredSession, event: Event, *, interrupts: bool) -> None:
    taken = take(session, event, bot())
    assert (taken.note == 'The keyword "menu" started the flow "Menu".') is interrupts
    assert (taken.stored.flow_id == "other") is interrupts


def test_after_its_end_the_flows_own_settings_count_and_then_those_of_its_version() -> None:
    ended = stored("v3", status=SessionStatus.COMPLETED, wait=None)
    resumes = FlowSettings(RestartPolicy.RESUME_LAST_NODE)
    hands_over = FlowSettings(RestartPolicy.FALLBACK_FLOW, "other")
    assert take(ended, said(), bot()).how == Restart()
    assert take(ended, said(), bot(flow_settings={"flow": resumes})).how == Resume("ask")
    assert take(ended, said(), bot(flow_settings={"flow": hands_over})).stored.flow_id == "other"
    assert take(ended, TimerFired(4), bot()) == TakenUp(ended), "only a message wakes it"


def test_an_ended_conversation_is_not_resumed_on_a_version_that_was_replaced() -> None:
    ended = stored("v1", status=SessionStatus.COMPLETED, wait=None)
    settings = {"flow": FlowSettings(RestartPolicy.RESUME_LAST_NODE)}
    taken = take(ended, said(), bot(flow_settings=settings))
    assert (taken.stored.session.flow_version_id, taken.how) == ("v3", Restart())
    assert taken.detail["why"] == "DEPLOY"
    assert take(ended, said(), bot(up_to=0, flow_settings=settings)).how == Resume("ask")


def test_an_ended_conversation_of_a_flow_that_is_offline() -> None:
    ended = stored("v3", status=SessionStatus.COMPLETED, wait=None)
    assert take(ended, said(), bot(live=None)).is_offline
    assert take(ended, said("menu"), bot(live=None)).stored.flow_id == "other"
