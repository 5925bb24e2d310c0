"""The history of a flow: looked at, noted, compared, brought back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.api.flow_setup import FlowPage, new_bot, new_flow, ok, with_message

if TYPE_CHECKING:
    from common.store.store import Store
    from tests.api.person import Person


@pytest.fixture
def flow(store: Store, ann: Person) -> FlowPage:
    return new_flow(store, ann, new_bot(store, ann))


def version(flow: FlowPage, version_id: str) -> dict[str, Any]:
    return ok(flow.person.get(f"{flow.path}/versions/{version_id}"))


def compared(flow: FlowPage, before: str, after: str) -> dict[str, Any]:
    return ok(flow.person.get(f"{flow.path}/compare", **{"from": before, "to": after}))


def test_versions_are_paged_from_the_newest_and_carry_no_flow(flow: FlowPage) -> None:
    for number in range(5):
        ok(flow.save(flow.data(f"v{number}"), kind="MANUAL", note=f"n{number}"))
    live = flow.put_live()
    seen: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = ok(flow.person.get(f"{flow.path}/versions", **query))
        seen += page["items"]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert [each["versionNumber"] for each in seen] == [6, 5, 4, 3, 2, 1]
    assert [each["note"] for each in seen] == ["out", "n4", "n3", "n2", "n1", "n0"]
    assert all("flowData" not in each for each in seen)
    assert seen[0]["id"] == live
    assert (seen[0]["isProduction"], seen[0]["isDraft"], seen[0]["deployedBy"]) == (
        True,
        False,
        flow.person.email,
    )
    assert seen[0]["deployedAt"] is not None
    assert {each["nodeCount"] for each in seen} == {len(flow.data()["nodes"])}
    assert [each["id"] for each in flow.versions(isDeployed="true")] == [live]
    assert len(flow.versions(isDeployed="false")) == 5


def test_a_version_from_before_there_were_figures_shows_them_too(store: Store, flow: FlowPage) -> None:
    live = flow.put_live()
    old = dict.fromkeys(("nodeCount", "contentHash", "botId", "createdBy", "revision", "note"), "")
    store.database["flow_versions"].update_one({"_id": live}, {"$unset": old})
    (shown,) = flow.versions()
    assert shown["nodeCount"] == len(flow.data()["nodes"])
    assert (shown["createdBy"], shown["note"], shown["revision"]) == (flow.person.email, "", None)
    assert version(flow, live)["flowData"]["nodes"] == flow.data()["nodes"]
    assert flow.show()["hasUnpublishedChanges"] is False


def test_a_note_is_changed_and_nothing_else(flow: FlowPage) -> None:
    version_id = ok(flow.save(flow.data("x"), kind="MANUAL"))["versionId"]
    before = version(flow, version_id)
    path = f"{flow.path}/versions/{version_id}"
    assert ok(flow.person.patch(path, {"note": "the good one"}))["note"] == "the good one"
    assert version(flow, version_id) == before | {"note": "the good one"}
    bad: list[Any] = [
        {"note": "x" * 501},
        {"note": None},
        {"flowData": {}},
        {"note": "x", "isProduction": True},
    ]
    for body in bad:
        assert flow.person.patch(path, body).status == 422
    assert version(flow, version_id)["note"] == "the good one"


def test_a_version_is_brought_back_and_what_was_there_is_kept(flow: FlowPage) -> None:
    first = ok(flow.save(flow.data("first"), kind="MANUAL"))
    wanted = flow.data()
    ok(flow.save(flow.data("not in the history")))
    restore = f"{flow.path}/versions/{first['versionId']}/restore"
    stale = flow.person.post(restore, {"revision": 2})
    assert (stale.status, stale.code) == (409, "revision_conflict")
    restored = ok(flow.person.post(restore, {"revision": 3}))
    assert restored["revision"] == 4
    assert flow.data() == wanted
    newest, kept, oldest = flow.versions()
    assert (newest["note"], kept["note"]) == ("Version 1 restored", "Before version 1 was restored")
    assert "not in the history" in str(version(flow, kept["id"])["flowData"])
    assert (newest["id"], oldest["id"]) == (restored["versionId"], first["versionId"])
    assert compared(flow, oldest["id"], "draft")["isSame"]


def test_bringing_back_what_is_there_only_says_so(flow: FlowPage) -> None:
    saved = ok(flow.save(flow.data("a"), kind="MANUAL"))
    restore = f"{flow.path}/versions/{saved['versionId']}/restore"
    again = ok(flow.person.post(restore, {"revision": 2, "note": "again"}))
    assert (again["revision"], again["hasChanged"]) == (2, False)
    assert [each["note"] for each in flow.versions()] == ["again", ""]


def test_what_is_live_does_not_move_when_a_version_is_restored(store: Store, flow: FlowPage) -> None:
    live = flow.put_live()
    saved = ok(flow.save(flow.data("new"), kind="MANUAL"))
    before = store.bots.revisions([flow.bot_id])
    ok(flow.person.post(f"{flow.path}/versions/{live}/restore", {"revision": saved["revision"]}))
    assert flow.show()["liveVersionId"] == live
    assert flow.show()["hasUnpublishedChanges"] is False
    assert store.bots.revisions([flow.bot_id]) == before


def test_a_saved_version_never_changes(flow: FlowPage) -> None:
    saved = ok(flow.save(flow.data("a"), kind="MANUAL"))
    before = version(flow, saved["versionId"])
    ok(flow.save(flow.data("b"), kind="MANUAL"))
    ok(flow.person.patch(flow.path, {"revision": 1, "name": "Other"}))
    assert version(flow, saved["versionId"]) == before


def test_draft_live_and_versions_are_compared(flow: FlowPage) -> None:
    flow.put_live()
    first = ok(flow.save(flow.data("one"), kind="MANUAL"))["versionId"]
    data = with_message(flow.data(), "two")
    data["nodes"][0]["position"] = {"x": 5, "y": 5}
    data["edges"] = data["edges"][1:]
    ok(flow.save(data))
    changed = compared(flow, first, "draft")
    (text,) = changed["nodesChanged"]
    assert (text["path"], text["before"], text["after"]) == ("config.messageContent", "one", "two")
    assert [each["nodeId"] for each in changed["nodesMoved"]] == [data["nodes"][0]["nodeId"]]
    assert len(changed["edgesRemoved"]) == 1
    assert changed["isSame"] is False
    (text,) = compared(flow, "live", first)["nodesChanged"]
    assert text["after"] == "one"
    for at in ("live", "draft", first):
        assert compared(flow, at, at)["isSame"]


def test_flow_settings_are_compared_with_what_was_deployed(store: Store, flow: FlowPage) -> None:
    data = flow.data()
    flow.put_live({**data, "settings": {"restartPolicy": "RESTART", "fallbackFlowId": None}})
    assert compared(flow, "live", "draft")["isSame"]
    settings = {"restartPolicy": "RESUME_LAST_NODE", "fallbackFlowId": None}
    store.database["flows"].update_one({"_id": flow.flow_id}, {"$set": {"settings": settings}})
    assert compared(flow, "live", "draft")["settingsChanged"] == [
        {"path": "settings.restartPolicy", "before": "RESTART", "after": "RESUME_LAST_NODE"}
    ]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"from": "draft"}, 422),
        ({"from": "draft", "to": ""}, 422),
        ({"from": "draft", "to": "nope"}, 404),
        ({"from": "live", "to": "draft"}, 404),
        ({"from": "draft", "to": "draft", "x": "1"}, 422),
        ({"from": "$where", "to": "draft"}, 404),
    ],
    ids=str,
)
def test_what_cannot_be_compared_is_refused(flow: FlowPage, query: dict[str, Any], status: int) -> None:
    assert flow.person.get(f"{flow.path}/compare", **query).status == status
