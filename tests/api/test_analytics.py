"""Figures over HTTP: sums, series, nodes; what a period is, and what it cannot be."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from api.figures import duration_of, nodes_of, quantile
from common.clock import utc_now
from common.model.counters import duration_path
from common.model.periods import DAY, HOUR, floor_to
from common.store.analytics import Analytics, Standing
from tests.api.figures import count
from tests.api.victim import give_everything

if TYPE_CHECKING:
    from pymongo.database import Database

    from common.store.store import Store
    from tests.api.person import Person


@pytest.fixture
def ids(database: Database[dict[str, Any]], ann: Person) -> dict[str, str]:
    return give_everything(database, ann)


def of_bot(ids: dict[str, str], more: str = "") -> str:
    return f"/api/bots/{ids['bot_id']}/analytics{more}"


def of_flow(ids: dict[str, str], more: str = "") -> str:
    return f"/api/bots/{ids['bot_id']}/flows/{ids['flow_id']}/analytics{more}"


def test_a_bot_without_conversations_has_zeros_and_no_rates(ann: Person, ids: dict[str, str]) -> None:
    answer = ann.get(of_bot(ids))
    assert answer.status == 200
    totals = answer.json["totals"]
    assert (totals["starts"], totals["completionRate"], totals["duration"]["medianSeconds"]) == (
        0,
        None,
        None,
    )
    assert answer.json["errors"] == []
    assert [each["count"] for each in totals["duration"]["classes"]] == [0] * 13


def test_the_figures_of_a_bot(store: Store, ann: Person, ids: dict[str, str]) -> None:
    count(
        store, ids, n__starts=3, n__resumed=1, n__completed=2, n__endedInError=1, n__failed=1, n__messagesIn=9,
        n__queued=8, n__accepted=7, n__read=2, n__sendFailed=1, n__apiCalls=4, n__apiFailures=1, n__aiCalls=1,
        n__promptTokens=100, n__costNanoUsd=1_500_000_000, n__durations=3, n__durationMs=90_000, h__1=2, h__2=1,
    )  # fmt: skip
    count(store, ids, None, {"e.api%2Etimeout": 2, "e.input%2Erefused": 5, "n.errors": 7})
    answer = ann.get(of_bot(ids), range="24h")
    totals = answer.json["totals"]
    assert {name: totals[name] for name in ("starts", "resumed", "completed", "endedInError", "failed")} == {
        "starts": 3, "resumed": 1, "completed": 2, "endedInError": 1, "failed": 1
    }  # fmt: skip
    assert (totals["completionRate"], totals["failureRate"]) == (0.5, 0.25)
    assert totals["messages"]["received"] == 9
    assert (totals["messages"]["accepted"], totals["messages"]["read"], totals["messages"]["failed"]) == (
        7,
        2,
        1,
    )
    assert totals["api"] == {"calls": 4, "failures": 1, "failureRate": 0.25}
    assert (totals["ai"]["promptTokens"], totals["ai"]["costUsd"]) == (100, 1.5)
    assert totals["duration"]["averageSeconds"] == 30
    assert 10 < totals["duration"]["medianSeconds"] <= 30
    assert answer.json["errors"] == [
        {"code": "input.refused", "count": 5},
        {"code": "api.timeout", "count": 2},
    ]
    assert ann.get(of_flow(ids), range="24h").json["totals"] == totals


def test_runs_under_way_are_counted_at_once_whatever_was_saved(
    store: Store, ann: Person, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    version = {"flowId": ids["flow_id"], "botId": ids["bot_id"], "isProduction": False, "flowData": {}}
    store.database["flow_versions"].insert_many(
        [{**version, "_id": f"saved-{n}", "versionNumber": 10 + n, "isDraft": True} for n in range(20)]
        + [{**version, "_id": "former", "versionNumber": 9, "isDraft": False}]
    )
    store.database["sessions"].insert_many(
        [{"_id": f"s{n}", "contactId": f"c{n}", "botId": ids["bot_id"], "runsFor": ids["bot_id"],
          "flowVersionId": each, "isOpen": False, "currentNodeId": "start", "updatedAt": utc_now()}
         for n, each in enumerate(["former", "former", ids["version_id"], "of another flow"])]
    )  # fmt: skip
    asked: list[list[str]] = []
    count_runs = Analytics.active_in

    def watched(self: Analytics, bot_id: str, version_ids: list[str]) -> dict[str, int]:
        asked.append(sorted(version_ids))
        return count_runs(self, bot_id, version_ids)

    monkeypatch.setattr(Analytics, "active_in", watched)
    assert ann.get(of_flow(ids)).json["activeSessions"] == 3
    assert ann.get(of_flow(ids), versionId="former").json["activeSessions"] == 2
    assert asked == [sorted(["former", ids["version_id"]]), ["former"]], "no saved version among them"


@pytest.mark.parametrize("how", ["pending", "folded"])
def test_a_period_takes_what_happened_in_it(store: Store, ann: Person, ids: dict[str, str], how: str) -> None:
    now = utc_now()
    for days in (0, 3, 20, 60, 200):
        count(store, ids, now - timedelta(days=days), folded=how == "folded", n__starts=1)
    found = {
        name: ann.get(of_bot(ids), range=name).json["totals"]["starts"]
        for name in ("24h", "7d", "30d", "90d")
    }
    assert found == {"24h": 1, "7d": 2, "30d": 3, "90d": 4}
    year = {"from": (now - timedelta(days=399)).isoformat(), "to": (now - timedelta(days=1)).isoformat()}
    assert ann.get(of_bot(ids), **year).json["totals"]["starts"] == 4
    hour = floor_to(now, HOUR)
    answer = ann.get(of_bot(ids), **{"from": hour.isoformat()})
    assert answer.json["totals"]["starts"] == 1
    assert answer.json["period"]["from"] == f"{hour:%Y-%m-%dT%H:%M:%S}.000Z"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"range": "8d"}, "range"),
        ({"range": "7d", "from": "2026-11-20T00:00:00Z"}, "range"),
        ({"from": "yesterday"}, "from"),
        ({"from": "2026-11-20T00:00:00"}, "from"),
        ({"to": "2026-11-20T00:00:00Z"}, "from"),
        ({"from": "2026-11-20T00:00:00Z", "to": "2026-11-20T00:00:00Z"}, "from"),
        ({"from": "2026-11-21T00:00:00Z", "to": "2026-11-20T00:00:00Z"}, "from"),
        ({"from": "2020-01-01T00:00:00Z", "to": "2026-11-20T00:00:00Z"}, "from"),
        ({"from": "2020-01-01T00:00:00Z"}, "from"),
        ({"from": "9999-12-31T23:59:59Z"}, "from"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "from"),
        ({"days": "7"}, "days"),
    ],
)
def test_a_period_that_makes_no_sense_is_refused(
    ann: Person, ids: dict[str, str], query: dict[str, str], field: str
) -> None:
    for path in (of_bot(ids), of_bot(ids, "/series"), of_flow(ids), of_bot(ids, "/series.csv")):
        answer = ann.get(path, **query)
        assert (answer.status, answer.code) == (422, "validation_failed"), path
        assert list(answer.fields) == [field]


def test_a_series_by_the_hour_and_by_the_day(store: Store, ann: Person, ids: dict[str, str]) -> None:
    now = utc_now()
    for hours in (0, 1, 30):
        count(store, ids, now - timedelta(hours=hours), folded=hours > 0, n__starts=1, n__accepted=hours)
    hourly = ann.get(of_bot(ids, "/series"), range="24h").json
    assert (hourly["bucket"], len(hourly["points"])) == ("hour", 25)
    assert [point["starts"] for point in hourly["points"]][-2:] == [1, 1]
    assert [point["messages"]["accepted"] for point in hourly["points"]][-2:] == [1, 0]
    daily = ann.get(of_flow(ids, "/series"), range="7d").json
    assert (daily["bucket"], sum(point["starts"] for point in daily["points"])) == ("day", 3)
    assert all(point["at"].endswith("T00:00:00.000Z") for point in daily["points"])
    assert len({point["at"] for point in daily["points"]}) == len(daily["points"]) == 8
    assert ann.get(of_bot(ids, "/series"), range="7d", bucket="hour").json["bucket"] == "hour"


def test_hours_of_long_ago_are_refused(ann: Person, ids: dict[str, str]) -> None:
    answer = ann.get(of_bot(ids, "/series"), range="30d", bucket="hour")
    assert (answer.status, list(answer.fields)) == (422, ["bucket"])


def test_the_nodes_of_a_flow(store: Store, ann: Person, ids: dict[str, str]) -> None:
    ways = {"nodes.start.x.output": 2, "nodes.start.e.flow%2Eopen_exit": 1}
    count(store, ids, None, ways, n__starts=3, nodes__start__v=3, nodes__start__f=1, nodes__end__v=2,
          nodes__end__d=2, nodes__gone__v=1)  # fmt: skip
    answer = ann.get(of_flow(ids)).json
    assert (answer["versionId"], answer["versionNumber"]) == (ids["version_id"], 1)
    start, end, gone = answer["nodes"]
    assert (start["nodeId"], start["nodeType"], start["visits"], start["failed"]) == ("start", "START", 3, 1)
    assert start["exits"] == [{"handle": "output", "count": 2}]
    assert start["errors"] == [{"code": "flow.open_exit", "count": 1}]
    assert (end["ended"], end["dropOff"], end["dropOffRate"]) == (2, 0, 0)
    assert (gone["nodeId"], gone["nodeType"], gone["visits"]) == ("gone", None, 1)
    same = ann.get(of_flow(ids), versionId=ids["version_id"]).json
    assert same["nodes"] == answer["nodes"]


def test_who_fell_silent_at_a_node_dropped_off(
    store: Store, database: Database[dict[str, Any]], ann: Person, ids: dict[str, str]
) -> None:
    count(store, ids, nodes__start__v=4, nodes__start__c=1)
    now = utc_now()
    base = {"botId": ids["bot_id"], "runsFor": ids["bot_id"], "flowVersionId": ids["version_id"]}
    for n, ago in enumerate((timedelta(minutes=5), 2 * DAY, 40 * DAY)):
        database["sessions"].insert_one(
            {**base, "_id": f"s{n}", "contactId": f"c{n}", "channel": "WHATSAPP", "isOpen": True, "currentNodeId": "start", "updatedAt": now - ago}
        )  # fmt: skip
    start = ann.get(of_flow(ids), range="7d").json["nodes"][0]
    assert (start["waiting"], start["silent"], start["dropOff"], start["dropOffRate"]) == (3, 2, 2, 0.5)
    assert ann.get(of_bot(ids)).json["activeSessions"] == 3


def test_figures_survive_edits_and_a_flow_that_was_never_live(
    store: Store, database: Database[dict[str, Any]], ann: Person, ids: dict[str, str]
) -> None:
    count(store, ids, nodes__start__v=1, n__starts=1)
    database["flow_versions"].update_one({"_id": ids["version_id"]}, {"$set": {"isProduction": False}})
    answer = ann.get(of_flow(ids)).json
    assert (answer["versionId"], answer["nodes"], answer["totals"]["starts"]) == (None, [], 1)
    assert ann.get(of_flow(ids), versionId=ids["version_id"]).json["nodes"][0]["visits"] == 1


def test_another_flows_version_does_not_exist(
    database: Database[dict[str, Any]], ann: Person, bob: Person, ids: dict[str, str]
) -> None:
    his = give_everything(database, bob)
    for path, query in (
        (of_flow(ids), {"versionId": his["version_id"]}),
        (of_flow({**ids, "flow_id": his["flow_id"]}), {}),
        (of_flow({**ids, "flow_id": his["flow_id"]}, "/series"), {}),
        (of_flow({**ids, "flow_id": his["flow_id"]}, "/nodes.csv"), {}),
    ):
        answer = ann.get(path, **query)
        assert (answer.status, answer.code) == (404, "not_found")


def test_administrators_may_look(store: Store, admin: Person, ids: dict[str, str]) -> None:
    count(store, ids, n__starts=1)
    assert admin.get(of_bot(ids)).json["totals"]["starts"] == 1
    assert admin.get(of_flow(ids)).status == 200


# How it is worked out


def test_a_quantile_lies_between_the_borders_of_its_class() -> None:
    assert quantile([0] * 13, 0.5) is None
    assert quantile([4, *[0] * 12], 0.5) == 5
    assert quantile([1, 0, 1, *[0] * 10], 0.9) == pytest.approx(54)
    assert quantile([*[0] * 12, 3], 0.5) == 7 * 86_400


def test_estimates_are_near_what_was_measured() -> None:
    seconds = [n * 7.3 for n in range(1, 246)]
    amounts = {"n.durations": len(seconds), "n.durationMs": round(sum(seconds) * 1000)}
    for each in seconds:
        amounts[duration_path(each)] = amounts.get(duration_path(each), 0) + 1
    found = duration_of(amounts)
    assert found["averageSeconds"] == pytest.approx(sum(seconds) / len(seconds))
    assert found["medianSeconds"] == pytest.approx(seconds[len(seconds) // 2], rel=0.15)
    assert found["p90Seconds"] == pytest.approx(seconds[int(len(seconds) * 0.9)], rel=0.15)


def test_hostile_names_come_out_as_they_went_in() -> None:
    (node,) = nodes_of({"nodes.%24a%2Eb.v": 1, "nodes.%24a%2Eb.x.%24set": 2}, {}, {})
    assert (node["nodeId"], node["exits"]) == ("$a.b", [{"handle": "$set", "count": 2}])
    (lost,) = nodes_of({}, {"x": Standing(1)}, {})
    assert (lost["nodeId"], lost["waiting"]) == ("x", 1)
