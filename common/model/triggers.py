"""Which flow a customer's text starts.

EXACT goes before STARTS_WITH, and that before CONTAINS; of two of a kind the longer one wins, then the one that comes
first in the alphabet. Texts are compared as people mean them: case, spaces and ways of writing an accent do not count.
Whoever fits no trigger gets the bot's default flow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from common.model.bots import BotConfig, LiveFlow
from common.model.flow_settings import Match, Trigger
from common.model.text_matching import folded

_ORDER: Final = {match: place for place, match in enumerate(Match)}
# What customers write is not kept here, only the triggers themselves.
_folded = lru_cache(maxsize=20_000)(folded)


@dataclass(frozen=True, slots=True)
class Called:
    """A flow that was called for, and by which trigger."""

    flow: LiveFlow
    trigger: Trigger


def called(bot: BotConfig, text: str) -> Called | None:
    """The live flow that this text calls for by a trigger, whatever the order in which flows are stored."""
    said = folded(text)
    fitting = (
        Called(flow, trigger)
        for flow in bot.flows
        for trigger in flow.triggers
        if _fits(trigger.match, _folded(trigger.text), said)
    )
    return min(fitting, key=_place, default=None)


def flow_for(bot: BotConfig, text: str) -> LiveFlow | None:
    """The flow that a new conversation with this first text starts: by trigger, else the default one."""
    found = called(bot, text)
    return found.flow if found else bot.live(bot.active_flow_id)


def has_interrupting(bot: BotConfig) -> bool:
    """Whether any text at all can interrupt a conversation that is under way."""
    return any(trigger.interrupts for flow in bot.flows for trigger in flow.triggers)


def _fits(match: Match, wanted: str, said: str) -> bool:
    if not wanted:
        return False
    match match:
        case Match.EXACT:
            return said == wanted
        case Match.STARTS_WITH:
            return said.startswith(wanted)
        case Match.CONTAINS:
            return wanted in said


def _place(found: Called) -> tuple[int, int, str, str]:
    wanted = _folded(found.trigger.text)
    return _ORDER[found.trigger.match], -len(wanted), wanted, found.flow.flow_id


@dataclass(frozen=True, slots=True)
class Claimed:
    """The triggers of one of a bot's flows, live or not."""

    flow_id: str
    name: str
    triggers: tuple[Trigger, ...]


@dataclass(frozen=True, slots=True)
class Collision:
    """A trigger that cannot stand beside another flow's."""

    trigger: Trigger
    other: Claimed
    other_trigger: Trigger


def collision(triggers: Sequence[Trigger], others: Iterable[Claimed]) -> Collision | None:
    """The first of these triggers that collides with one of the bot's other flows.

    The same text of the same kind could only ever start one of the two flows. As the beginning of a text for one
    flow and anywhere in it for another, nobody could say which of them is meant. Beside an EXACT one both have their
    use: "help" alone, and what else has it inside.
    """
    by_text: dict[str, list[tuple[Claimed, Trigger]]] = {}
    for other in others:
        for trigger in other.triggers:
            by_text.setdefault(folded(trigger.text), []).append((other, trigger))
    for trigger in triggers:
        for other, theirs in by_text.get(folded(trigger.text), ()):
            if (trigger.match is Match.EXACT) == (theirs.match is Match.EXACT):
                return Collision(trigger, other, theirs)
    return None


def repeated(triggers: Sequence[Trigger]) -> list[int]:
    """The places of triggers that say again what an earlier one of the same flow says, or nothing at all."""
    seen: set[tuple[Match, str]] = set()
    places = []
    for place, trigger in enumerate(triggers):
        key = trigger.match, folded(trigger.text)
        if key in seen or not key[1]:
            places.append(place)
        seen.add(key)
    return places
