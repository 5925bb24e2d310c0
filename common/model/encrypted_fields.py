"""Which fields of stored documents hold encrypted secrets: the one list that saving, reading and key rotation go by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class EncryptedField:
    """`owner` names the document's field that says whose secret it is: a bot (`botId`) or all of a user's (`userId`)."""

    collection: str
    name: str
    owner: str

    def context(self, record_id: str) -> str:
        """What a ciphertext is bound to: moved to another record or field, it does not decrypt."""
        return f"{self.collection}:{record_id}:{self.name}"

    def __str__(self) -> str:
        return f"{self.collection}.{self.name}"


ACCESS_TOKEN: Final = EncryptedField("whatsapp_accounts", "accessToken", "botId")
APP_SECRET: Final = EncryptedField("whatsapp_accounts", "appSecret", "botId")
OPENAI_KEY: Final = EncryptedField("openai_accounts", "apiKey", "userId")

# A secret that is not in here would be lost with the key that a rotation takes away.
ENCRYPTED_FIELDS: Final = (ACCESS_TOKEN, APP_SECRET, OPENAI_KEY)
