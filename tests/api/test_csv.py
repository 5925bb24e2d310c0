"""Tables for spreadsheets: nothing in a cell is ever run."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import pytest

from api.csv_answer import csv_response
from common.model.counters import encode
from tests.api.figures import count, download
from tests.api.victim import give_everything

if TYPE_CHECKING:
    from pymongo.database import Database

    from common.store.store import Store
    from tests.api.person import Person

PAYLOADS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\u00a0=1", "＝1+1", "＋1", "－1", "＠x",
    '=HYPERLINK("http://evil.example","x")', "=cmd|' /C calc'!A0", '"=1', ";=1", "\x00=1", "-2+3+cmd",
]  # fmt: skip


def read(text: str) -> list[list[str]]:
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_cell_begins_like_a_formula(payload: str) -> None:
    response = csv_response("x", ["a", "b"], [[payload, 1]])
    (_, row) = read(response.get_data(as_text=True))
    assert row[0].lstrip(" \u00a0\x00")[:1] not in {*"=+-@\t\r\n", *"＝＋－＠"}
    assert row[0].lstrip("'").strip("\x00") == payload.strip("\x00")
    assert row[1] == "1"


def test_every_cell_is_quoted_so_that_no_text_makes_new_ones() -> None:
    response = csv_response("x", ["a"], [['x","=1\r\n=2,"']])
    assert read(response.get_data(as_text=True)) == [["a"], ['x","=1\r\n=2,"']]
    assert response.get_data(as_text=True).splitlines()[0] == '\ufeff"a"'


def test_numbers_stay_numbers_and_nothing_stays_empty() -> None:
    response = csv_response("x", ["a", "b", "c"], [[-5, 0.25, None]])
    assert read(response.get_data(as_text=True))[1] == ["-5", "0.25", ""]


@pytest.mark.parametrize(
    "name", ['a"; filename="evil.exe', "a\r\nSet-Cookie: x", "../../etc/passwd", "…", "x" * 500]
)
def test_the_file_name_is_a_file_name(name: str) -> None:
    header = csv_response(name, ["a"], []).headers["Content-Disposition"]
    assert header.startswith('attachment; filename="')
    assert header.endswith('.csv"')
    assert header.count('"') == 2
    assert not set(header) & set("\r\n/\\")
    assert len(header) < 140


def test_the_series_of_a_bot(store: Store, database: Database[dict[str, Any]], ann: Person) -> None:
    ids = give_everything(database, ann)
    count(store, ids, n__starts=4, n__read=2)
    answer = download(ann, f"/api/bots/{ids['bot_id']}/analytics/series.csv", range="24h")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="analytics-quokka.csv"'
    columns, *rows = read(answer.get_data(as_text=True))
    last = dict(zip(columns, rows[-1], strict=True))
    assert (len(rows), last["starts"], last["messages.read"]) == (25, "4", "2")


def test_the_nodes_of_a_hostile_flow(store: Store, database: Database[dict[str, Any]], ann: Person) -> None:
    ids = give_everything(database, ann)
    nodes = [
        {"nodeId": "=1+1", "nodeType": "@START", "label": "\t=cmd", "config": {}},
        {"nodeId": 7},
        "no node",
    ]
    database["flow_versions"].update_one({"_id": ids["version_id"]}, {"$set": {"flowData": {"nodes": nodes}}})
    count(store, ids, None, {f"nodes.{encode('=1+1')}.x.=2": 3})
    answer = download(ann, f"/api/bots/{ids['bot_id']}/flows/{ids['flow_id']}/analytics/nodes.csv")
    cells = [cell for row in read(answer.get_data(as_text=True)) for cell in row]
    assert not [cell for cell in cells if cell[:1] in set("=+-@\t\r")]
    assert "'=1+1" in cells
