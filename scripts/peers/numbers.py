"""The business side that the peer knows: phone numbers, their WhatsApp business accounts and tokens."""

from __future__ import annotations

from dataclasses import dataclass

SAMPLE_NUMBER_ID = "106540352242922"
SAMPLE_WABA_ID = "102290129340398"
SAMPLE_TOKEN = "EAALocalPeerToken"  # noqa: S105 - the peer's own made-up token, public on purpose
SAMPLE_APP_ID = "670843887433847"
MANAGE, SEND = "whatsapp_business_management", "whatsapp_business_messaging"


@dataclass(slots=True)
class Token:
    """What an access token is good for. `expires_at`: Unix seconds, 0 is never; `target_ids`: None is all it has."""

    scopes: tuple[str, ...] = (MANAGE, SEND)
    expires_at: int = 0
    data_access_expires_at: int = 0
    is_valid: bool = True
    target_ids: tuple[str, ...] | None = None
    app_id: str | None = None


@dataclass(slots=True)
class Number:
    """One business phone number and who may send with it."""

    phone_number_id: str
    waba_id: str
    access_token: str
    display_phone_number: str = "+1 631-555-5555"
    verified_name: str = "Local Sample Bot"
    app_secret: str | None = None
    status: str = "CONNECTED"
    quality_rating: str = "GREEN"
    app_id: str = SAMPLE_APP_ID
    health: str = "AVAILABLE"

    @property
    def display_digits(self) -> str:
        """The number as webhooks carry it: digits only."""
        return "".join(sign for sign in self.display_phone_number if sign.isdigit())


class Numbers:
    """All numbers, and the accounts (WABAs) whose webhooks are subscribed."""

    def __init__(self) -> None:
        self._by_id: dict[str, Number] = {}
        self.unsubscribed_wabas: set[str] = set()
        self.callbacks: dict[str, str] = {}  # of accounts with an address of their own
        self.tokens: dict[str, Token] = {}
        self.apps: dict[str, str] = {}  # the secrets of further apps

    def token(self, access_token: str) -> Token:
        """What this token is good for: everything, unless something else was said."""
        return self.tokens.get(access_token) or Token()

    def app_of(self, access_token: str) -> str:
        """The app that made this token."""
        own = self.with_token(access_token)
        return self.token(access_token).app_id or (own[0].app_id if own else SAMPLE_APP_ID)

    def add(self, number: Number) -> None:
        """Add or replace."""
        self._by_id[number.phone_number_id] = number
        if number.app_secret is not None and number.app_id != SAMPLE_APP_ID:
            self.apps[number.app_id] = number.app_secret

    def find(self, phone_number_id: str) -> Number | None:
        """By id."""
        return self._by_id.get(phone_number_id)

    def of_waba(self, waba_id: str) -> list[Number]:
        """The numbers of one account."""
        return [number for number in self._by_id.values() if number.waba_id == waba_id]

    def with_token(self, token: str) -> list[Number]:
        """The numbers that this token may use."""
        return [number for number in self._by_id.values() if number.access_token == token]

    def first(self) -> Number:
        """The number to use where none is named."""
        return next(iter(self._by_id.values()))

    def all(self) -> list[Number]:
        """Every number."""
        return list(self._by_id.values())
