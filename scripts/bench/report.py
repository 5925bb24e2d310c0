"""docs/performance.md, written from the JSON file of a run: how to measure, what each figure means, what it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from scripts.bench import floor
from scripts.bench.catalogue import SECTIONS
from scripts.bench.table import goal_text, rows, section_of, shown, verdict
from scripts.local.stack import ROOT

PAGE: Final = ROOT / "docs" / "performance.md"

_HOW: Final = """\
```
./scripts/bench/run                              # everything, some minutes; prints a table
./scripts/bench/run --quick                      # under a minute: does the command work?
./scripts/bench/run --only floor,flow            # some sections
./scripts/bench/run --set WORKER_THREADS=4       # with another setting of the product; repeatable
./scripts/bench/run --json run.json              # keep figures, percentiles, machine, versions and settings
./scripts/bench/run report run.json              # write this page from such a file
```

Everything runs on loopback, on one machine, in processes of its own that end with the command: a fresh mongod,
the web process under gunicorn, a worker, a timer, the strict WhatsApp peer of `scripts/peers`, and the load. Since
all of them share the cores, rates differ from machine to machine and from hour to hour; the **ratios**, taken
within one run, hold. The goals stand in `scripts/bench/goals.py`; the exit status is 0 whether they are met or not,
and 1 with `--strict` where one is missed.

Latencies under a paced load count from when a message was *due*, so that a stall hides nothing. End to end, the
peer's own record of what it received is the only witness of a reply."""


def write(json_path: Path) -> Path:
    """Write the page. Raises OSError or ValueError where the file is none of ours."""
    run = json.loads(json_path.read_text(encoding="utf-8"))
    PAGE.write_text("\n".join(_lines(run)), encoding="utf-8")
    return PAGE


def _lines(run: dict[str, Any]) -> Iterator[str]:
    yield "# Performance"
    yield ""
    yield "<!-- Written by `./scripts/bench/run report FILE`; measure again rather than edit. -->"
    yield ""
    yield _HOW
    yield ""
    yield "## The floor"
    yield ""
    yield " ".join(floor.STATEMENT.split())
    yield ""
    yield from _circumstances(run)
    section = ""
    for figure, value, goal in rows(run["figures"]):
        if section_of(figure) != section:
            section = section_of(figure)
            yield from ("", f"## {SECTIONS[section]}", "")
            yield "| figure | value | goal | | what it means |"
            yield "|---|---:|---:|---|---|"
        number = f"{shown(value)} {figure.unit}"
        yield f"| {figure.title} | {number} | {goal_text(goal)} | {verdict(value, goal)} | {figure.meaning} |"
    yield from _costs(run)
    yield ""


def _circumstances(run: dict[str, Any]) -> Iterator[str]:
    machine, versions = run["machine"], run["versions"]
    yield "## This run"
    yield ""
    yield f"- {run['started_at']}, {shown(run['took_seconds'])} s{', quick' if run['is_quick'] else ''}"
    yield (
        f"- {machine['cores']} cores ({machine['processor']}), {machine['memory_gb']} GB, {machine['system']}; "
        f"load before: {machine['load_before'][0]}"
    )
    yield f"- {', '.join(f'{name} {number}' for name, number in versions.items())}"
    settings = run["settings"]
    yield f"- {settings['processes']}; mongod's cache {settings['mongod_cache_gb']} GB"
    product = " ".join(f"`{name}={value}`" for name, value in settings["product"].items())
    yield f"- settings that differ from the defaults: {product}"


def _costs(run: dict[str, Any]) -> Iterator[str]:
    """CPU a message, which says who limits the rate."""
    loads = run["samples"].get("flow at_once", {})
    if not loads:
        return
    yield from ("", "## CPU a message, end to end, the peer answering at once (ms)", "")
    names = list(next(iter(loads.values()))["cpu_ms_a_message"])
    yield f"| load | {' | '.join(names)} |"
    yield f"|---|{'---:|' * len(names)}"
    for load, run_of in loads.items():
        yield f"| {load} | {' | '.join(str(run_of['cpu_ms_a_message'][name]) for name in names)} |"
