"""Webhooks of a test's own making, where what the peer's phones send is too well-behaved."""

from __future__ import annotations

import time
from typing import Any

import requests

from tests.http.meta_webhooks import message, sign, to_wire, value
from tests.support.history import Said
from tests.support.world import Bot


def deliver(bot: Bot, body: object) -> requests.Response:
    """POST a signed webhook; the answer, which is a 200."""
    raw = to_wire(body)
    secret = bot.world.stack.secrets["META_APP_SECRET"]
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign(secret, raw)}
    answer = requests.post(bot.world.stack.webhook_url, data=raw, headers=headers, timeout=10)
    assert answer.status_code == 200
    return answer


def written(
    bot: Bot, person: str, wamid: str, text: str, *, ago_seconds: float = 0, **more: Any
) -> dict[str, Any]:
    """The value of a webhook with one message; the bot's history knows of it."""
    bot.said.append(Said(person, text, f"{bot.number}:{wamid}"))
    stamp = str(int(time.time() - ago_seconds))
    element = message(wamid, sender=person, text={"body": text}, timestamp=stamp, **more)
    return value(bot.number, messages=[element])
