"""A bot's owner who uses the API of a real web process."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

from common.ids import new_ulid
from tests.support.world import Bot

Json = dict[str, Any]


@dataclass(slots=True)
class Owner:
    """Signed in with a bearer token."""

    port: int
    token: str = ""
    user_id: str = ""

    def post(self, path: str, body: Json, **headers: str) -> tuple[int, Json]:
        """Status and answer. Raises OSError or HTTPException where no answer comes."""
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        if self.token:
            named["Authorization"] = f"Bearer {self.token}"
        with contextlib.closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(
                "POST", path, json.dumps(body).encode(), {"Content-Type": "application/json", **named}
            )
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"{}")


def owner_of(bot: Bot) -> Owner:
    """A new user, to whom the bot belongs from now on."""
    owner = Owner(bot.world.stack.port)
    account = {
        "email": f"{new_ulid().lower()}@example.com",
        "password": "a long password",
        "transport": "bearer",
    }
    status, answer = owner.post("/api/auth/register", account)
    assert status == 201, answer
    owner.token, owner.user_id = answer["accessToken"], answer["user"]["id"]
    bot.world.store.database["bots"].update_one({"_id": bot.bot_id}, {"$set": {"userId": owner.user_id}})
    return owner
