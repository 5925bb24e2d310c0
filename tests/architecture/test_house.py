"""The rules of the house that no other tool checks."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from scripts import docs
from scripts.docs import PAGES, stale_pages

ROOT: Final = Path(__file__).resolve().parents[2]
CODE: Final = ("api", "worker", "common", "scripts", "tests")
MAX_LINES: Final = 400
MAX_TEST_LINES: Final = 900  # a table of cases may be long
EVENT: Final = re.compile(r"[a-z_]+(\.[a-z_]+)+")
LOG_METHODS: Final = {"debug", "info", "warning", "error", "critical", "exception"}
# Where packages came from is this machine's business. Written apart, so that this file does not name them itself.
REGISTRY_HOSTS: Final = (
    "pypi" + ".org",
    "pythonhosted" + ".org",
    "npmjs" + ".org",
    "index" + "-url",
    "/opt/" + "pypi",
)
TEXTS: Final = {".py", ".md", ".cfg", ".toml", ".txt", ".yaml", ".json", ".sh", ".lark", ""}


def python_files() -> Iterator[Path]:
    for room in CODE:
        yield from (path for path in sorted((ROOT / room).rglob("*.py")))


def calls(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield node


def events(call: ast.Call) -> list[str]:
    """The event names that a log call can write; a value in an f-string counts as one word."""
    match call.args:
        case [ast.IfExp(body=ast.Constant(value=first), orelse=ast.Constant(value=second))]:
            return [str(first), str(second)]
        case [ast.JoinedStr(values=parts)]:
            return ["".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)]
        case [ast.Constant(value=event)]:
            return [str(event)]
        case _:
            return [""]


def test_nobody_imports_what_the_contracts_forbid() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_the_contracts_know_no_exceptions() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for section in setup.sections():
        if section.startswith("importlinter"):
            assert not setup[section].get("ignore_imports", "").strip(), section


@pytest.mark.parametrize("page", PAGES)
def test_generated_documentation_is_fresh(page: str) -> None:
    assert stale_pages([page]) == [], f"run: .venv/bin/python -m scripts.docs {page}"


def test_a_stale_page_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "settings.md").write_text(docs.settings_page() + "edited")
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    assert stale_pages(["settings", "errors"]) == ["settings", "errors"]


def test_no_file_is_too_long() -> None:
    long = {
        str(path.relative_to(ROOT)): length
        for path in python_files()
        if (length := len(path.read_text(encoding="utf-8").splitlines()))
        > (MAX_TEST_LINES if path.is_relative_to(ROOT / "tests") else MAX_LINES)
    }
    assert long == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in python_files()
        if (text := path.read_text(encoding="utf-8")).strip() and not ast.get_docstring(ast.parse(text))
    ]
    assert silent == []


def test_nothing_evaluates_text_as_code() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in python_files()
        for call in calls(path)
        if isinstance(call.func, ast.Name) and call.func.id in {"eval", "exec"}
    ]
    assert found == []


def test_log_events_have_dotted_names() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in python_files()
        for call in calls(path)
        if isinstance(call.func, ast.Attribute)
        and call.func.attr in LOG_METHODS
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id in {"log", "_log"}
        and not all(EVENT.fullmatch(event) for event in events(call))
    ]
    assert wrong == []


def test_the_repository_names_no_package_registry() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found = [
        f"{name}: {host}"
        for name in listed.stdout.splitlines()
        if (path := ROOT / name).suffix in TEXTS and path.is_file()
        for host in REGISTRY_HOSTS
        if host in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert found == []


def test_constraints_are_names_and_versions_only() -> None:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._+]+", line) for line in lines)
