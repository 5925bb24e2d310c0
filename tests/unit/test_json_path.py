"""Paths into JSON answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given

from common.flow.json_path import JsonPathError, compile_json_path
from common.flow.variables import MISSING
from tests.unit.language_strategies import assert_inside, calm, near_language, values

if TYPE_CHECKING:
    from common.model.values import Value

ANSWER: Any = {
    "data": {
        "leadId": "L1",
        "orders": [{"id": 7}, {"id": 8}],
        "user-id": 1,
        "_v": 0,
        "odd name": {"ü": None},
    },
    "ok": True,
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("data.leadId", "L1"),
        ("$.data.leadId", "L1"),
        (" data . orders [ 0 ] . id ", 7),
        ("data.orders[-1].id", 8),
        ("data.orders.1.id", 8),
        ("data.user-id", 1),
        ("data._v", 0),
        ('data["odd name"].ü', None),
        ("$['data']['orders'][1]", {"id": 8}),
        ("true", MISSING),
        ("data.orders[2].id", MISSING),
        ("data.leadId.x", MISSING),
        ("$", ANSWER),
    ],
)
def test_what_stands_at_a_path(path: str, found: Any) -> None:
    assert compile_json_path(path).find(ANSWER) == found


def test_a_path_into_an_array() -> None:
    assert compile_json_path("[1].a").find([0, {"a": 2}]) == 2


@pytest.mark.parametrize(
    ("path", "position", "why"),
    [
        ("", 0, "The end is unexpected"),
        ("data.", 5, "The end is unexpected"),
        ("a..b", 2, "unexpected"),
        ("a[*]", 2, "“*” is unexpected"),
        ("a[?(@.b)]", 2, "unexpected"),
        ("$a", 1, "“a” is unexpected"),
        ("a[1", 3, "The end is unexpected"),
        ("a[12345678901]", 2, "unexpected"),
        ("a b", 2, "“b” is unexpected"),
        ("a" * 501, 500, "longer than 500"),
    ],
)
def test_a_wrong_path_says_where_and_why(path: str, position: int, why: str) -> None:
    with pytest.raises(JsonPathError) as refused:
        compile_json_path(path)
    assert refused.value.position == position
    assert why in refused.value.message


@calm
@given(near_language, values)
def test_no_text_raises_anything_undeclared(text: str, value: Value) -> None:
    try:
        path = compile_json_path(text)
    except JsonPathError as refused:
        assert_inside(refused, text)
        return
    path.find(value)
