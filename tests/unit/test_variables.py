"""Names, values, paths, texts, types and limits of variables."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.flow import variables
from common.flow.variables import (
    MISSING,
    RESERVED_NAMES,
    VariableLimitError,
    VariableTypeError,
    admit,
    check_name,
    check_total,
    check_value,
    clean_text,
    coerce,
    parse_number,
    to_text,
    walk,
)
from common.model.values import VariableType, type_of
from tests.unit.language_strategies import any_text, calm, values

if TYPE_CHECKING:
    from common.model.values import Value


@pytest.mark.parametrize(
    "name", ["a", "userEmail", "user_2", "A1", "and", "a" * 64, "userName", "lastMessage"]
)
def test_a_name_is_fine(name: str) -> None:
    assert check_name(name) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "needs a name"),
        ("1a", "start with a letter"),
        ("_a", "start with a letter"),
        ("user name", "start with a letter"),
        ("user-name", "letters, digits and underscores"),
        ("a\n", "letters, digits and underscores"),
        ("naïve", "letters, digits and underscores"),
        ("a" * 65, "at most 64"),
        ("true", "is a value"),
        ("Null", "is a value"),
        *((name, "reserved") for name in sorted(RESERVED_NAMES)),
    ],
)
def test_a_name_is_refused_with_its_reason(name: str, why: str) -> None:
    assert why in (check_name(name) or "")


@calm
@given(any_text)
def test_an_accepted_name_is_what_the_rules_say(name: str) -> None:
    if check_name(name) is None:
        assert name.isascii()
        assert name[0].isalpha()
        assert name.replace("_", "a").isalnum()


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ((), {"orders": [{"id": 7}, {"id": None}], "0": "key", "a.b": 1}),
        (("orders", 0, "id"), 7),
        (("orders", -1, "id"), None),
        (("orders", "0", "id"), 7),
        (("0",), "key"),
        (("a.b",), 1),
        (("orders", 2), MISSING),
        (("orders", -3), MISSING),
        (("orders", "id"), MISSING),
        (("orders", "²"), MISSING),
        (("orders", 0, "id", "deeper"), MISSING),
        ((0,), MISSING),
        (("length",), MISSING),
    ],
)
def test_walking_a_path(path: variables.Path, found: Any) -> None:
    assert walk({"orders": [{"id": 7}, {"id": None}], "0": "key", "a.b": 1}, path) == found


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MISSING, ""),
        (None, ""),
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (3.0, "3"),
        (-0.0, "0"),
        (0.1 + 0.2, "0.3"),
        (1e300, "1e+300"),
        ("as it is ", "as it is "),
        ({"a": [1.0, None, "é"]}, '{"a":[1,null,"é"]}'),
        ([], "[]"),
    ],
)
def test_how_a_value_looks_in_a_text(value: Any, text: str) -> None:
    assert to_text(value) == text


def test_what_no_variable_can_hold_has_no_text() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert to_text(deep) == ""
    assert to_text(10**5000) == ""


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("20", 20),
        (" 12.5 ", 12.5),
        ("+3", 3),
        ("-.5", -0.5),
        ("1e3", 1000.0),
        ("٢٠", 20),
        ("007", 7),
        ("5.", 5.0),
    ]
    + [
        (text, None)
        for text in ("", "12,5", "1_000", "0x10", "NaN", "inf", "1e999", "--1", "1 2", "²", "9" * 65)
    ],
)
def test_numbers_in_texts(text: str, number: float | None) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize(
    ("value", "declared", "stored"),
    [
        ("12.5", "NUMBER", 12.5),
        (7, "NUMBER", 7),
        ("9" * 30, "NUMBER", 1e30),
        ("TRUE", "BOOLEAN", True),
        (" false", "BOOLEAN", False),
        ('{"a": [1]}', "OBJECT", {"a": [1]}),
        ("[1, 2]", "ARRAY", [1, 2]),
        (3.0, "STRING", "3"),
        (True, "STRING", "true"),
        ({"a": 1}, "STRING", '{"a":1}'),
        *((None, declared.value, None) for declared in VariableType),
    ],
)
def test_a_value_is_turned_into_the_declared_type(value: object, declared: str, stored: Value) -> None:
    found = coerce(value, VariableType(declared))
    assert found == stored
    assert type(found) is type(stored)


@pytest.mark.parametrize(
    ("value", "declared", "why"),
    [
        ("twelve", "NUMBER", '"twelve" is not a number.'),
        (True, "NUMBER", '"true" is not a number.'),
        ([1], "NUMBER", '"[1]" is not a number.'),
        (1, "BOOLEAN", '"1" is not true or false.'),
        ("yes", "BOOLEAN", '"yes" is not true or false.'),
        ("[1]", "OBJECT", '"[1]" is not an object.'),
        ("{", "OBJECT", '"{" is not an object.'),
        ("[" * 9999, "ARRAY", "is not an array."),
        ({}, "ARRAY", '"{}" is not an array.'),
        ('{"a": NaN}', "OBJECT", "infinite or undefined"),
        ("[" * 21 + "]" * 21, "ARRAY", "at most 20"),
    ],
)
def test_a_value_of_another_type_is_refused(value: object, declared: str, why: str) -> None:
    with pytest.raises(VariableTypeError) as refused:
        coerce(value, VariableType(declared))
    assert why in str(refused.value)


@calm
@given(values, st.sampled_from(VariableType))
def test_coercion_gives_the_declared_type_or_its_one_error(value: Value, declared: VariableType) -> None:
    try:
        stored = coerce(value, declared)
    except VariableTypeError:
        return
    assert stored is None or type_of(stored) is declared
    assert admit(stored) == stored


@calm
@given(values)
def test_what_is_admitted_can_be_stored(value: Value) -> None:
    try:
        stored = admit(value)
    except VariableTypeError:
        assert check_value(value)
        return
    assert check_value(value) is None
    text = json.dumps(stored, allow_nan=False, ensure_ascii=False).encode().decode()
    assert "\x00" not in text
    assert "\\u0000" not in text


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        10**400,
        [math.nan],
        {"a": {"b": math.inf}},
        {1: 2},
        (1,),
        b"a",
        object(),
    ],
)
def test_what_is_no_json_is_refused(value: object) -> None:
    with pytest.raises(VariableTypeError):
        admit(value)
    assert check_value(value)


def test_integers_beyond_64_bits_become_floats() -> None:
    assert admit([2**63 - 1, -(2**63)]) == [2**63 - 1, -(2**63)]
    assert isinstance(admit(2**63), float)
    assert admit(2**63) == float(2**63)


def test_unstorable_characters_are_replaced_everywhere() -> None:
    assert clean_text("a\ud800b\x00c") == "a\ufffdb\ufffdc"
    assert admit({"k\x00": ["\udfff", "😀"]}) == {"k\ufffd": ["\ufffd", "😀"]}
    assert admit({"$where": 1, "a.b": 2}) == {"$where": 1, "a.b": 2}


def test_nesting_is_bounded() -> None:
    value: Any = 1
    for _ in range(20):
        value = [value]
    assert admit(value) == value
    with pytest.raises(VariableLimitError, match="at most 20"):
        admit({"a": value})
    for _ in range(100_000):
        value = [value]
    assert "at most 20" in (check_value(value) or "")


def test_size_is_bounded_by_bytes() -> None:
    assert check_value("é" * (128 * 1024 - 1)) is None
    assert check_value("é" * (128 * 1024)) == "A variable holds at most 256 KiB."
    assert check_value("\x01" * 50_000) == "A variable holds at most 256 KiB."
    assert check_value(["a" * 1000] * 300) == "A variable holds at most 256 KiB."


def test_a_session_is_bounded_as_a_whole() -> None:
    large = "a" * 200_000
    assert check_total(dict.fromkeys("abcde", large)) is None
    assert "1024 KiB" in (check_total(dict.fromkeys("abcdef", large)) or "")


def test_admitting_copies() -> None:
    answer = {"items": [1]}
    stored = admit(answer)
    answer["items"].append(2)
    assert stored == {"items": [1]}
