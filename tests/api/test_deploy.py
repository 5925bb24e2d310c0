"""Deploys over HTTP: what goes live and what is kept, what stands in the way, and what becomes of conversations."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from api.deploying import plan_for
from api.flow_validation import validate_flow
from common.clock import utc_now
from common.errors import StoreUnavailable
from common.ids import new_ulid
from common.store import flow_versions
from common.store.audit import Audit
from tests.api.deploy_setup import Flow, broken, make_bot, make_flow, simple
from tests.support.flows import end, flow, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from common.store.store import Store
    from tests.api.person import Answer, Person


@pytest.fixture
def menu(ann: Person, store: Store) -> Flow:
    """A flow of a connected bot; nothing is live."""
    return make_flow(ann, store, make_bot(ann, store), "Menu")


def two_versions(menu: Flow) -> tuple[str, str]:
    """Deploys the draft, changes it and deploys it again; the two versions."""
    first = menu.deploy().json["version"]["id"]
    menu.save(simple("good morning"))
    return first, menu.deploy().json["version"]["id"]


# Going live


def test_the_draft_goes_live_as_a_version_that_never_changes(menu: Flow) -> None:
    before = menu.bot()["configRevision"]
    answer = menu.deploy(note="first")
    assert answer.status == 200, answer.text
    version = answer.json["version"]
    assert (version["isProduction"], version["note"], version["revision"]) == (True, "first", 1)
    assert (version["deployedBy"], version["copyOf"]) == ("ann@example.com", None)
    assert answer.json["replacedVersionId"] is None
    stored = menu.live()
    assert stored is not None
    assert stored["_id"] == version["id"]
    assert (stored["isDraft"], stored["draftRevision"], stored["botId"]) == (False, 1, menu.bot_id)
    assert menu.bot()["configRevision"] == before + 1
    assert menu.bot()["activeFlowId"] == menu.flow_id, "the bot's first live flow is its default one"
    menu.save(simple("something else"))
    assert menu.live() == stored, "a save changes nothing that is live"
    (entry,) = menu.audited("flow.deployed")
    assert (entry["detail"]["versionId"], entry["detail"]["note"]) == (version["id"], "first")


def test_the_version_that_was_live_is_kept(menu: Flow) -> None:
    first, second = two_versions(menu)
    old, new = menu.versions()
    assert (old["_id"], old["isProduction"], new["_id"], new["isProduction"]) == (first, False, second, True)
    assert new["versionNumber"] > old["versionNumber"]
    assert old["flowData"]["nodes"][1]["config"]["messageContent"] == "hello"
    assert old["retiredAt"] == new["deployedAt"]
    other = make_flow(menu.person, menu.store, menu.bot_id, "Other")
    other.deploy()
    assert menu.bot()["activeFlowId"] == menu.flow_id, "a second flow does not become the default one"


def test_a_flow_takes_over_from_a_default_flow_that_is_offline(menu: Flow) -> None:
    menu.deploy()
    assert menu.person.post(f"{menu.path}/undeploy").status == 200
    other = make_flow(menu.person, menu.store, menu.bot_id, "Other")
    other.deploy()
    assert menu.bot()["activeFlowId"] == other.flow_id
    assert menu.roll_back().status == 200
    assert menu.bot()["activeFlowId"] == other.flow_id, "the default flow is live, so it stays"


def test_a_flow_takes_over_from_a_default_flow_that_never_was_live(menu: Flow) -> None:
    """As an import leaves it: it says which flow is the default one, and nothing is live."""
    other = make_flow(menu.person, menu.store, menu.bot_id, "Other")
    menu.store.database["bots"].update_one({"_id": menu.bot_id}, {"$set": {"activeFlowId": other.flow_id}})
    menu.deploy()
    assert menu.bot()["activeFlowId"] == menu.flow_id
    other.deploy()
    assert menu.bot()["activeFlowId"] == menu.flow_id


def test_what_was_saved_since_is_not_deployed(menu: Flow) -> None:
    seen = menu.revision
    menu.save(simple("later"))
    answer = menu.deploy(revision=seen)
    assert (answer.status, answer.code) == (409, "revision_conflict")
    assert (answer.fields["revision"], answer.fields["savedBy"]) == (seen + 1, "ann@example.com")
    assert menu.live() is None


def test_the_same_state_is_not_deployed_twice(menu: Flow) -> None:
    menu.deploy()
    answer = menu.deploy()
    assert (answer.status, answer.code) == (409, "conflict")
    assert "live already" in answer.text
    assert len(menu.versions()) == 1


def test_an_idempotency_key_makes_one_deploy_of_two_requests(menu: Flow) -> None:
    key = {"Idempotency_Key": new_ulid()}
    one, other = menu.deploy(key), menu.deploy(key)
    assert (one.status, other.status) == (200, 200)
    assert one.json == other.json
    assert len(menu.versions()) == 1
    assert len(menu.audited("flow.deployed")) == 1


def test_a_deploy_whose_answer_was_lost_is_answered_when_it_is_repeated(menu: Flow) -> None:
    key, revision = {"Idempotency_Key": new_ulid()}, menu.revision
    made = menu.deploy(key, revision=revision)
    lose_answers(menu)
    menu.store.deployments.lock(menu.bot_id, None, reason="x", by=menu.person.user_id, until=None)
    menu.save(broken())
    again = menu.deploy(key, revision=revision)
    assert again.status == 200, again.text
    assert again.json["version"] == made.json["version"]
    assert again.json["replacedVersionId"] is made.json["replacedVersionId"] is None
    assert again.json["issues"] == made.json["issues"], "of what went live, not of what is in the draft now"
    assert len(menu.versions()) == len(menu.audited("flow.deployed")) == 1


def test_a_rollback_whose_answer_was_lost_is_answered_when_it_is_repeated(menu: Flow) -> None:
    two_versions(menu)
    key = {"Idempotency_Key": new_ulid()}
    made = menu.person.post(f"{menu.path}/rollback", {}, **key)
    lose_answers(menu)
    menu.store.deployments.lock(menu.bot_id, None, reason="x", by=menu.person.user_id, until=None)
    again = menu.person.post(f"{menu.path}/rollback", {}, **key)
    assert again.status == 200, again.text
    assert again.json["version"] == made.json["version"], "not one step further back"
    assert len(menu.versions()) == 3
    assert len(menu.audited("flow.rolled_back")) == 1


def lose_answers(menu: Flow) -> None:
    """As a process leaves it that dies between the commit and the answer, more than a minute ago."""
    long_ago = utc_now() - timedelta(minutes=2)
    menu.store.database["idempotency_keys"].update_many(
        {}, {"$unset": {"answer": "", "status": ""}, "$set": {"startedAt": long_ago}}
    )


def together(calls: list[Any]) -> list[Answer]:
    """What each of these answers, all called at the same moment."""
    gate, answers = threading.Barrier(len(calls)), []

    def run(call: Any) -> None:
        gate.wait(10)
        answers.append(call())

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers


@pytest.mark.parametrize("running", ["FINISH_ON_OLD", "RESTART_ON_NEW"])
def test_of_two_deploys_at_once_one_wins(menu: Flow, running: str) -> None:
    revision = menu.revision
    deploy = lambda: menu.deploy(revision=revision, runningConversations=running)  # noqa: E731 - several times
    answers = together([deploy] * 4)
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    assert len(menu.versions()) == 1


def test_a_deploy_and_a_save_at_once_never_mix(menu: Flow) -> None:
    for number in range(5):
        menu.save(simple(f"state {number}"))
        revision = menu.revision
        answers: list[Answer] = []
        together(
            [
                lambda at=revision, to=answers: to.append(menu.deploy(revision=at)),
                lambda text=f"later {number}": menu.save(simple(text)),
            ]
        )
        (answer,), live = answers, menu.live()
        if answer.status == 200:
            assert live is not None
            assert live["flowData"]["nodes"][1]["config"]["messageContent"] == f"state {number}"
            assert live["draftRevision"] == revision
        else:
            assert answer.code == "revision_conflict"


def test_a_save_while_the_draft_is_checked_counts(menu: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    def save_meanwhile(*given: Any) -> Any:
        menu.save(simple("meanwhile"))
        return validate_flow(*given)

    monkeypatch.setattr("api.deploying.validate_flow", save_meanwhile)
    assert menu.deploy().code == "revision_conflict"
    assert menu.versions() == []


def test_a_deploy_that_was_decided_on_before_another_one_is_refused(menu: Flow) -> None:
    first, second = two_versions(menu)
    menu.save(simple("third"))
    answer = menu.deploy(liveVersionId=first)
    assert (answer.status, answer.code) == (409, "conflict")
    assert answer.fields["liveVersionId"] == second
    assert menu.deploy(liveVersionId=None).status == 409
    assert menu.deploy(liveVersionId=second).status == 200


# What stands in the way


def test_what_has_errors_does_not_go_live(ann: Person, store: Store) -> None:
    bad = make_flow(ann, store, make_bot(ann, store), "Bad", broken())
    answer = bad.deploy()
    assert (answer.status, answer.code) == (409, "not_deployable")
    (precondition,) = answer.fields["preconditions"]
    assert (precondition["name"], precondition["isMet"]) == ("VALIDATION", False)
    assert answer.fields["issues"]
    assert {issue["severity"] for issue in answer.fields["issues"]} == {"ERROR"}
    assert answer.fields["issues"][0]["nodeId"] == "ask"
    assert bad.versions() == []
    assert bad.plan()["isDeployable"] is False


def test_of_very_many_errors_the_first_are_told(menu: Flow) -> None:
    assert menu.deploy().json["moreIssues"] == 0
    nodes = [{"nodeId": f"m{number}", "nodeType": "MESSAGE", "config": {}} for number in range(600)]
    menu.save({"nodes": nodes, "edges": []})
    fields = menu.deploy().fields
    assert len(fields["issues"]) == 500
    assert fields["moreIssues"] == menu.plan()["errorCount"] - 500 > 0


def test_a_bot_without_whatsapp_cannot_go_live(ann: Person, store: Store) -> None:
    flow_ = make_flow(ann, store, make_bot(ann, store, connected=False))
    answer = flow_.deploy()
    assert (answer.status, answer.code) == (409, "not_deployable")
    assert "WHATSAPP" in [one["name"] for one in answer.fields["preconditions"]]
    assert flow_.versions() == []


def test_a_bot_whose_number_is_stopped_cannot_deploy_but_can_go_back(menu: Flow) -> None:
    first, _ = two_versions(menu)
    menu.store.bots.stop_sending(menu.bot_id, "token revoked")
    menu.save(simple("third"))
    assert menu.deploy().code == "not_deployable"
    assert menu.roll_back(versionId=first).status == 200


@pytest.mark.parametrize("whole_bot", [True, False])
def test_a_lock_holds_until_it_is_taken_off(menu: Flow, *, whole_bot: bool) -> None:
    menu.deploy()
    menu.save(simple("new"))
    path = f"/api/bots/{menu.bot_id}" if whole_bot else menu.path
    lock = menu.person.post(f"{path}/deploy-lock", {"reason": "Christmas"})
    assert lock.status == 200, lock.text
    assert (lock.json["reason"], lock.json["by"], lock.json["until"]) == (
        "Christmas",
        "ann@example.com",
        None,
    )
    assert lock.json["flowId"] == (None if whole_bot else menu.flow_id)
    for answer in (menu.deploy(), menu.roll_back(), menu.person.post(f"{menu.path}/undeploy")):
        assert answer.status == 409
        if answer.code != "conflict":  # nothing to go back to
            assert (answer.code, answer.fields["reason"]) == ("deploy_locked", "Christmas")
    assert [one["name"] for one in menu.plan()["preconditions"] if not one["isMet"]] == ["LOCK"]
    assert menu.person.delete(f"{path}/deploy-lock").status == 204
    assert menu.person.delete(f"{path}/deploy-lock").status == 204
    assert menu.deploy().status == 200
    assert len(menu.audited("flow.deploy_locked")) == 1


def test_a_lock_that_comes_during_a_deploy_counts(menu: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is looked at inside the transaction, not only before."""
    inside = flow_versions.next_number

    def lock_meanwhile(*given: Any) -> int:
        flow_ = menu.store.flows.find(menu.bot_id, menu.flow_id)
        if flow_ is not None and "deployLock" not in flow_:
            menu.store.deployments.lock(menu.bot_id, menu.flow_id, reason="now", by="ann", until=None)
        return inside(*given)

    monkeypatch.setattr("common.store.deployments.next_number", lock_meanwhile)
    assert menu.deploy().code == "deploy_locked"
    assert menu.versions() == []


def meanwhile(monkeypatch: pytest.MonkeyPatch, change: Callable[[], object]) -> list[object]:
    """Let this happen after each check and before what was checked goes live; what it returned each time."""
    happened: list[object] = []

    def after_the_check(*given: Any) -> Any:
        happened.append(change())
        return plan_for(*given)

    monkeypatch.setattr("api.routes.deployments.plan_for", after_the_check)
    return happened


def test_whatsapp_that_goes_away_after_the_check_counts(menu: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    meanwhile(monkeypatch, lambda: menu.store.whatsapp_accounts.disconnect(menu.bot_id))
    answer = menu.deploy()
    assert (answer.status, answer.code) == (409, "not_deployable")
    assert "WHATSAPP" in [one["name"] for one in answer.fields["preconditions"]]
    assert (menu.versions(), menu.audited("flow.deployed")) == ([], [])


def test_a_bot_that_was_changed_after_the_check_is_checked_again(
    menu: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = iter([menu.store.bots.changed] * 2)
    happened = meanwhile(monkeypatch, lambda: next(changes, lambda _: None)(menu.bot_id))
    assert menu.deploy().status == 200
    assert len(happened) == 3


def test_a_bot_that_is_changed_all_the_time_is_not_waited_for(
    menu: Flow, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_versions(menu)
    menu.save(simple("third"))
    happened = meanwhile(monkeypatch, lambda: menu.store.bots.changed(menu.bot_id))
    answer = menu.deploy()
    assert (answer.status, answer.code) == (409, "conflict")
    assert "Try again" in answer.text
    assert (len(happened), len(menu.versions())) == (3, 2)
    assert menu.roll_back().status == 200, "going back relies on nothing around it"


# What is written down


@pytest.mark.parametrize("what", ["deploy", "rollback", "undeploy", "deploy-lock"])
def test_what_cannot_be_written_down_does_not_happen(
    menu: Flow, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    two_versions(menu)
    menu.save(simple("third"))
    logs, record = menu.store.database["audit_logs"], Audit.record

    def everything() -> tuple[object, ...]:
        flow_ = menu.store.flows.find(menu.bot_id, menu.flow_id)
        return menu.versions(), menu.bot(), flow_, list(logs.find().sort("_id", 1))

    def fail(*given: Any, **named: Any) -> None:
        record(*given, **named)
        raise StoreUnavailable("the audit log cannot be written")

    before = everything()

    monkeypatch.setattr(Audit, "record", fail)
    body = {"deploy": {"revision": menu.revision}, "rollback": {}, "deploy-lock": {"reason": "x"}}
    answer = menu.person.post(f"{menu.path}/{what}", body.get(what))
    assert answer.status >= 500
    assert everything() == before


@pytest.mark.parametrize("whole_bot", [True, False])
def test_a_lock_that_is_not_there_is_not_taken_off(menu: Flow, *, whole_bot: bool) -> None:
    path = f"/api/bots/{menu.bot_id}" if whole_bot else menu.path

    def unlocked() -> tuple[int, int]:
        status = menu.person.delete(f"{path}/deploy-lock").status
        return status, len(menu.audited("flow.deploy_unlocked"))

    assert unlocked() == (204, 0)
    menu.person.post(f"{path}/deploy-lock", {"reason": "x"})
    assert unlocked() == (204, 1)
    assert unlocked() == (204, 1)
    menu.person.post(f"{path}/deploy-lock", {"reason": "x"})
    menu.store.database["bots" if whole_bot else "flows"].update_one(
        {"_id": menu.bot_id if whole_bot else menu.flow_id},
        {"$set": {"deployLock.until": utc_now() - timedelta(seconds=1)}},
    )
    assert unlocked() == (204, 1), "it was over already"


def test_a_lock_ends_by_itself(menu: Flow) -> None:
    gone = (utc_now() - timedelta(hours=1)).isoformat()
    assert menu.person.post(f"{menu.path}/deploy-lock", {"reason": "x", "until": gone}).status == 422
    soon = (utc_now() + timedelta(hours=1)).isoformat()
    assert menu.person.post(f"{menu.path}/deploy-lock", {"reason": "x", "until": soon}).status == 200
    assert menu.deploy().code == "deploy_locked"
    menu.store.database["flows"].update_one(
        {"_id": menu.flow_id}, {"$set": {"deployLock.until": utc_now() - timedelta(seconds=1)}}
    )
    assert menu.deploy().status == 200


# Going back


def test_a_rollback_puts_a_copy_live_and_history_says_so(menu: Flow) -> None:
    first, second = two_versions(menu)
    answer = menu.roll_back(note="the new text was wrong")
    assert answer.status == 200, answer.text
    version = answer.json["version"]
    assert (version["copyOf"], version["rolledBackFrom"]) == (first, second)
    assert version["copyOfNumber"] == menu.versions()[0]["versionNumber"]
    assert answer.json["replacedVersionId"] == second
    old, middle, new = menu.versions()
    assert new["_id"] not in (old["_id"], middle["_id"])
    assert new["versionNumber"] > middle["versionNumber"]
    assert new["flowData"] == old["flowData"]
    assert [one["isProduction"] for one in (old, middle, new)] == [False, False, True]
    assert len(menu.audited("flow.rolled_back")) == 1
    draft = menu.store.flows.draft(menu.bot_id, menu.flow_id)
    assert draft is not None
    assert draft["flowData"]["nodes"][1]["config"]["messageContent"] == "good morning", "the draft stays"
    assert menu.deploy().status == 200, "what was rolled back can be deployed again"


def test_a_rollback_of_a_rollback_undoes_it(menu: Flow) -> None:
    first, second = two_versions(menu)
    assert menu.roll_back().json["version"]["copyOf"] == first
    again = menu.roll_back().json["version"]
    assert again["copyOf"] == second
    assert menu.roll_back(versionId=first).json["version"]["copyOf"] == first


def test_what_there_is_no_way_back_to(menu: Flow) -> None:
    assert menu.roll_back().status == 409, "nothing was ever live"
    live = menu.deploy().json["version"]["id"]
    assert menu.roll_back().status == 409, "nothing was live before"
    assert menu.roll_back(versionId=live).status == 409, "it is live"
    assert menu.roll_back(versionId=new_ulid()).code == "not_found"
    menu.store.flows.save_draft(
        menu.bot_id, menu.flow_id, simple("saved"), revision=1, by="ann", is_manual=True
    )
    saved = menu.store.database["flow_versions"].find_one({"flowId": menu.flow_id, "isDraft": True})
    assert saved is not None
    assert menu.roll_back(versionId=saved["_id"]).code == "not_found", "a saved state was never live"


def test_a_rollback_is_not_refused_because_of_what_surrounds_it(menu: Flow, store: Store) -> None:
    """A version was fine when it went live; a bot variable that is gone since is told, no more."""
    store.bots.ensure_variable(menu.bot_id, "shop", "Bakery")
    with_variable = simple("Welcome to {{shop}}")
    with_variable["variables"]["bot"] = ["shop"]
    menu.save(with_variable)
    assert menu.deploy().status == 200
    menu.save(simple("plain"))
    assert menu.deploy().status == 200
    store.database["bot_variables"].delete_many({"botId": menu.bot_id})
    plan = menu.plan(versionId=menu.versions()[0]["_id"])
    answer = menu.roll_back()
    assert answer.status == 200, answer.text
    assert any("shop" in issue["message"] for issue in answer.json["issues"])
    assert plan["isDeployable"] is True
    assert plan["errorCount"] + plan["warningCount"] == len(answer.json["issues"])


def test_a_version_that_cannot_run_is_not_gone_back_to(menu: Flow) -> None:
    two_versions(menu)
    menu.store.database["flow_versions"].update_one(
        {"_id": menu.versions()[0]["_id"]}, {"$set": {"flowData": broken()}}
    )
    answer = menu.roll_back()
    assert (answer.status, answer.code) == (409, "not_deployable")


# Going offline


def test_a_flow_goes_offline_and_can_come_back(menu: Flow) -> None:
    live = menu.deploy().json["version"]["id"]
    menu.stand(live, "ask", 2)
    answer = menu.person.post(f"{menu.path}/undeploy")
    assert answer.status == 200, answer.text
    assert (answer.json["version"]["id"], answer.json["version"]["isProduction"]) == (live, False)
    assert answer.json["conversations"] == 2
    assert menu.live() is None
    assert menu.person.post(f"{menu.path}/undeploy").code == "conflict"
    assert len(menu.audited("flow.undeployed")) == 1
    back = menu.roll_back()
    assert back.json["version"]["copyOf"] == live


def test_the_default_flow_stays_while_others_are_live(menu: Flow) -> None:
    menu.deploy()
    other = make_flow(menu.person, menu.store, menu.bot_id, "Other")
    other.deploy()
    answer = menu.person.post(f"{menu.path}/undeploy")
    assert (answer.status, answer.code) == (409, "conflict")
    assert menu.live() is not None
    assert other.person.post(f"{other.path}/undeploy").status == 200
    assert menu.person.post(f"{menu.path}/undeploy").status == 200


# Conversations under way


def test_the_plan_says_where_conversations_stand_and_what_becomes_of_them(menu: Flow) -> None:
    first, second = two_versions(menu)
    menu.stand(first, "ask", 3)
    menu.stand(second, "ask", 4)
    menu.stand(second, "hello", 1)
    menu.stand(second, "ask", 5, channel="SIMULATOR", isTest=True, runsFor=None)
    menu.stand(second, "end", 6, status="COMPLETED", runsFor=None)
    other = make_flow(menu.person, menu.store, menu.bot_id, "Other")
    other.stand("version-of-another-flow", "ask", 9)
    nodes = {"hello": say("good morning"), "end": end("bye")}
    menu.save(flow(nodes, "start > hello, hello > end"))
    plan = menu.plan()
    assert plan["conversations"] == 8
    assert [(one["versionId"], one["conversations"], one["isLive"]) for one in plan["versions"]] == [
        (second, 5, True),
        (first, 3, False),
    ]
    assert [
        (n["nodeId"], n["label"], n["conversations"], n["fate"]) for n in plan["versions"][0]["nodes"]
    ] == [
        ("ask", "ask", 4, "DISAPPEARS"),
        ("hello", "hello", 1, "CHANGED"),
    ]
    assert plan["onNodes"] == {"kept": 0, "changed": 1, "disappears": 7}
    assert plan["finishOnOld"] == {"finish": 8, "restart": 0}
    assert plan["restartOnNew"] == {"finish": 0, "restart": 8}
    assert (plan["liveVersionId"], plan["targetRevision"]) == (second, menu.revision)
    back = menu.plan(versionId=first)
    assert {n["nodeId"]: n["fate"] for n in back["versions"][0]["nodes"]} == {
        "ask": "KEPT",
        "hello": "CHANGED",
    }
    answer = menu.deploy(runningConversations="RESTART_ON_NEW")
    assert {key: answer.json[key] for key in ("conversations", "finish", "restart")} == {
        "conversations": 8,
        "finish": 0,
        "restart": 8,
    }


def test_restarts_add_up_over_a_chain_of_deploys(menu: Flow) -> None:
    versions = []
    for number, running in enumerate(["FINISH_ON_OLD", "FINISH_ON_OLD", "RESTART_ON_NEW", "FINISH_ON_OLD"]):
        menu.save(simple(f"version {number}"))
        versions.append(menu.deploy(runningConversations=running).json["version"])
        menu.stand(versions[-1]["id"], "ask", 1)
    stored = menu.store.flows.find(menu.bot_id, menu.flow_id)
    assert stored is not None
    up_to = stored["restartUpTo"]
    assert versions[1]["versionNumber"] <= up_to < versions[2]["versionNumber"]
    menu.save(simple("next"))
    plan = menu.plan()
    assert [one["restartsAnyway"] for one in plan["versions"]] == [False, False, True, True]
    assert plan["finishOnOld"] == {"finish": 2, "restart": 2}
    assert (
        menu.roll_back(versionId=versions[0]["id"], runningConversations="RESTART_ON_NEW").json["restart"]
        == 4
    )
    live = menu.live()
    again = menu.store.flows.find(menu.bot_id, menu.flow_id)
    assert live is not None
    assert again is not None
    assert again["restartUpTo"] == live["versionNumber"] - 1, "the copy has a number of its own"


def test_conversations_on_very_many_versions_are_all_counted(menu: Flow) -> None:
    for number in range(23):
        menu.store.deployments.put_live(menu.flow_id, simple(f"v{number}"), deployed_by=menu.person.user_id)
    for version in menu.versions():
        menu.stand(version["_id"], "ask", 2)
    plan = menu.plan()
    assert plan["conversations"] == 46
    assert len(plan["versions"]) == 20
    assert plan["conversationsOnOlderVersions"] == 6


# Who may


def test_administrators_see_the_plan_and_change_nothing(menu: Flow, admin: Person) -> None:
    assert admin.get(f"{menu.path}/deploy-plan").status == 200
    assert admin.post(f"{menu.path}/deploy", {"revision": 1}).status == 403
    assert admin.post(f"{menu.path}/rollback", {}).status == 403
    assert admin.post(f"{menu.path}/deploy-lock", {"reason": "x"}).status == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"revision": "1"},
        {"revision": 0},
        {"revision": 1, "runningConversations": "MOVE"},
        {"revision": 1, "note": "x" * 501},
        {"revision": 1, "isProduction": True},
        {"revision": {"$gt": 0}},
    ],
)
def test_bodies_that_are_not_as_they_must_be(menu: Flow, body: dict[str, Any]) -> None:
    answer = menu.person.post(f"{menu.path}/deploy", body)
    assert (answer.status, answer.code) == (422, "validation_failed")
    assert menu.versions() == []


def test_a_question_nobody_waits_for_anymore(menu: Flow) -> None:
    """A flow that goes away during the request is gone, and nothing of it stays."""
    menu.store.flows.delete(menu.bot_id, menu.flow_id)
    assert menu.person.post(f"{menu.path}/deploy", {"revision": 1}).code == "not_found"
    assert menu.person.get(f"{menu.path}/deploy-plan").code == "not_found"
