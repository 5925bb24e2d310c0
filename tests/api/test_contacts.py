"""Contacts: looked up, handed out and deleted, each with all that is kept of them and nothing of anybody else's."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from api.takeover import takeover_of
from common.clock import utc_now
from common.model.contacts import Channel, Contact, alias_of_number, contact_id_for, lane_for
from common.store.contacts import upsert_contact
from tests.api.test_bots import BOTS, make
from tests.integration.store_setup import new_job

if TYPE_CHECKING:
    from common.store.store import Store
    from tests.api.person import Person

Json = dict[str, Any]


@pytest.fixture
def bot_id(ann: Person) -> str:
    bot_id: str = make(ann)["id"]
    return bot_id


def meet(store: Store, bot_id: str, number: str, name: str = "", **more: Any) -> str:
    """A contact with two conversations, messages, log, jobs and a timer; their id."""
    alias = alias_of_number(number)
    contact_id = contact_id_for(bot_id, alias)
    contact = Contact(contact_id, bot_id, (alias,), wa_id=number, profile_name=name, message_seq=4, **more)
    store.database["contacts"].bulk_write([upsert_contact(contact)])
    lane, now = lane_for(Channel.WHATSAPP, contact_id), utc_now()
    of_both = {"botId": bot_id, "contactId": contact_id, "lane": lane}
    for number_, is_open in ((1, False), (2, True)):
        session_id = f"{contact_id}-{number_}"
        store.database["sessions"].insert_one(
            {"_id": session_id, **of_both, "channel": "WHATSAPP", "isOpen": is_open, "isTest": False, "rev": 1,
             "status": "PAUSED" if is_open else "CLOSED", "createdAt": now, "resumeAt": now + timedelta(days=1),
             "lastMessage": f"said by {number}", "history": [], "flowId": "f", "flowVersionId": "v",
             "currentNodeId": "n", "wait": None}
        )  # fmt: skip
        store.database["session_variables"].insert_one(
            {"sessionId": session_id, "variableName": "email", "variableValue": f"{number}@x", "variableType": "STRING",
             "updatedAt": now}
        )  # fmt: skip
        cause = {"event": {"kind": "message", "text": f"log of {number}"}, "token": "canary-token"}
        store.database["execution_logs"].insert_many(
            [{"_id": f"{session_id}:{n}", "sessionId": session_id, "botId": bot_id, "turn": n, "place": 0, "nodeId": "n",
              "nodeType": "MESSAGE", "executedAt": now, "cause": json.dumps(cause)} for n in range(3)]
        )  # fmt: skip
        store.database["messages"].insert_many(
            [{"_id": f"{session_id}:{n}:0", "sessionId": session_id, **of_both, "seq": 2 * number_ + n, "direction": "OUT",
              "messageContent": f"for {number}", "status": "SENT", "wamid": f"wamid.{session_id}.{n}", "sentAt": now,
              "phoneNumberId": "999", "createdAt": now} for n in range(2)]
        )  # fmt: skip
    store.database["messages"].insert_one(
        {"_id": f"{contact_id}-0", "sessionId": None, **of_both, "seq": 1, "direction": "IN", "messageContent": number,
         "status": "RECEIVED", "sentAt": now, "createdAt": now}
    )  # fmt: skip
    jobs = [new_job(f"{contact_id}:{n}", lane) for n in range(2)]
    jobs.append(new_job(f"999:wamid.{contact_id}-1.0:sent", "st:999:1"))
    store.jobs.insert(jobs, now)
    store.database["jobs"].update_many({"_id": {"$regex": contact_id}}, {"$set": {"botId": bot_id}})
    store.lanes.wake([lane])
    return contact_id


def rows(store: Store, contact_id: str) -> dict[str, int]:
    """How many documents of each collection hold a contact's id, anywhere."""
    found = {}
    for name in store.database.list_collection_names():
        count = sum(contact_id in repr(document) for document in store.database[name].find())
        if count:
            found[name] = count
    return found


def test_contacts_are_listed_and_found(ann: Person, bot_id: str, store: Store) -> None:
    for number, name in (("4917011", "Ada Ü"), ("4917022", "ada"), ("4366099", "Zoe")):
        meet(store, bot_id, number, name)
    until = utc_now() + timedelta(hours=1)
    paused = meet(store, bot_id, "4917033", "Bo", bot_paused_at=utc_now(), paused_until=until)
    other = make(ann, "other")["id"]
    meet(store, other, "4917044", "Ada elsewhere")

    def numbers(**query: Any) -> list[str]:
        return [each["phoneNumber"] for each in ann.get(f"{BOTS}/{bot_id}/contacts", **query).json["items"]]

    assert numbers() == ["4917033", "4366099", "4917022", "4917011"]
    assert numbers(phone="+49 170") == ["4917011", "4917022", "4917033"]
    assert numbers(name="ADA") == ["4917022", "4917011"]
    assert numbers(name="ada ü", phone="49") == ["4917011"]
    assert numbers(paused="true") == ["4917033"]
    assert numbers(paused="false", phone="49") == ["4917011", "4917022"]
    assert numbers(phone="170") == numbers(name=".") == []
    first = ann.get(f"{BOTS}/{bot_id}/contacts", limit=3).json
    assert numbers(limit=3, cursor=first["nextCursor"]) == ["4917011"]
    shown = ann.get(f"{BOTS}/{bot_id}/contacts/{paused}").json
    assert (shown["isBotPaused"], shown["name"], shown["messageCount"]) == (True, "Bo", 4)
    assert ann.get(f"{BOTS}/{other}/contacts/{paused}").status == 404


def test_a_pause_that_has_run_out_is_none(ann: Person, bot_id: str, store: Store) -> None:
    """It stays stored until the next turn."""
    now = utc_now()
    for number, minutes in (("4917011", -1), ("4917022", 1)):
        until = now + timedelta(minutes=minutes)
        meet(store, bot_id, number, bot_paused_at=now - timedelta(hours=1), paused_until=until)
    meet(store, bot_id, "4917033", bot_paused_at=now - timedelta(hours=2))
    meet(store, bot_id, "4917044")

    def listed(paused: str) -> dict[str, Any]:
        items = ann.get(f"{BOTS}/{bot_id}/contacts", paused=paused).json["items"]
        return {each["phoneNumber"]: (each["isBotPaused"], each["botPausedAt"] is not None) for each in items}

    assert listed("true") == {"4917022": (True, True), "4917033": (True, True)}
    assert listed("false") == {"4917044": (False, False), "4917011": (False, False)}
    first = ann.get(f"{BOTS}/{bot_id}/contacts", paused="true", limit=1).json
    (second,) = ann.get(f"{BOTS}/{bot_id}/contacts", paused="true", cursor=first["nextCursor"]).json["items"]
    assert (first["items"][0]["phoneNumber"], second["phoneNumber"]) == ("4917022", "4917033")
    over = takeover_of("c", store.database["contacts"].find_one({"waId": "4917011"}))
    assert (over["isPaused"], over["pausedAt"], over["pausedUntil"]) == (False, None, None)


def test_a_tester_is_no_customer(ann: Person, bot_id: str, store: Store) -> None:
    contact_id = meet(store, bot_id, "4917011")
    store.database["contacts"].update_one({"_id": contact_id}, {"$set": {"isTest": True}})
    assert ann.get(f"{BOTS}/{bot_id}/contacts").json["items"] == []


def test_all_of_one_contact_is_exported(ann: Person, bot_id: str, store: Store) -> None:
    contact_id = meet(store, bot_id, "4917011", "Ada")
    meet(store, bot_id, "4917022", "Bo")
    # More than is read at a time.
    store.database["execution_logs"].insert_many(
        [{"_id": f"more-{n}", "sessionId": f"{contact_id}-2", "botId": bot_id, "turn": 10 + n // 3, "place": n % 3,
          "nodeId": "n", "nodeType": "MESSAGE", "executedAt": utc_now()} for n in range(1_203)]
    )  # fmt: skip
    answer = ann.get(f"{BOTS}/{bot_id}/contacts/{contact_id}/export")
    assert answer.status == 200
    assert f'filename="contact-{contact_id}.json"' in answer.headers["Content-Disposition"]
    file = answer.json
    assert file["contact"]["waId"] == "4917011"
    assert [session["id"] for session in file["sessions"]] == [f"{contact_id}-2", f"{contact_id}-1"]
    steps = [(step["turn"], step["place"]) for step in file["sessions"][0]["steps"]]
    assert len(steps) == 1_206
    assert steps == sorted(set(steps))
    assert file["sessions"][1]["variables"][0]["variableValue"] == "4917011@x"
    assert [message["messageContent"] for message in file["messages"]] == ["4917011", *["for 4917011"] * 4]
    text = json.dumps(file)
    assert "log of 4917011" in text
    assert "canary-token" not in text
    assert "4917022" not in text
    (entry,) = store.database["audit_logs"].find({"action": "contact.exported"})
    assert entry["targetId"] == contact_id
    assert "4917011" not in repr(entry), "the log of who did what holds no number"


def test_all_of_one_contact_is_deleted_and_nobody_elses(ann: Person, bot_id: str, store: Store) -> None:
    contact_id, other = meet(store, bot_id, "4917011", "Ada"), meet(store, bot_id, "4917022", "Bo")
    before = rows(store, other)
    assert set(rows(store, contact_id)) == {
        "contacts", "execution_logs", "jobs", "lanes", "messages", "session_variables", "sessions"
    }  # fmt: skip
    assert ann.delete(f"{BOTS}/{bot_id}/contacts/{contact_id}").status == 204
    assert rows(store, contact_id) == {"audit_logs": 1}
    assert rows(store, other) == before
    assert ann.get(f"{BOTS}/{bot_id}/contacts/{contact_id}").status == 404
    assert ann.delete(f"{BOTS}/{bot_id}/contacts/{contact_id}").status == 404
    assert store.deletions.pending() == 0


def test_what_takes_long_goes_on_in_the_background(
    ann: Person, bot_id: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    contact_id = meet(store, bot_id, "4917011", "Ada")
    monkeypatch.setattr("api.routes.contacts._PATIENCE_SECONDS", 0.0)
    assert ann.delete(f"{BOTS}/{bot_id}/contacts/{contact_id}").status == 202
    assert store.deletions.pending() == 1
    tombstone = store.deletions.claim(30)
    assert tombstone is not None
    for _ in store.deletions.work(tombstone, lease_seconds=30, settle_seconds=1):
        pass
    assert rows(store, contact_id) == {"audit_logs": 1}


def test_a_stranger_neither_sees_nor_deletes(ann: Person, bob: Person, bot_id: str, store: Store) -> None:
    contact_id = meet(store, bot_id, "4917011", "Ada")
    his = make(bob, "his")["id"]
    before = rows(store, contact_id)
    for bot in (bot_id, his):
        path = f"{BOTS}/{bot}/contacts/{contact_id}"
        assert [bob.get(path).status, bob.get(f"{path}/export").status, bob.delete(path).status] == [404] * 3
    assert rows(store, contact_id) == before
