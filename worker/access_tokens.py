"""Access tokens, decrypted once and kept in memory while they are the current ones."""

from __future__ import annotations

from common.gateways.whatsapp.results import SenderAccount
from common.model.bots import WhatsAppAccount
from common.model.encrypted_fields import ACCESS_TOKEN
from common.secrets import KeyRing, SecretError


class AccessTokens:
    """What sending needs of an account. Thread-safe: two threads may decrypt the same token, no more."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._known: dict[str, tuple[str, str]] = {}  # account id -> (ciphertext, token)

    def sender(self, account: WhatsAppAccount) -> SenderAccount | None:
        """The account as the gateway takes it; None where its token cannot be decrypted."""
        known = self._known.get(account.account_id)
        if known is None or known[0] != account.access_token:
            context = ACCESS_TOKEN.context(account.account_id)
            try:
                known = (account.access_token, self._keys.decrypt(account.access_token, context))
            except SecretError:
                return None
            self._known[account.account_id] = known
        return SenderAccount(account.phone_number_id, known[1])
