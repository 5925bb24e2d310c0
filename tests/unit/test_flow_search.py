"""Looking for a text in a flow: found however it is written, shown as it stands, never taken for a pattern."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.flow.search import search


def flow(**config: Any) -> dict[str, Any]:
    return {"nodes": [{"nodeId": "n1", "nodeType": "MESSAGE", "config": config}]}


def paths(data: dict[str, Any], wanted: str) -> list[str]:
    return [hit.path for hit in search(data, wanted)]


@pytest.mark.parametrize(
    ("text", "wanted", "match"),
    [
        ("Our OPENING hours", "opening HOURS", "OPENING hours"),
        ("Die Straße ist zu", "STRASSE", "Straße"),
        ("Cafe\u0301 am Markt", "CAFÉ", "Café"),
        ("your\n   order", "your order", "your order"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος", "ΣΊΣΥΦΟΣ"),
        ("a.*b", ".*", ".*"),
        ("$where is it", "$where", "$where"),
        ("Hello {{userName}}", "{{username", "{{userName"),
        ("  padded  ", "  padded ", "padded"),
    ],
)
def test_a_text_is_found_however_it_is_written(text: str, wanted: str, match: str) -> None:
    (hit,) = search(flow(messageContent=text), wanted)
    assert (hit.match, hit.path) == (match, "config.messageContent")


@pytest.mark.parametrize("wanted", ["", "   ", "zzz", ".*", "[a-z]", "(", "\\", "$"])
def test_what_is_not_there_is_not_found(wanted: str) -> None:
    assert paths(flow(messageContent="Hello world"), wanted) == []


def test_a_long_text_is_shown_around_the_place() -> None:
    (hit,) = search(flow(messageContent="a" * 500 + " needle " + "b" * 500), "needle")
    assert hit.snippet.startswith("…aaa")
    assert " needle " in hit.snippet
    assert hit.snippet.endswith("bbb…")
    assert len(hit.snippet) < 100


def test_every_field_with_words_is_looked_at_and_only_those() -> None:
    data = {
        "nodes": [
            {
                "nodeId": "menu_x",
                "nodeType": "BUTTON",
                "config": {
                    "label": "x label",
                    "messageText": "x text",
                    "buttons": [{"buttonId": "x", "label": "b0"}, {"buttonId": "y", "label": "the x"}],
                    "staleTap": "x",
                    "fallback": {"message": "no x"},
                },
            },
            {"nodeId": "n", "nodeType": "NOT_KNOWN", "config": {"nodeType": "x", "deep": [["x"]]}},
            {"nodeId": "no_config_x"},
            "x",
        ]
    }
    assert [(hit.node_id, hit.label, hit.path) for hit in search(data, "X")] == [
        ("menu_x", "x label", "nodeId"),
        ("menu_x", "x label", "config.label"),
        ("menu_x", "x label", "config.messageText"),
        ("menu_x", "x label", "config.buttons[1].label"),
        ("menu_x", "x label", "config.fallback.message"),
        ("n", "n", "config.deep[0][0]"),
        ("no_config_x", "no_config_x", "nodeId"),
    ]


@given(st.text(max_size=30), st.text(min_size=1, max_size=5), st.text(max_size=30))
def test_what_is_said_is_found_whatever_stands_around_it(before: str, wanted: str, after: str) -> None:
    found = paths(flow(messageContent=f"{before} {wanted} {after}"), wanted)
    assert ("config.messageContent" in found) is bool(wanted.strip())


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    ),
    st.text(max_size=3),
)
def test_any_flow_can_be_searched(value: Any, wanted: str) -> None:
    list(search({"nodes": value}, wanted))
    list(search({"nodes": [{"nodeId": "n", "nodeType": value, "config": value}]}, wanted))
    list(search({"nodes": [{"nodeId": "n", "config": {"a": value}}]}, wanted))
