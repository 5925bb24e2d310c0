"""What each Graph error code means for the message that got it (whatsapp.md 3).

Only the code decides, with its sub-code and details in two cases; titles and HTTP statuses are unreliable.
The same codes come with a call's answer and, later, in `failed` status webhooks.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Action(StrEnum):
    """What to do with the message."""

    RETRY_PAIR = "RETRY_PAIR"  # too many to this contact: later, other contacts are not affected
    RETRY_NUMBER = "RETRY_NUMBER"  # too many from our number: slow down everything it sends
    RETRY_APP = "RETRY_APP"  # too many calls of the app: minutes
    RETRY_MAINTENANCE = "RETRY_MAINTENANCE"  # Meta is moving or upgrading something: a minute
    RETRY_TRANSIENT = "RETRY_TRANSIENT"  # trouble at Meta's
    RETRY_ONCE = "RETRY_ONCE"  # worth one more try
    RETRY_ALTERNATIVE_NUMBER = "RETRY_ALTERNATIVE_NUMBER"  # once, to the number's other spelling
    FAIL_RECIPIENT = "FAIL_RECIPIENT"  # this contact cannot get it
    FAIL_PAYLOAD = "FAIL_PAYLOAD"  # the message, or our configuration, is wrong
    FAIL_WINDOW = "FAIL_WINDOW"  # the 24 hours are over
    FAIL_TEMPLATE = "FAIL_TEMPLATE"  # the template is wrong, paused or not approved
    FAIL_ECOSYSTEM = "FAIL_ECOSYSTEM"  # Meta holds it back for hours or days: never automatically again
    STOP_BOT_AUTH = "STOP_BOT_AUTH"  # "reconnect WhatsApp"; messages stay queued
    STOP_BOT_ACCOUNT = "STOP_BOT_ACCOUNT"  # the owner must act at Meta; messages stay queued

    @property
    def is_retry(self) -> bool:
        """The same message may be sent again, after `retry_delay`."""
        return self.value.startswith("RETRY_")

    @property
    def stops_bot(self) -> bool:
        """Every message of this bot would be refused: stop sending, keep them queued, tell the owner."""
        return self.value.startswith("STOP_")


BAD_PARAMETER = 100
UNKNOWN_ERROR = 1
_PERMISSION_CODES = range(200, 300)  # "API permission" of every kind

_ACTIONS: dict[int, Action] = {
    code: action
    for action, codes in {
        Action.RETRY_PAIR: (131056,),
        Action.RETRY_NUMBER: (130429,),
        Action.RETRY_APP: (4, 80007),
        Action.RETRY_MAINTENANCE: (2, 131016, 131057, 133004),
        Action.RETRY_TRANSIENT: (UNKNOWN_ERROR, 131000),
        Action.RETRY_ONCE: (131053,),  # Meta could not fetch or upload our media
        Action.RETRY_ALTERNATIVE_NUMBER: (131030,),
        Action.FAIL_RECIPIENT: (130403, 131021, 131026, 131050, 131062),
        Action.FAIL_PAYLOAD: (33, BAD_PARAMETER, 131008, 131009, 131051, 131052, 135000),
        Action.FAIL_WINDOW: (131047,),
        Action.FAIL_TEMPLATE: (
            132000,
            132001,
            132005,
            132007,
            132012,
            132015,
            132016,
            132018,
            132068,
            132069,
        ),
        Action.FAIL_ECOSYSTEM: (130472, 131048, 131049, 131064),
        Action.STOP_BOT_AUTH: (0, 3, 10, 190, 131005),
        Action.STOP_BOT_ACCOUNT: (368, 130497, 131031, 131042, 131045, 133010),
    }.items()
    for code in codes
}

# Code 1 is "unknown error", and also how Graph sometimes says that a parameter is wrong.
_NAMES_A_PARAMETER = re.compile(r"\bparam(eter)?s?\b|\bparam\[|\bfield\b", re.IGNORECASE)


def action_for(code: int, *, details: str = "", is_transient: bool = False) -> Action:
    """The action for a Graph error.

    A code we do not know is tried again when Meta calls it transient, and is otherwise taken as a fault of the
    message: repeating what nobody understands would only repeat it.
    """
    if code in _PERMISSION_CODES:
        return Action.STOP_BOT_AUTH
    if code == UNKNOWN_ERROR and not is_transient and _NAMES_A_PARAMETER.search(details):
        return Action.FAIL_PAYLOAD
    known = _ACTIONS.get(code)
    if known is not None:
        return known
    return Action.RETRY_TRANSIENT if is_transient else Action.FAIL_PAYLOAD
