"""Which flow and version an event finds: a new conversation's, an ended one's, or one that begins again in the middle."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from common.flow.executor import is_awaited
from common.flow.restart import Restart, Resume, SwitchFlow, decide, restart, resume
from common.ids import new_ulid
from common.model.bots import BotConfig, LiveFlow
from common.model.contacts import Channel, Contact
from common.model.events import EffectAnswered, Event, MessageKind, MessageReceived, TimerFired
from common.model.session import Session, SessionStatus, WaitKind
from common.model.triggers import Called, called, flow_for, has_interrupting
from common.model.turn_records import Step
from common.store.sessions import StoredSession
from worker.directory import Directory
from worker.inbound import Inbound


def new_session(
    bot: BotConfig, contact: Contact, channel: Channel, inbound: Inbound | None, now: datetime
) -> StoredSession | None:
    """A session for a customer's first message, or None where the bot has no flow for it.

    A test runs the version that its message names; a customer gets the live one.
    """
    begun = _begun(bot, channel, inbound)
    if begun is None:
        return None
    session = Session(
        session_id=new_ulid(),
        bot_id=bot.bot_id,
        contact_id=contact.contact_id,
        flow_version_id=begun.version_id,
    )
    return StoredSession(session, channel, begun.flow_id, created_at=now)


def _begun(bot: BotConfig, channel: Channel, inbound: Inbound | None) -> LiveFlow | None:
    if channel is Channel.SIMULATOR and inbound is not None and inbound.tested is not None:
        return inbound.tested
    return flow_for(bot, inbound.message.text if inbound else "")


@dataclass(frozen=True, slots=True)
class TakenUp:
    """A session as the event finds it. `how` it was made so is for the replay, `note` and `detail` are for people.

    `is_offline`: it had ended, and the bot has no live flow any more that a message could begin.
    """

    stored: StoredSession
    how: Resume | Restart | None = None
    note: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    is_offline: bool = False

    def explain(self, steps: list[Step]) -> None:
        """Say it in the log, on the first step."""
        if self.note is not None and steps:
            steps[0].notes.insert(0, self.note)
            steps[0].detail["beganAgain"] = self.detail


def take_up(stored: StoredSession, event: Event, bot: BotConfig, directory: Directory) -> TakenUp:
    """What this event finds: the session as it stood, or one that begins again, by a keyword or after a deploy.

    One whose flow had ended goes on with a message, as the flow's restart policy says.
    """
    is_message = isinstance(event, MessageReceived)
    if stored.channel is Channel.WHATSAPP:  # a test stays on its version
        keyword = _interruption(stored, event, bot)
        if keyword is not None and (begun := _onto(stored, keyword.flow, directory)):
            note = f'The keyword "{keyword.trigger.text}" started the flow "{keyword.flow.name}".'
            return _again(stored, begun, "KEYWORD", note)
        if is_message or (
            isinstance(event, TimerFired | EffectAnswered) and is_awaited(stored.session, event)
        ):
            live = _newer(stored, bot, directory)
            goes_on = is_message and stored.session.status is SessionStatus.COMPLETED
            if live is not None and not goes_on and (begun := _onto(stored, live, directory)):
                return _after_deploy(stored, begun, live)
    if is_message and stored.session.status is SessionStatus.COMPLETED:
        return _after_end(stored, event, bot, directory)
    return TakenUp(stored)


def _interruption(stored: StoredSession, event: Event, bot: BotConfig) -> Called | None:
    """The keyword in a message that takes over whatever the conversation is at; a tap answers its own button."""
    if not isinstance(event, MessageReceived) or event.message.kind is not MessageKind.TEXT:
        return None
    wait = stored.session.wait
    if wait is not None and wait.kind not in (WaitKind.REPLY, WaitKind.TIME):
        return None
    found = called(bot, event.message.text) if has_interrupting(bot) else None
    return found if found is not None and found.trigger.interrupts else None


def _newer(stored: StoredSession, bot: BotConfig, directory: Directory) -> LiveFlow | None:
    """The live version that this conversation is to begin again on, because a deploy said so."""
    live = bot.live(stored.flow_id)
    if live is None or not live.restart_up_to or live.version_id == stored.session.flow_version_id:
        return None
    known = directory.flow(stored.session.flow_version_id)
    return live if known is not None and known.number <= live.restart_up_to else None


def _onto(stored: StoredSession, live: LiveFlow, directory: Directory) -> StoredSession | None:
    """The session ready to begin this flow; None where that cannot run."""
    known = directory.flow(live.version_id)
    flow = known.loaded.flow if known else None
    if flow is None:
        return None
    return replace(stored, session=restart(stored.session, flow), flow_id=live.flow_id)


def _after_deploy(before: StoredSession, begun: StoredSession, live: LiveFlow) -> TakenUp:
    return _again(before, begun, "DEPLOY", f"Restarted on version {live.number} after a deploy.")


def _again(before: StoredSession, begun: StoredSession, why: str, note: str) -> TakenUp:
    left = before.session
    detail = {"why": why, "leftVersionId": left.flow_version_id, "leftNodeId": left.node_id}
    return TakenUp(begun, Restart(), note, detail)


def _after_end(stored: StoredSession, event: Event, bot: BotConfig, directory: Directory) -> TakenUp:
    """A message after an END that kept the conversation."""
    known = directory.flow(stored.session.flow_version_id)
    flow = known.loaded.flow if known else None
    if flow is None:
        return TakenUp(stored)
    decision = decide(stored.session, flow, bot.flow_settings.get(stored.flow_id))
    if isinstance(decision, Resume):
        newer = _newer(stored, bot, directory) if stored.channel is Channel.WHATSAPP else None
        if newer is not None and (begun := _onto(stored, newer, directory)):
            return _after_deploy(stored, begun, newer)
        return TakenUp(replace(stored, session=resume(stored.session, decision.node_id)), decision)
    live = bot.live(decision.flow_id) if isinstance(decision, SwitchFlow) else None
    if live is None and stored.channel is not Channel.SIMULATOR:  # a test stays on its version
        live = bot.live(stored.flow_id) or _instead(event, bot)
        if live is None:
            return TakenUp(stored, is_offline=True)
    begun = _onto(stored, live, directory) if live else None
    return TakenUp(begun or replace(stored, session=restart(stored.session, flow)), Restart())


def _instead(event: Event, bot: BotConfig) -> LiveFlow | None:
    """What a new conversation would begin with, where the flow of an ended one was taken offline."""
    return flow_for(bot, event.message.text) if isinstance(event, MessageReceived) else None
