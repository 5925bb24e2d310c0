"""The dashboard: one's own bots, and nobody else's."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from common.clock import utc_now
from tests.api.figures import count
from tests.api.victim import give_everything

if TYPE_CHECKING:
    from pymongo.database import Database

    from common.store.store import Store
    from tests.api.person import Person


def test_without_bots_there_is_nothing_to_see(ann: Person) -> None:
    answer = ann.get("/api/dashboard").json
    numbers = ("totalBots", "totalFlows", "activeSessions", "messagesSent24h", "completionRate", "topFlows")
    assert [answer[name] for name in numbers] == [0, 0, 0, 0, None, []]
    assert len(answer["points"]) == 31


def test_it_sums_up_all_of_ones_bots(
    store: Store, database: Database[dict[str, Any]], ann: Person, bob: Person
) -> None:
    first, his = give_everything(database, ann), give_everything(database, bob)
    second = {"bot_id": "second", "flow_id": "second-flow", "version_id": "second-version"}
    database["bots"].insert_one({"_id": "second", "userId": ann.user_id, "name": "Second"})
    database["flows"].insert_one({"_id": "second-flow", "botId": "second", "name": "Second"})
    now = utc_now()
    count(store, first, now - timedelta(days=3), folded=True, n__starts=6, n__completed=2, n__accepted=50)
    count(store, first, n__starts=1, n__completed=1, n__accepted=5)
    count(store, second, n__starts=3, n__completed=0, n__accepted=2)
    count(store, his, n__starts=100, n__completed=100, n__accepted=100)
    answer = ann.get("/api/dashboard").json
    assert (answer["totalBots"], answer["totalFlows"], answer["messagesSent24h"]) == (2, 2, 7)
    assert answer["completionRate"] == 0.3
    shown = [(flow["flowId"], flow["starts"], flow["completed"]) for flow in answer["topFlows"]]
    assert shown == [(first["flow_id"], 7, 3), (second["flow_id"], 3, 0)]
    assert sum(point["starts"] for point in answer["points"]) == 10
    assert bob.get("/api/dashboard").json["totals"]["starts"] == 100


def test_deleted_flows_are_not_on_top_any_more(
    store: Store, database: Database[dict[str, Any]], ann: Person
) -> None:
    ids = give_everything(database, ann)
    count(store, ids, n__starts=1)
    database["flows"].delete_one({"_id": ids["flow_id"]})
    answer = ann.get("/api/dashboard").json
    assert (answer["topFlows"], answer["totals"]["starts"]) == ([], 1)


def test_active_sessions_are_those_under_way(database: Database[dict[str, Any]], ann: Person) -> None:
    ids = give_everything(database, ann)
    base = {"botId": ids["bot_id"], "channel": "WHATSAPP", "isOpen": True, "flowVersionId": ids["version_id"]}
    database["sessions"].insert_one(
        {**base, "_id": "a", "contactId": "a", "runsFor": ids["bot_id"], "status": "PAUSED"}
    )
    database["sessions"].insert_one({**base, "_id": "b", "contactId": "b", "status": "COMPLETED"})
    assert ann.get("/api/dashboard").json["activeSessions"] == 1


def test_administrators_have_no_bots(admin: Person) -> None:
    assert admin.get("/api/dashboard").status == 403
