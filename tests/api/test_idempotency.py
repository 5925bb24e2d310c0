"""Writes with an Idempotency-Key: done once, answered the same, whatever happens in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from common.clock import utc_now

if TYPE_CHECKING:
    from common.store.store import Store
    from tests.api.person import Answer, Person

KEY = "a-key-of-mine-1"


def _create(who: Person, name: str = "Shop", key: str = KEY) -> Answer:
    return who.post("/api/bots", {"name": name}, Idempotency_Key=key)


def _bots(who: Person) -> int:
    return len(who.get("/api/bots").json["items"])


def test_the_same_again_gets_the_same_answer(ann: Person) -> None:
    first, second = _create(ann), _create(ann)
    assert (first.status, second.status) == (201, 201)
    assert first.json == second.json
    assert "Idempotent-Replayed" not in first.headers
    assert second.headers["Idempotent-Replayed"] == "true"
    assert _bots(ann) == 1


def test_without_a_key_it_is_done_again(ann: Person) -> None:
    assert [ann.post("/api/bots", {"name": "Shop"}).status for _ in range(2)] == [201, 201]
    assert _bots(ann) == 2


def test_many_at_once_make_one(ann: Person) -> None:
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: _create(ann), range(6)))
    assert _bots(ann) == 1
    assert {answer.code for answer in answers if answer.status != 201} <= {"still_running"}
    assert len({answer.json["id"] for answer in answers if answer.status == 201}) == 1
    assert _create(ann).status == 201, "and whoever was told to wait gets the answer later"


def test_a_key_is_of_one_request_and_of_one_user(ann: Person, bob: Person) -> None:
    assert _create(ann).status == 201
    other = _create(ann, "Another")
    assert (other.status, other.code) == (422, "idempotency_key_reused")
    assert _create(bob).status == 201
    assert (_bots(ann), _bots(bob)) == (1, 1)


def test_a_refused_request_leaves_the_key_free(ann: Person) -> None:
    refused = ann.post("/api/bots", {"name": ""}, Idempotency_Key=KEY)
    assert refused.status == 422
    assert _create(ann).status == 201


def test_a_request_that_was_cut_off_is_done_once(ann: Person, store: Store) -> None:
    """Its process died after the bot was made and before that was written down: the repetition finds the bot."""
    made = _create(ann)
    keys = store.database["idempotency_keys"]
    keys.update_one({}, {"$unset": {"answer": "", "status": ""}})
    still = _create(ann)
    assert (still.status, still.code) == (409, "still_running")
    keys.update_one({}, {"$set": {"startedAt": utc_now() - timedelta(minutes=2)}})
    again = _create(ann)
    assert (again.status, again.json["id"]) == (201, made.json["id"])
    assert _bots(ann) == 1


@pytest.mark.parametrize("key", ["short", "x" * 201, "with blanks in it", "ümlaut-in-the-key"])
def test_a_key_that_is_none(ann: Person, key: str) -> None:
    answer = _create(ann, key=key)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert _bots(ann) == 0
