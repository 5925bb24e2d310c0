"""Who may call a route. Every route names one; there is no default."""

from __future__ import annotations

from enum import StrEnum


class Access(StrEnum):
    """The order of refusals is the same everywhere: 401 nobody, 403 the wrong role, 404 not theirs, then the body."""

    PUBLIC = "anybody"
    SIGNED_IN = "anybody signed in"  # about themselves
    USER = "users"  # who have bots; not the administrator, who watches only
    OWNER = "the bot's owner"
    READER = "the bot's owner, or an administrator"  # reading what holds no customer's words
    ADMIN = "administrators"


class Role(StrEnum):
    """What a person is to the platform."""

    ADMIN = "ADMIN"
    USER = "USER"
