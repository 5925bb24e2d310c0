"""Every golden conversation, and: together with the node cases they take every exit of every node type."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from common.flow.node import ExitPerRow
from common.flow.registry import node_types
from tests.conversations.player import exits_taken, play
from tests.conversations.scripts import read_case, read_yaml
from tests.nodes.cases import all_cases, scripted

FILES = sorted(Path(__file__).parent.glob("*.yaml"))
CONVERSATIONS = [(path.stem, data) for path in FILES for data in read_yaml(path)]


@pytest.mark.parametrize(
    ("file", "data"), CONVERSATIONS, ids=[f"{file}: {data['name']}" for file, data in CONVERSATIONS]
)
def test_conversation(file: str, data: dict[str, Any]) -> None:
    case = read_case(data)
    assert not case.flow.errors, case.flow.errors
    assert "status" in case.ends, "a conversation says how it ends"
    assert case.ends.keys() & {"path", "pathEnds"}, "a conversation says which way it went"
    play(case)


def test_there_are_enough_conversations() -> None:
    assert len(CONVERSATIONS) >= 25


def test_every_exit_is_taken_somewhere() -> None:
    taken = {exit_ for _, data in CONVERSATIONS for exit_ in exits_taken(play(read_case(data)))}
    taken |= {
        exit_
        for kind, data in all_cases()
        if "script" in data
        for exit_ in exits_taken(play(scripted(kind, data)))
    }
    there_are = {
        (kind, f"each of {place.rows}" if isinstance(place, ExitPerRow) else place.handle)
        for kind, node_type in node_types().items()
        for place in node_type.exits
    }
    assert not there_are - taken
