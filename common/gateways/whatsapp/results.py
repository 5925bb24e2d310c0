"""What goes into a send and what can come out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from common.gateways.whatsapp.error_table import Action


@dataclass(frozen=True, slots=True)
class SenderAccount:
    """The number that sends. The token is never printed."""

    phone_number_id: str
    access_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who gets it: `wa_id` (digits, exactly as Meta delivered them) or a business-scoped id. `wa_id` wins."""

    wa_id: str | None = None
    bsuid: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """Meta took the message. `recipient_wa_id` is Meta's spelling of the number (None for a BSUID)."""

    wamid: str
    recipient_wa_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The message was certainly not taken.

    `code` is Graph's, or None where no Graph code exists (we refused it ourselves, or a proxy answered).
    `alternative_wa_id` comes with RETRY_ALTERNATIVE_NUMBER: send to that number next.
    """

    code: int | None
    subcode: int | None
    details: str
    action: Action
    retry_after_seconds: float | None = None
    alternative_wa_id: str | None = None


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request never reached Meta in full: safe to repeat (`transport_retry_delay`)."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Meta may or may not have taken it: wait for a status that echoes the attempt id."""

    reason: str


SendResult = Accepted | Refused | NotSent | Unknown
