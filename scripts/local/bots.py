"""Bots for tests and measurements, made through the store as `flask seed` makes the sample bot."""

from __future__ import annotations

from typing import Any

from common.ids import new_ulid
from common.secrets import KeyRing
from common.store.store import Store

SAMPLE_NUMBER = "106540352242922"
SAMPLE_TOKEN = "EAALocalPeerToken"  # noqa: S105 - the local peer's own


def make_bot(
    store: Store,
    encryption_keys: str,
    flow_data: dict[str, Any],
    *,
    phone_number_id: str = SAMPLE_NUMBER,
    token: str = SAMPLE_TOKEN,
    openai_key: str | None = "sk-local-peer-key",
    app_secret: str | None = None,
    variables: dict[str, Any] | None = None,
) -> tuple[str, str]:
    """A user's bot, connected to a number, with one live flow. Returns (bot id, version id)."""
    keys = KeyRing.from_setting(encryption_keys)
    user_id, _ = store.users.ensure(f"{new_ulid()}@example.com", "-", "USER", must_change_password=False)
    bot_id, _ = store.bots.ensure_bot(user_id, "Bot", "")
    secrets = {"accessToken": token}
    if app_secret is not None:
        secrets["appSecret"] = app_secret
    account = {
        "phoneNumberId": phone_number_id,
        "phoneNumber": f"1{phone_number_id[-10:]}",
        "businessAccountId": "102290129340398",
    }
    store.bots.ensure_account(bot_id, account, secrets, keys.encrypt)
    if openai_key is not None:
        store.bots.ensure_openai(user_id, openai_key, keys.encrypt)
    for name, value in (variables or {}).items():
        store.bots.ensure_variable(bot_id, name, value)
    flow_id, _ = store.bots.ensure_flow(bot_id, "Flow", "", ())
    version_id = store.deployments.put_live(flow_id, flow_data, deployed_by=user_id)
    store.bots.set_active_flow(bot_id, flow_id)
    return bot_id, version_id
