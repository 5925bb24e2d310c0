"""The person at the other end, known by any of the ids that WhatsApp gives them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from common.model.simulation import TestSettings

# Ids become keys, filters and parts of addresses: printable ASCII without blanks, and no longer than any real one.
_ID = re.compile(r"[\x21-\x7e]{1,512}")


def usable_id(value: object) -> str | None:
    """An id that somebody sent, if it can be one."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


class Channel(StrEnum):
    """Where a conversation takes place; a contact's conversations on two channels never mix."""

    WHATSAPP = "WHATSAPP"
    SIMULATOR = "SIMULATOR"


TESTER_PREFIX = "sim:"


@dataclass(frozen=True, slots=True)
class Sender:
    """Who wrote. Since 2026 either id may be missing: a phone number (`wa_id`) or a business-scoped id.

    `simulated_as` is the one alias of a tester: the phone number of a test is nobody's.
    """

    wa_id: str | None = None
    bsuid: str | None = None
    simulated_as: str | None = None

    @property
    def aliases(self) -> tuple[str, ...]:
        """All ids, the lasting one first."""
        if self.simulated_as:
            return (self.simulated_as,)
        known = []
        if self.bsuid:
            known.append(f"bsuid:{self.bsuid}")
        if self.wa_id:
            known.append(alias_of_number(self.wa_id))
        return tuple(known)


def sender_of(message: dict[str, Any]) -> Sender:
    """Who wrote a WhatsApp message element; without aliases where it does not say."""
    return Sender(wa_id=usable_id(message.get("from")), bsuid=usable_id(message.get("from_user_id")))


def alias_of_number(wa_id: str) -> str:
    """The alias under which a phone number is known."""
    return f"wa:{wa_id}"


def alias_of_tester(user_id: str, flow_id: str, digits: str) -> str:
    """The alias of somebody who is simulated: each tester, flow and number is a conversation of its own."""
    return f"{TESTER_PREFIX}{user_id}:{flow_id}:{digits}"


def contact_id_for(bot_id: str, alias: str) -> str:
    """The contact id of somebody first seen under this alias: derived, so that nobody has to look it up."""
    return hashlib.sha256(f"{bot_id}|{alias}".encode()).hexdigest()[:24]


def lane_for(channel: Channel, contact_id: str) -> str:
    """The lane of a contact's conversation on a channel."""
    return f"{_PREFIXES[channel]}:{contact_id}"


def channel_of(lane: str) -> Channel:
    """The channel of a conversation's lane. Raises KeyError for a lane of another sort."""
    return _CHANNELS[lane.partition(":")[0]]


def contact_of(lane: str) -> str:
    """The contact id of a conversation's lane."""
    return lane.partition(":")[2]


_PREFIXES = {Channel.WHATSAPP: "wa", Channel.SIMULATOR: "sim"}
_CHANNELS = {prefix: channel for channel, prefix in _PREFIXES.items()}

STATUS_LANE_PREFIX = "st"
_STATUS_LANES = 8  # shards of a number's statuses: enough to use several workers, few enough to batch well


def status_lane_for(phone_number_id: str, message_id: str) -> str:
    """The lane that takes a message's statuses: never a conversation's, which may be waiting for them."""
    shard = int(hashlib.sha256(message_id.encode()).hexdigest()[:4], 16) % _STATUS_LANES
    return f"{status_lane_prefix(phone_number_id)}{shard}"


def status_lane_prefix(phone_number_id: str) -> str:
    """What the lanes of a number's statuses begin with."""
    return f"{STATUS_LANE_PREFIX}:{phone_number_id}:"


def is_status_lane(lane: str) -> bool:
    """Whether a lane takes statuses rather than a conversation."""
    return lane.startswith(f"{STATUS_LANE_PREFIX}:")


@dataclass(slots=True)
class Contact:
    """What is kept about a contact. Written only by the holder of its lane."""

    contact_id: str
    bot_id: str
    aliases: tuple[str, ...]
    wa_id: str | None = None
    bsuid: str | None = None
    profile_name: str = ""
    last_inbound_at: datetime | None = None
    last_inbound_number: str | None = (
        None  # which of our numbers (its id) that was for: only this one may answer
    )
    message_seq: int = 0  # messages in this conversation so far, both ways
    pace_level: float = 0.0  # pair pacing: how full the bucket was …
    pace_at: datetime | None = None  # … at this time
    inbound_count: int = 0  # messages received in the minute that began at …
    inbound_since: datetime | None = None
    bot_paused_at: datetime | None = None  # a person has taken over …
    bot_paused_by: str | None = None
    paused_until: datetime | None = None  # … until then, or until the bot is resumed
    test: TestSettings | None = None  # a tester's
    conversation_turn: int = 0  # turns of a tester's conversation so far, in all its sessions
    is_stored: bool = False

    def heard_from(self, at: datetime, phone_number_id: str | None) -> None:
        """They wrote; older words than the newest change nothing."""
        if self.last_inbound_at is None or at >= self.last_inbound_at:
            self.last_inbound_at, self.last_inbound_number = at, phone_number_id

    @property
    def is_bot_paused(self) -> bool:
        """Whether a person has taken this conversation over."""
        return self.bot_paused_at is not None
