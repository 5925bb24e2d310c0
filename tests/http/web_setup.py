"""What the tests of the web process start from: settings, connected numbers, and a real gunicorn."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from common.secrets import KeyRing, new_key
from common.settings import Settings
from common.store.store import Store
from tests.http.meta_webhooks import NUMBER, OTHER_NUMBER, sign, to_wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask import Flask
    from pymongo.database import Database
    from werkzeug.test import TestResponse

APP_SECRET = "0f3a5c7e9b1d2f4a6c8e0b2d4f6a8c0e"
BOTS_SECRET = "ff3a5c7e9b1d2f4a6c8e0b2d4f6a8cff"  # of the bot that has a Meta app of its own
VERIFY_TOKEN = "wq83-jh2k-ppx0-77ab"
PATH = "/api/webhook/whatsapp"
JWT_SECRET = "kJ83hf72kd92nv74mx81bz65qp03lw48"
BOT, BOT_WITH_SECRET = "bot-1", "bot-2"
ENCRYPTION_KEYS = f"k1:{new_key()}"
_START_SECONDS = 30.0


def settings_for(mongo_uri: str, database: str, **changes: Any) -> Settings:
    given = {
        "app_env": "test",
        "mongodb_uri": mongo_uri,
        "mongodb_database": database,
        "meta_app_secret": APP_SECRET,
        "webhook_verify_token": VERIFY_TOKEN,
        "encryption_keys": ENCRYPTION_KEYS,
        "jwt_secret": JWT_SECRET,
        "log_level": "ERROR",
    }
    return Settings(**{**given, **changes})


def connect_numbers(database: Database[dict[str, Any]]) -> None:
    """NUMBER belongs to a bot that uses the installation's app secret, OTHER_NUMBER to one with its own."""
    bots = Store(database).bots
    keys = KeyRing.from_setting(ENCRYPTION_KEYS)
    for bot_id, number, secret in ((BOT, NUMBER, None), (BOT_WITH_SECRET, OTHER_NUMBER, BOTS_SECRET)):
        account = {"phoneNumberId": number, "phoneNumber": f"+{number}", "businessAccountId": "1"}
        secrets = {"accessToken": "EAAB"} | ({"appSecret": secret} if secret else {})
        assert bots.ensure_account(bot_id, account, secrets, keys.encrypt)


def deliver(app: Flask, body: object, *, secret: str = APP_SECRET, **headers: str) -> TestResponse:
    """POST a body as Meta would, in this process."""
    raw = body if isinstance(body, bytes) else to_wire(body)
    return app.test_client().post(PATH, data=raw, headers=_headers(raw, secret, headers))


def _headers(raw: bytes, secret: str, more: dict[str, str]) -> dict[str, str]:
    named = {name.replace("_", "-"): text for name, text in more.items()}
    return {"Content-Type": "application/json", "X-Hub-Signature-256": sign(secret, raw), **named}


@dataclass(slots=True)
class Server:
    """A gunicorn of its own."""

    port: int
    process: subprocess.Popen[bytes]

    def request(
        self, method: str, path: str, raw: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        """Raises OSError or HTTPException where no answer comes."""
        with contextlib.closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path, raw, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()

    def deliver(self, body: object) -> int:
        raw = body if isinstance(body, bytes) else to_wire(body)
        return self.request("POST", PATH, raw, _headers(raw, APP_SECRET, {}))[0]


@contextlib.contextmanager
def gunicorn(mongo_uri: str, database: str, log: Path, **environment: str) -> Iterator[Server]:
    """The web process as it runs in production, with its own configuration file."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = settings_for(mongo_uri, database)
    names = ("app_env", "mongodb_uri", "mongodb_database", "meta_app_secret", "webhook_verify_token",
             "encryption_keys", "jwt_secret")  # fmt: skip
    environ = {**os.environ, **{name.upper(): str(getattr(settings, name)) for name in names}}
    # One process: two notice by themselves, and so not at the same moment, that the database is back.
    environ["WEB_PROCESSES"] = "1"
    command = [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.py", "api.app:create_app()"]
    with log.open("wb") as words:
        process = subprocess.Popen(
            command, env={**environ, "PORT": str(port), **environment}, stdout=words, stderr=words
        )
    server = Server(port, process)
    try:
        wait_until_live(server, log)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_until_live(server: Server, log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and server.process.poll() is None:
        with contextlib.suppress(OSError):
            if server.request("GET", "/health/live")[0] == 200:
                return
        time.sleep(0.02)
    raise AssertionError(f"gunicorn does not answer:\n{log.read_text()}")


def stored_ids(database: Database[dict[str, Any]]) -> list[str]:
    """The ids of all jobs, by `seq`."""
    return [job["_id"] for job in database["jobs"].find().sort("seq", 1)]
