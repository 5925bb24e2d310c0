"""Every case of every node type; every node type has cases."""

from __future__ import annotations

from typing import Any

import pytest

from common.flow.registry import node_types
from common.flow.replay import path_of
from tests.conversations.player import play
from tests.nodes.cases import all_cases, case_file, load_case, scripted

CASES = all_cases()


@pytest.mark.parametrize(("kind", "data"), CASES, ids=[f"{kind}: {data['name']}" for kind, data in CASES])
def test_case(kind: str, data: dict[str, Any]) -> None:
    loaded = load_case(kind, data)
    issues = [f"{issue.code} {issue.field or ''}".strip() for issue in loaded.issues]
    assert issues == data.get("issues", []), loaded.issues
    assert all(issue.message and issue.message[0] != " " for issue in loaded.issues)
    assert "script" in data or "issues" in data, "a case expects something"
    if "script" not in data:
        return
    player = play(scripted(kind, data))
    if "exit" in data:
        path = [node for turn in player.turns for node in path_of(turn.steps)]
        assert path[-2:] == ["it", f"to_{data['exit']}"]


@pytest.mark.parametrize("kind", list(node_types()))
def test_a_node_type_has_cases(kind: str) -> None:
    assert case_file(kind).exists(), f"write tests/nodes/{kind.lower()}.yaml"


def test_no_case_file_is_of_an_unknown_type() -> None:
    assert {kind for kind, _ in CASES} <= set(node_types())


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60
