"""docs/states.md and the code name the same crash points and the same states; the sweep visits every point."""

from __future__ import annotations

import re
from enum import StrEnum

import pytest

from common.model.jobs import JobState
from common.model.outbox import MessageStatus
from common.model.parking import ParkedFor
from common.model.session import SessionStatus
from scripts.local.stack import ROOT
from tests.crash.test_deploys import DEPLOY
from tests.crash.test_sweep import TIMER, WEB, WORKER
from tests.crash.test_sweeper import SWEEPER

PAGE = (ROOT / "docs" / "states.md").read_text()


def points_in_code() -> dict[str, str]:
    """Each crash point with the file that it stands in."""
    found: dict[str, str] = {}
    for package in ("api", "worker", "common"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for name in re.findall(r'crashpoint\("(\w+)"\)', path.read_text()):
                assert name not in found, f"{name} stands in two places"
                found[name] = str(path.relative_to(ROOT))
    return found


def points_on_page() -> dict[str, str]:
    return dict(re.findall(r"^\| `([A-Z]\d+)` \| `([^`]+)` \|", PAGE, re.MULTILINE))


def test_the_page_lists_every_crash_point_with_its_place() -> None:
    assert points_on_page() == points_in_code()


def test_the_sweep_hits_every_crash_point() -> None:
    assert sorted([*WORKER, *WEB, *TIMER, *DEPLOY, *SWEEPER]) == sorted(points_in_code())


@pytest.mark.parametrize(
    ("chapter", "states"),
    [("A job", JobState), ("A message", MessageStatus), ("A session", SessionStatus)],
    ids=["job", "message", "session"],
)
def test_the_page_names_every_state(chapter: str, states: type[StrEnum]) -> None:
    text = PAGE.partition(f"## {chapter}\n")[2].partition("\n## ")[0]
    assert {state.value for state in states} == set(re.findall(r"^\| `([A-Z]+)` \|", text, re.MULTILINE))


def test_the_page_names_every_reason_for_parking() -> None:
    text = PAGE.partition("| parked for |")[2].partition("\n\n")[0]
    assert {reason.value for reason in ParkedFor} == set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
