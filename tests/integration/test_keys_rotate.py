"""Keys are rotated while everything runs: nothing is lost, nothing overwritten, and the old key can go."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from pymongo.database import Database

from api import keys_command
from api.key_rotation import Rotated, count_by_key, rotate
from common.ids import new_ulid
from common.model.encrypted_fields import (
    ACCESS_TOKEN,
    APP_SECRET,
    ENCRYPTED_FIELDS,
    OPENAI_KEY,
    EncryptedField,
)
from common.secrets import KeyRing, new_key
from common.store.encrypted_records import EncryptedRecords
from common.store.store import Store
from scripts.local.bots import SAMPLE_TOKEN
from tests.support.flows import echo, echoes
from tests.support.waiting import wait_until
from tests.support.world import World

OLD, NEW = f"old:{new_key()}", f"new:{new_key()}"
OLD_RING = KeyRing.from_setting(OLD)
BOTH = KeyRing.from_setting(f"{NEW},{OLD}")
NEW_RING = KeyRing.from_setting(NEW)
Db = Database[dict[str, Any]]


def connect(store: Store, number: str, *, ring: KeyRing = OLD_RING, user_id: str | None = None) -> str:
    """A bot with an access token, an app secret and its owner's OpenAI key."""
    user_id = user_id or new_ulid()
    bot_id, _ = store.bots.ensure_bot(user_id, f"Bot {number}", "")
    account = {"phoneNumberId": number, "phoneNumber": number, "businessAccountId": "1"}
    secrets = {"accessToken": f"token-of-{number}", "appSecret": f"secret-of-{number}"}
    store.bots.ensure_account(bot_id, account, secrets, ring.encrypt)
    store.bots.ensure_openai(user_id, f"key-of-{user_id}", ring.encrypt)
    return bot_id


def rotate_all(
    store: Store, ring: KeyRing = BOTH
) -> dict[EncryptedField, tuple[int, int, list[tuple[str, str]]]]:
    done = {kind: rotate(store.encrypted_records, ring, kind) for kind in ENCRYPTED_FIELDS}
    return {kind: (one.again, one.current, one.failed) for kind, one in done.items()}


def plain(store: Store, ring: KeyRing, kind: EncryptedField) -> list[str]:
    found = store.database[kind.collection].find({kind.name: {"$exists": True}}).sort("_id", 1)
    return [ring.decrypt(document[kind.name], kind.context(document["_id"])) for document in found]


def revisions(store: Store) -> list[int]:
    return [bot["configRevision"] for bot in store.database["bots"].find().sort("_id", 1)]


def encrypted_with(database: Db, key: str) -> list[str]:
    """Every place in the whole database, whatever collection, where this key has encrypted something."""
    return [
        f"{name}.{field}"
        for name in database.list_collection_names()
        for document in database[name].find()
        for field, text in document.items()
        if isinstance(text, str) and text.startswith(f"v1.{key}.")
    ]


def test_every_secret_is_encrypted_again_and_says_the_same(store: Store) -> None:
    user_id = new_ulid()
    connect(store, "1", user_id=user_id)
    connect(store, "2", user_id=user_id)
    before = {kind: plain(store, OLD_RING, kind) for kind in ENCRYPTED_FIELDS}
    assert len(encrypted_with(store.database, "old")) == 5
    assert rotate_all(store) == {ACCESS_TOKEN: (2, 0, []), APP_SECRET: (2, 0, []), OPENAI_KEY: (1, 0, [])}
    assert {kind: plain(store, NEW_RING, kind) for kind in ENCRYPTED_FIELDS} == before
    assert encrypted_with(store.database, "old") == []
    # Both fields of each account and the owner's key: workers were told of each.
    assert revisions(store) == [4, 4]
    assert rotate_all(store) == {ACCESS_TOKEN: (0, 2, []), APP_SECRET: (0, 2, []), OPENAI_KEY: (0, 1, [])}
    assert revisions(store) == [4, 4]


def test_an_interrupted_rotation_goes_on_where_it_stopped(store: Store) -> None:
    for number in "1234":
        connect(store, number)

    class Interrupted(EncryptedRecords):
        left = 2

        def replace(self, field: EncryptedField, record_id: str, old: str, new: str) -> bool:
            self.left -= 1
            if self.left < 0:
                raise ConnectionError
            return super().replace(field, record_id, old, new)

    with pytest.raises(ConnectionError):
        rotate(Interrupted(store.database), BOTH, ACCESS_TOKEN)
    assert count_by_key(store.encrypted_records) == {"new": 2, "old": 10}
    done = rotate(store.encrypted_records, BOTH, ACCESS_TOKEN)
    assert (done.again, done.current) == (2, 2)


def test_a_secret_that_is_saved_meanwhile_is_never_overwritten(store: Store) -> None:
    connect(store, "1")

    class SavedMeanwhile(EncryptedRecords):
        saves = 2

        def replace(self, field: EncryptedField, record_id: str, old: str, new: str) -> bool:
            if self.saves:
                self.saves -= 1
                sealed = OLD_RING.encrypt(f"saved-{self.saves}", field.context(record_id))
                store.database[field.collection].update_one(
                    {"_id": record_id}, {"$set": {field.name: sealed}}
                )
            return super().replace(field, record_id, old, new)

    done = rotate(SavedMeanwhile(store.database), BOTH, ACCESS_TOKEN)
    assert (done.again, done.failed) == (1, [])
    assert plain(store, NEW_RING, ACCESS_TOKEN) == ["saved-0"]


def test_one_that_is_deleted_meanwhile_stays_deleted(store: Store) -> None:
    bot_id = connect(store, "1")

    class DeletedMeanwhile(EncryptedRecords):
        def replace(self, field: EncryptedField, record_id: str, old: str, new: str) -> bool:
            store.whatsapp_accounts.disconnect(bot_id)
            return super().replace(field, record_id, old, new)

    done = rotate(DeletedMeanwhile(store.database), BOTH, ACCESS_TOKEN)
    assert (done.again, done.failed) == (0, [])
    assert store.database["whatsapp_accounts"].count_documents({}) == 0


def test_what_cannot_be_decrypted_is_named_and_the_rest_goes_on(store: Store) -> None:
    for number in "1234":
        connect(store, number)
    accounts = store.database["whatsapp_accounts"]
    ids = [account["_id"] for account in accounts.find().sort("phoneNumberId", 1)]
    first = accounts.find_one({"_id": ids[0]})
    assert first is not None
    lost = KeyRing.from_setting(f"lost:{new_key()}").encrypt("x", ACCESS_TOKEN.context(ids[1]))
    for account_id, stored in ((ids[1], lost), (ids[2], first["accessToken"]), (ids[3], 7)):
        accounts.update_one({"_id": account_id}, {"$set": {"accessToken": stored}})
    done = rotate(store.encrypted_records, BOTH, ACCESS_TOKEN)
    assert done.again == 1
    assert dict(done.failed) == {
        ids[1]: "no key lost in the key ring",
        ids[2]: "the secret was changed or belongs to another record",
        ids[3]: "this is no encrypted secret",
    }
    assert count_by_key(store.encrypted_records) == {"new": 1, "lost": 1, "old": 9, "": 1}


# The command, and workers that go on


def test_the_command_ends_with_1_while_an_older_key_is_in_use(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that has not been restarted yet saves with the older key behind the rotation's back."""
    settings = SimpleNamespace(encryption_keys=f"{NEW},{OLD}")
    monkeypatch.setattr(keys_command, "open_store", lambda: (settings, store))
    bot_ids = [connect(store, "1")]

    def rotate_and_save(records: EncryptedRecords, ring: KeyRing, kind: EncryptedField) -> Rotated:
        done = rotate(records, ring, kind)
        if kind is OPENAI_KEY and len(bot_ids) == 1:
            bot_ids.append(connect(store, "2"))
        return done

    monkeypatch.setattr(keys_command, "rotate", rotate_and_save)
    first, second = (CliRunner().invoke(keys_command.keys, ["rotate"]) for _ in range(2))
    assert first.exit_code == 1
    assert "Still in use: old." in first.output
    assert "Not in use any more" not in first.output
    assert second.exit_code == 0, second.output
    assert "Not in use any more: old." in second.output


@pytest.fixture(scope="module")
def world(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(mongo_uri, tmp_path_factory.mktemp("keys")) as world:
        yield world


@pytest.fixture
def old(world: World) -> str:
    """The setting with which everything began; every test leaves the installation with it."""
    for name in ("whatsapp_accounts", "openai_accounts"):
        world.store.database[name].delete_many({})
    return world.stack.secrets["ENCRYPTION_KEYS"]


def run(world: World, keys: str, *command: str) -> tuple[int, str, str]:
    before = world.stack.environ["ENCRYPTION_KEYS"]
    world.stack.environ["ENCRYPTION_KEYS"] = keys
    try:
        done = world.stack.run("keys", *command)
    finally:
        world.stack.environ["ENCRYPTION_KEYS"] = before
    return done.returncode, done.stdout, done.stderr


def test_the_command_says_what_it_did(world: World, old: str) -> None:
    world.bot(echo())
    assert run(world, f"{NEW},{old}", "list") == (
        0,
        "new  encrypts, 0 secrets\nk1  decrypts only, 2 secrets\n",
        "",
    )
    status, said, _ = run(world, f"{NEW},{old}", "rotate")
    assert status == 0
    assert said.splitlines() == [
        "whatsapp_accounts.accessToken: 1 encrypted again with new, 0 were already",
        "whatsapp_accounts.appSecret: 0 encrypted again with new, 0 were already",
        "openai_accounts.apiKey: 1 encrypted again with new, 0 were already",
        "Not in use any more: k1. Take it out of ENCRYPTION_KEYS and restart every process.",
    ]
    assert run(world, NEW, "list") == (0, "new  encrypts, 2 secrets\n", "")


def test_the_command_names_what_it_cannot_read_and_ends_with_1(world: World, old: str) -> None:
    world.bot(echo())
    lost = world.bot(echo())
    sealed = OLD_RING.encrypt("x", "elsewhere")
    accounts = world.store.database["whatsapp_accounts"]
    accounts.update_one({"botId": lost.bot_id}, {"$set": {"accessToken": sealed}})
    account = accounts.find_one({"botId": lost.bot_id})
    assert account is not None
    status, said, complaint = run(world, f"{NEW},{old}", "rotate")
    assert status == 1
    assert "whatsapp_accounts.accessToken: 1 encrypted again with new" in said
    assert "Not in use any more" not in said
    assert (
        f"FAILED whatsapp_accounts.accessToken of {account['_id']}: no key old in the key ring" in complaint
    )
    assert "keep every key until then" in complaint
    assert "old  MISSING from ENCRYPTION_KEYS, 1 secrets" in run(world, f"{NEW},{old}", "list")[1]


def goes_on(said: dict[str, list[str]]) -> None:
    wanted = sum(map(len, said.values())) + 5
    wait_until(lambda: sum(map(len, said.values())) >= wanted, "the talk goes on")


def test_workers_keep_sending_while_keys_rotate_and_then_the_old_key_goes(world: World, old: str) -> None:
    bots = [world.bot(echo()) for _ in range(4)]
    ring = f"{NEW},{old}"
    worker = world.stack.start_worker(ENCRYPTION_KEYS=ring)
    world.stack.start_web(ENCRYPTION_KEYS=ring)
    people = [(bot, bot.person()) for bot in bots for _ in range(3)]
    said: dict[str, list[str]] = {person: [] for _, person in people}
    enough = threading.Event()

    def talk() -> None:
        number = 0
        while not enough.is_set() and number < 400:
            bot, person = people[number % len(people)]
            words = f"message {number}"
            bot.say(person, words)
            said[person].append(words)
            number += 1
            bot.wait_for(person, len(said[person]))

    talking = threading.Thread(target=talk)
    talking.start()
    try:
        for turn in range(3):
            done = rotate_all(world.store, KeyRing.from_setting(ring))
            assert [failed for _, _, failed in done.values()] == [[], [], []]
            # Somebody saves with the older key, as a process that was not restarted would; the next run takes it.
            account = world.store.whatsapp_accounts.find(bots[turn].bot_id)
            assert account is not None
            late = KeyRing.from_setting(old).encrypt(SAMPLE_TOKEN, ACCESS_TOKEN.context(account["_id"]))
            fields = {"phoneNumberId": account["phoneNumberId"], "accessToken": late}
            world.store.whatsapp_accounts.save(
                bots[turn].bot_id, account["_id"], account.get("revision"), fields, is_new=False
            )
            goes_on(said)
        assert run(world, ring, "rotate")[0] == 0
    finally:
        enough.set()
        talking.join(60)
    assert sum(map(len, said.values())) > 10
    for bot, person in people:
        assert bot.wait_for(person, len(said[person])) == echoes(said[person])
    assert encrypted_with(world.store.database, "k1") == []

    # The old key is gone: a worker that never had it takes over.
    assert worker.stop() == 0
    world.stack.start_worker(ENCRYPTION_KEYS=NEW)
    for bot, person in people:
        bot.say(person, "with the new key")
        said[person].append("with the new key")
    for bot, person in people:
        assert bot.wait_for(person, len(said[person])) == echoes(said[person])
    for bot in bots:
        bot.check()
