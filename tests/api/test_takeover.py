"""A person takes over, gives back, closes: what is answered, what follows, and what happens when no worker is there."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from common.model.contacts import contact_id_for
from tests.api.talks import Talks, at, ok, sessions_of, talking
from tests.api.victim import give_everything
from tests.support.flows import ask, echo, end, flow, say, wait
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo.database import Database

    from tests.api.person import Person
    from tests.support.world import Bot, Json


@pytest.fixture(scope="module")
def talks(mongo_uri: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talks]:
    with talking(mongo_uri, tmp_path_factory.mktemp("takeover")) as talks:
        yield talks


def contact_at(bot: Bot, session: Json, rest: str) -> str:
    return f"/api/bots/{bot.bot_id}/contacts/{session['contactId']}{rest}"


def actions(talks: Talks, bot: Bot) -> list[str]:
    """What the audit log says was done to this bot."""
    return [entry["action"] for entry in talks.world.store.database["audit_logs"].find({"botId": bot.bot_id})]


def begun(talks: Talks, flow_data: Json | None = None) -> tuple[Bot, str, Person, Json]:
    """A bot, somebody who has written to it once, its owner, and the session."""
    bot = talks.world.bot(flow_data or echo())
    person, owner = bot.person(), talks.owner(bot)
    bot.say(person, "a")
    bot.wait_for(person, 1)
    bot.drain()
    return bot, person, owner, sessions_of(owner, bot)[0]


def test_close_is_done_when_it_is_answered(talks: Talks) -> None:
    bot, person, owner, session = begun(talks)
    started = time.monotonic()
    answer = ok(owner.post(at(bot, session, "/close"))).json
    assert time.monotonic() - started < 1.5, "the worker was not waited for in vain"
    assert (answer["control"]["state"], answer["control"]["outcome"]) == ("DONE", "APPLIED")
    assert (answer["session"]["status"], answer["session"]["isOpen"]) == ("CLOSED", False)
    again = ok(owner.post(at(bot, session, "/close"))).json
    assert again["control"]["outcome"] == "UNCHANGED"
    bot.say(person, "b")
    bot.wait_for(person, 2)
    bot.check()
    assert bot.texts(person) == ["1:a", "1:b"]
    assert actions(talks, bot) == ["session.closed", "session.closed"]
    newer = sessions_of(owner, bot)[0]
    assert ok(owner.post(at(bot, session, "/close"))).json["control"]["outcome"] == "UNCHANGED"
    assert ok(owner.get(at(bot, newer))).json["isOpen"], "a later one is not meant"


def test_closed_by_many_at_once_it_is_closed_once(talks: Talks) -> None:
    bot, _, owner, session = begun(talks)
    outcomes: list[str] = []

    def close() -> None:
        answer = owner.post(at(bot, session, "/close"))
        assert answer.status in (200, 202), answer.text  # 202: enough others are waiting already
        control = answer.json.get("control", answer.json)
        path = f"/api/bots/{bot.bot_id}/controls/{control['id']}"
        wait_until(lambda: owner.get(path).json["state"] == "DONE", "it is decided")
        outcomes.append(owner.get(path).json["outcome"])

    threads = [threading.Thread(target=close) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["APPLIED", *["UNCHANGED"] * 5]
    bot.check()


def test_repeated_with_its_key_it_is_the_same_control(talks: Talks) -> None:
    bot, _, owner, session = begun(talks)
    first, second = (
        owner.post(at(bot, session, "/close"), Idempotency_Key="close-once-please") for _ in range(2)
    )
    assert ok(first).json == ok(second).json
    assert len(bot.find("jobs", kind="CONTROL")) == 1


def test_reset_of_a_test_sets_its_clock_back(talks: Talks) -> None:
    bot = talks.world.bot(echo())
    owner, tester = talks.owner(bot), talks.tester(bot, echo())
    tester.say("a")
    tester.wait_for("1:a")
    session = tester.session()["_id"]
    answer = ok(owner.post(at(bot, session, "/reset"))).json
    assert answer["session"]["status"] == "CLOSED"
    tester.say("b")
    tester.wait_for("1:a", "1:b")


def test_a_person_takes_over_and_gives_back(talks: Talks) -> None:
    bot, person, owner, session = begun(talks)
    paused = ok(owner.post(contact_at(bot, session, "/pause"), {})).json["contact"]
    assert (paused["isPaused"], paused["pausedUntil"], paused["pausedBy"]) == (True, None, owner.user_id)
    assert paused["pausedAt"]
    bot.say(person, "b")
    bot.drain()
    assert bot.texts(person) == ["1:a"], "the bot is silent"
    assert ok(owner.get(at(bot, session))).json["contact"]["isPaused"]
    said = ok(owner.get(at(bot, session, "/messages"))).json["items"]
    assert (said[-1]["text"], said[-1]["note"]) == ("b", "bot_paused")
    back = ok(owner.post(contact_at(bot, session, "/resume"))).json
    assert (back["contact"]["isPaused"], back["contact"]["pausedAt"]) == (False, None)
    assert ok(owner.post(contact_at(bot, session, "/resume"))).json["control"]["outcome"] == "UNCHANGED"
    bot.say(person, "c")
    bot.wait_for(person, 2)
    bot.check()
    assert bot.texts(person) == ["1:a", "2:c"]
    assert actions(talks, bot) == ["contact.paused", "contact.resumed", "contact.resumed"]


def test_a_pause_for_some_minutes_says_until_when(talks: Talks) -> None:
    bot, _, owner, session = begun(talks)
    paused = ok(owner.post(contact_at(bot, session, "/pause"), {"minutes": 30})).json["contact"]
    assert paused["isPaused"]
    assert paused["pausedUntil"] > paused["pausedAt"]
    for minutes in (0, -1, 10**9, "soon", 1.5):
        answer = owner.post(contact_at(bot, session, "/pause"), {"minutes": minutes})
        assert (answer.status, list(answer.fields)) == (422, ["minutes"]), minutes


def test_taking_over_before_anybody_has_written(talks: Talks) -> None:
    bot = talks.world.bot(echo())
    person, owner = bot.person(), talks.owner(bot)
    written = f"+{person[:2]} ({person[2:5]}) {person[5:]}"
    answer = ok(owner.post(f"/api/bots/{bot.bot_id}/pauses", {"phoneNumber": written})).json
    assert answer["contact"]["contactId"] == contact_id_for(bot.bot_id, f"wa:{person}")
    assert answer["contact"]["isPaused"]
    bot.say(person, "hi")
    bot.drain()
    assert bot.texts(person) == []
    assert sessions_of(owner, bot) == []
    contact = answer["contact"]["contactId"]
    ok(owner.post(f"/api/bots/{bot.bot_id}/contacts/{contact}/resume"))
    bot.say(person, "hi")
    bot.wait_for(person, 1)
    bot.check()
    for number in ("", "0170 123", "twelve", "+49" + "1" * 20, None, 5):
        answer = owner.post(f"/api/bots/{bot.bot_id}/pauses", {"phoneNumber": number})
        assert answer.status == 422, number


def test_a_number_that_is_known_under_another_id_is_found(talks: Talks) -> None:
    """Somebody who was first seen under a business-scoped id has a contact of another id."""
    bot, person, owner, session = begun(talks)
    contacts = talks.world.store.database["contacts"]
    stored = contacts.find_one({"_id": session["contactId"]})
    assert stored is not None
    known = stored["aliases"]
    other = bot.person()
    contacts.update_one({"_id": session["contactId"]}, {"$set": {"aliases": [*known, f"wa:{other}"]}})
    answer = ok(owner.post(f"/api/bots/{bot.bot_id}/pauses", {"phoneNumber": other})).json
    assert answer["contact"]["contactId"] == session["contactId"]
    bot.say(person, "b")
    bot.drain()
    assert bot.texts(person) == ["1:a"]


def test_a_timer_waits_for_the_bot(talks: Talks) -> None:
    nodes = {"begin": say("wait"), "wait": wait(0.5), "done": ask("done?"), "end": end()}
    edges = "start > begin, begin > wait, wait > done, done.success > end, done.failure > end"
    bot = talks.world.bot(flow(nodes, edges))
    person, owner = bot.person(), talks.owner(bot)
    bot.say(person, "a")
    bot.wait_for(person, 1)
    session = sessions_of(owner, bot)[0]
    ok(owner.post(contact_at(bot, session, "/pause"), {}))
    shown = ok(owner.get(at(bot, session))).json
    assert shown["waitsFor"]["kind"] == "TIME"
    ok(owner.post(contact_at(bot, session, "/resume")))
    bot.wait_for(person, 2)
    bot.check()


def test_somebody_elses_conversation_is_left_alone(talks: Talks) -> None:
    bot, _, owner, session = begun(talks)
    others, _, stranger, _ = begun(talks)
    before = bot.find("jobs"), bot.find("contacts")
    for path in (
        at(bot, session, "/close"),
        at(others, session, "/close"),
        contact_at(others, session, "/resume"),
    ):
        assert stranger.post(path).code == "not_found", path
    assert stranger.post(contact_at(bot, session, "/pause"), {}).code == "not_found"
    assert talks.admin().post(contact_at(bot, session, "/pause"), {}).status == 403
    assert (bot.find("jobs"), bot.find("contacts")) == before
    control = ok(owner.post(at(bot, session, "/close"))).json["control"]["id"]
    assert ok(owner.get(f"/api/bots/{bot.bot_id}/controls/{control}")).json["outcome"] == "APPLIED"
    assert stranger.get(f"/api/bots/{others.bot_id}/controls/{control}").code == "not_found"
    message = bot.find("jobs", kind="MESSAGE")[0]["_id"].replace("=", "")
    assert owner.get(f"/api/bots/{bot.bot_id}/controls/{message[:150].replace('/', '')}").code == "not_found"


# Without a worker


def test_without_a_worker_it_waits_and_says_so(
    ann: Person, database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.control.WAIT_SECONDS", 0.1)
    ids = give_everything(database, ann)
    prefix = f"/api/bots/{ids['bot_id']}"
    answer = ann.post(f"{prefix}/sessions/{ids['session_id']}/close")
    assert answer.status == 202
    control = answer.json["control"]
    assert (control["state"], control["outcome"], answer.json["session"]["isOpen"]) == ("WAITING", None, True)
    lane = database["lanes"].find_one({"_id": f"wa:{ids['contact_id']}"})
    assert lane is not None
    assert lane["dueAt"], "the lane is awake"
    shown = ok(ann.get(f"{prefix}/controls/{control['id']}")).json
    assert shown["state"] == "WAITING"
    ends = {
        "REFUSED": {"state": "DONE", "outcome": "refused", "outcomeReason": "No."},
        "APPLIED": {"state": "DONE", "outcome": "applied"},
    }
    for outcome, fields in ends.items():
        database["jobs"].update_one({"_id": control["id"]}, {"$set": fields})
        assert ok(ann.get(f"{prefix}/controls/{control['id']}")).json["outcome"] == outcome


def test_a_control_whose_worker_failed_says_so(ann: Person, database: Database[dict[str, Any]]) -> None:
    ids = give_everything(database, ann)
    jobs, stop = database["jobs"], threading.Event()

    def fail_all() -> None:
        while not stop.is_set():
            jobs.update_many({"kind": "CONTROL", "state": "PENDING"}, {"$set": {"state": "DEAD"}})
            stop.wait(0.02)

    thread = threading.Thread(target=fail_all)
    thread.start()
    try:
        answer = ann.post(f"/api/bots/{ids['bot_id']}/sessions/{ids['session_id']}/close")
    finally:
        stop.set()
        thread.join()
    assert (answer.status, answer.code) == (409, "control_refused")
    assert "failed" in answer.json["error"]["message"]
