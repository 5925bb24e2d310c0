"""Conditions: what they mean, what is refused in which words, and that nothing else is raised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.flow.expressions import MAX_DEPTH, ExpressionError, compile_expression
from common.flow.variables import MappingScope
from tests.unit.language_strategies import assert_inside, calm, near_language, scopes, values

if TYPE_CHECKING:
    from common.flow.variables import Scope
    from common.model.values import Value


def holds(expression: str, **variables: Any) -> bool:
    return compile_expression(expression).evaluate(MappingScope(variables))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('{{age}} > 18 AND {{country}} == "USA"', True),
        ("{{userTier}} == 'premium'", True),
        ("{{inputValid}} == true", True),
        ("{{age}} > 20", False),
        ("{{age}} >= 20", True),
        ("{{age}} < 100", True),
        ("{{age}} <= 19.5", False),
        ("{{age}} <= 20", True),
        ("{{long}} == 123456789012345678901", True),
        ("{{long}} == 123456789012345678902", False),
        ("{{age}} != 20", False),
        ("{{user.tags[0]}} == 'vip'", True),
        ("{{user.tags}} contains 'vip'", True),
        ("{{user.tags}} CONTAINS 'VIP'", False),
        ("{{user}} contains 'tags'", True),
        ("{{country}} contains 'S'", True),
        ("{{country}} Starts  With 'U'", True),
        ("{{country}} ends with 'A'", True),
        ("{{zip}} starts with '10'", True),
        ("{{zip}} contains 11", True),
        ("{{nobody || 'Guest'}} == 'Guest'", True),
        ("{{nobody || age}} == 20", True),
        ("18 < {{age}}", True),
        ("true", True),
        ("NOT false", True),
    ],
)
def test_what_holds(expression: str, *, expected: bool) -> None:
    found = holds(
        expression,
        age="20",
        country="USA",
        userTier="premium",
        inputValid="true",
        user={"tags": ["vip"]},
        zip=10115,
        long="123456789012345678901",
    )
    assert found is expected


@pytest.mark.parametrize(
    ("left", "operator", "right", "expected"),
    [
        ("10", ">", "9", True),  # both texts read as numbers
        ("10", ">", "9a", False),  # one does not: as texts
        ("b", ">", "a", True),
        ("B", "==", "b", False),
        ("1.0", "==", 1, True),
        ("007", "==", "7", True),
        ("٢٠", "==", 20, True),
        (12345678901234567890, "==", "12345678901234567891", False),
        (0.1, "<", 0.2, True),
        (True, "==", "TRUE", True),
        (True, "==", 1, False),
        (True, ">", False, False),
        (True, ">=", True, False),
        ("true", "==", "TRUE", False),  # two texts
        (None, "==", "", True),
        (None, "==", None, True),
        (None, "!=", 0, True),
        (None, "==", False, False),
        (None, ">=", None, False),
        ("", "<", "a", False),
        ("abc", ">", 5, False),
        ("abc", "<", 5, False),
        ([1, "2"], "==", ["1", 2], True),
        ([1], "==", 1, False),
        ({"a": [None]}, "==", {"a": [None]}, True),
        ({"a": 1}, "==", {"b": 1}, False),
        ({}, "==", [], False),
        ([1], ">", [0], False),
        ([1, 2], "contains", "2", True),
        ([None], "contains", "", True),
        ([], "contains", "", False),
        ({"a": 1}, "contains", "b", False),
        ("abc", "contains", "", False),
        ("abc", "contains", None, False),
        ("abc", "starts with", "", False),
        ("abc", "ends with", "bc", True),
        (True, "contains", "tru", False),
        (None, "contains", "a", False),
        ("abc", "contains", ["a"], False),
    ],
)
def test_how_values_compare(left: Any, operator: str, right: Any, *, expected: bool) -> None:
    assert holds(f"{{{{l}}}} {operator} {{{{r}}}}", l=left, r=right) is expected


@pytest.mark.parametrize("value", ["yes", 1, -0.5, True, [0], {"a": 1}, "true", "1", " "])
def test_a_value_alone_is_true(value: Any) -> None:
    assert holds("{{x}}", x=value)


@pytest.mark.parametrize("value", ["", 0, 0.0, False, None, [], {}, "False", "0", "0.0"])
def test_a_value_alone_is_false(value: Any) -> None:
    assert not holds("{{x}}", x=value)
    assert not holds("{{unset}}")


@calm
@given(st.tuples(*[st.booleans()] * 3))
def test_and_binds_closer_than_or_and_not_closest(truths: tuple[bool, bool, bool]) -> None:
    a, b, c = truths
    scope = {"a": a, "b": b, "c": c}
    assert holds("{{a}} OR {{b}} AND {{c}}", **scope) is (a or (b and c))
    assert holds("({{a}} or {{b}}) and {{c}}", **scope) is ((a or b) and c)
    assert holds("NOT {{a}} AND {{b}} Or not ({{b}} OR {{c}})", **scope) is ((not a and b) or not (b or c))


@calm
@given(values, values)
def test_different_is_what_equal_denies(left: Value, right: Value) -> None:
    assert holds("{{l}} == {{r}}", l=left, r=right) is not holds("{{l}} != {{r}}", l=left, r=right)


@calm
@given(values)
def test_what_a_variable_holds_never_becomes_syntax(value: Value) -> None:
    assert not holds("{{x}} == 'secret' AND {{y}} == 1", x=value, y="' OR true OR '")


@calm
@given(values)
def test_a_value_that_is_no_nan_equals_itself(value: Value) -> None:
    if "nan" not in repr(value):
        assert holds("{{x}} == {{y}}", x=value, y=value)


def test_values_deeper_than_any_stored_one_are_not_equal() -> None:
    one: Any = []
    other: Any = []
    for _ in range(100_000):
        one, other = [one], [other]
    assert not holds("{{x}} == {{y}}", x=one, y=other)


def test_what_it_reads_and_sees() -> None:
    expression = compile_expression('{{user.age || limit}} > 18 AND NOT {{orders[0]["odd key"]}} == 1')
    assert expression.names == {"user", "limit", "orders"}
    assert expression.seen(MappingScope({"user": {"age": 3}})) == {
        "user.age": 3,
        "limit": None,
        'orders[0]["odd key"]': None,
    }
    assert expression.source.startswith("{{user.age")


@pytest.mark.parametrize(
    ("expression", "position", "why"),
    [
        ("", 0, "The condition is empty"),
        ("  ", 2, "The condition is empty"),
        ("age > 18", 0, 'Write {{age}} if you mean the variable, or "age"'),
        ("{{a}} == yes", 9, 'Write {{yes}} if you mean the variable, or "yes"'),
        ("{{a}} = 1", 6, "Write == to compare"),
        ("{{a}} && {{b}}", 6, "Write AND"),
        ("{{a}} || {{b}}", 6, "Write OR"),
        ("!{{a}}", 0, "Write NOT"),
        ("{{a}} <> 1", 6, "Write !="),
        ("{{a}} == “x”", 9, "straight quotes"),
        ("{{a}} == 'x", 9, "no closing quote"),
        ("{{a}} == 1 == 2", 11, "does not fit here"),
        ("{{a}} {{b}}", 6, "does not fit here"),
        ("{{a}} >", 7, "Something is missing at the end"),
        ("({{a}}", 6, "A closing ) is missing"),
        ("{{a}})", 5, "does not fit here"),
        ("{{a}} == 'x' OR 'y'", 16, "This value stands alone"),
        ("5", 0, "This value stands alone"),
        ("'{{a}}' == 'x'", 0, "without quotes"),
        ("{{a", 0, "never closed"),
        ("{{}} == 1", 2, "name is missing"),
        ("{{a b}} == 1", 4, "does not belong inside"),
        ("(" * 60 + "true" + ")" * 60, 0, f"More than {MAX_DEPTH}"),
        ("NOT " * 60 + "true", 0, f"More than {MAX_DEPTH}"),
        ("(" * 3999, 3999, "Something is missing"),
        (" " * 4001, 4000, "longer than 4,000"),
    ],
)
def test_a_wrong_condition_says_where_and_why(expression: str, position: int, why: str) -> None:
    with pytest.raises(ExpressionError) as refused:
        compile_expression(expression)
    assert why in refused.value.message
    assert refused.value.position == position


def test_depth_and_length_up_to_the_limits() -> None:
    assert holds("(" * MAX_DEPTH + "true" + ")" * MAX_DEPTH)
    assert holds(" OR ".join(["{{a}}==1"] * 330), a=1)


@calm
@given(near_language, scopes)
def test_no_text_raises_anything_undeclared(text: str, scope: Scope) -> None:
    try:
        expression = compile_expression(text)
    except ExpressionError as refused:
        assert_inside(refused, text)
        return
    assert isinstance(expression.evaluate(scope), bool)
    assert expression.seen(scope).keys() >= set()


_atoms = st.sampled_from(
    ["{{a}}", "{{b.c}}", "{{c[0] || 'x'}} == {{a}}", "{{a}} > 5", "{{b}} contains 'x'", "true"]
)
conditions = st.recursive(
    _atoms,
    lambda inner: (
        st.builds("({} AND {})".format, inner, inner)
        | st.builds("{} OR {}".format, inner, inner)
        | inner.map("NOT ({})".format)
    ),
    max_leaves=15,
)


@calm
@given(conditions, scopes)
def test_every_condition_that_follows_the_rules_is_evaluated(text: str, scope: Scope) -> None:
    assert compile_expression(f"NOT ({text})").evaluate(scope) is not compile_expression(text).evaluate(scope)
