"""Real conversations to look at through the API: the product's processes, Meta's stand-in, and the bots' owners."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from api.app import create_app
from api.rest.tokens import issue
from tests.api.person import Answer, Person
from tests.http.web_setup import settings_for
from tests.support.controls import Tester
from tests.support.waiting import wait_until
from tests.support.world import Bot, Json, World

if TYPE_CHECKING:
    from flask import Flask


@dataclass(slots=True)
class Talks:
    """A world with the web application in this process."""

    world: World
    app: Flask

    def owner(self, bot: Bot) -> Person:
        """Whose bot it is."""
        user_id = self.bot_of(bot)["userId"]
        user = self.world.store.database["users"].find_one({"_id": user_id})
        assert user is not None
        return self.person(user)

    def person(self, user: Json) -> Person:
        """Somebody who is signed in."""
        with self.app.app_context():
            token, _ = issue(user)
        return Person(self.app, user["_id"], user["email"], token)

    def admin(self) -> Person:
        """An administrator."""
        email = "root@example.com"
        self.world.store.users.ensure(email, "-", "ADMIN", must_change_password=False)
        user = self.world.store.users.by_email(email)
        assert user is not None
        return self.person(user)

    def bot_of(self, bot: Bot) -> Json:
        """The bot's document."""
        document = self.world.store.database["bots"].find_one({"_id": bot.bot_id})
        assert document is not None
        return document

    def tester(self, bot: Bot, flow: Json) -> Tester:
        """Somebody who tries a draft of this bot's."""
        return Tester(bot, flow, user_id=self.bot_of(bot)["userId"])


@contextmanager
def talking(mongo_uri: str, folder: Path) -> Iterator[Talks]:
    """Everything that it takes, with one worker and one timer process."""
    with World(mongo_uri, folder) as world:
        world.start()
        app = create_app(
            settings_for(
                mongo_uri,
                world.database_name,
                encryption_keys=world.stack.secrets["ENCRYPTION_KEYS"],
                api_requests_per_minute=1_000_000,
            )
        )
        yield Talks(world, app)
        app.extensions["web"].store.close()


def sessions_of(owner: Person, bot: Bot, **query: Any) -> list[Json]:
    """The bot's sessions, the newest first."""
    answer = owner.get(f"/api/bots/{bot.bot_id}/sessions", **query)
    assert answer.status == 200, answer.text
    items: list[Json] = answer.json["items"]
    return items


def at(bot: Bot, session: Json | str, rest: str = "") -> str:
    """The address of a session, or of something of it."""
    session_id = session if isinstance(session, str) else session["id"]
    return f"/api/bots/{bot.bot_id}/sessions/{session_id}{rest}"


def everything(owner: Person, path: str, **query: Any) -> list[Json]:
    """All of a list, page by page."""
    found: list[Json] = []
    cursor: dict[str, str] = {}
    while True:
        answer = ok(owner.get(path, **query, **cursor))
        found += answer.json["items"]
        if answer.json["nextCursor"] is None:
            return found
        cursor = {"cursor": answer.json["nextCursor"]}


def ok(answer: Answer, status: int = 200) -> Answer:
    """The answer, which must be of this status."""
    assert answer.status == status, answer.text
    return answer


__all__ = ["Talks", "at", "everything", "ok", "sessions_of", "talking", "wait_until"]
