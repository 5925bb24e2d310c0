"""The benchmark's command works: its quickest sections run, print their table, and keep what they found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench import report
from scripts.bench.catalogue import FIGURES
from scripts.bench.figures import percentile
from scripts.bench.goals import GOALS, at_least, at_most
from scripts.bench.table import missed

ROOT = Path(__file__).resolve().parents[2]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)


def test_quick_sections_are_measured_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.json"
    done = bench("--quick", "--only", "floor,accept,engine", "--json", str(path))
    assert done.returncode == 0, done.stderr
    run = json.loads(path.read_text())
    assert run["is_quick"]
    assert {"machine", "versions", "settings", "samples"} <= run.keys()
    for key in ("floor.per_second", "inserts.per_second", "accept.per_second", "engine.per_second"):
        assert run["figures"][key] > 0, key
    assert "webhooks accepted" in done.stdout
    assert "Fourteen round trips" in done.stdout
    monkeypatch.setattr(report, "PAGE", tmp_path / "performance.md")
    page = report.write(path).read_text()
    assert "| webhooks accepted, 16 clients |" in page


def test_messages_are_replied_to_end_to_end(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    done = bench("--quick", "--only", "flow", "--json", str(path))
    assert done.returncode == 0, done.stderr
    run = json.loads(path.read_text())
    assert run["figures"]["flow.at_once.per_second"] > 0
    assert run["figures"]["memory.worker_mb"] > 10
    assert run["samples"]["flow repeated"] == 0


def test_an_unknown_section_is_refused() -> None:
    done = bench("--only", "flor")
    assert done.returncode == 2
    assert "flow" in done.stderr


def test_every_goal_belongs_to_a_figure_and_is_judged() -> None:
    assert GOALS.keys() <= {figure.key for figure in FIGURES}
    assert at_least(2).is_met_by(2)
    assert not at_least(2).is_met_by(1.9)
    assert not at_most(2).is_met_by(2.1)
    assert missed({"accept.ratio": 0.1, "flow.late.ratio": 9.0, "floor.clients_1": 1.0}) == ["accept.ratio"]


def test_percentiles() -> None:
    assert percentile(range(1, 101), 99) == 99
    assert percentile([5.0], 50) == 5.0
