"""`python -m scripts.bench`: measure the product on this machine, in one run, and print a table with the goals."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from common.clock import utc_now
from scripts.bench import accept, api_reads, claims, end_to_end, engine, floor, idle, report, table
from scripts.bench.figures import Findings
from scripts.bench.ground import CACHE_GB, Ground
from scripts.bench.machine import describe
from scripts.local.mongod import EmbeddedMongod

SECTIONS: Final[dict[str, Callable[[Ground], Findings]]] = {
    "floor": floor.measure,
    "accept": accept.measure,
    "flow": end_to_end.measure,
    "idle": idle.measure,
    "engine": engine.measure,
    "claim": claims.measure,
    "reads": api_reads.measure,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything was measured (and, with --strict, every goal met)."""
    options = _parser().parse_args(arguments)
    if options.report is not None:
        print(f"wrote {report.write(options.report)}")
        return 0
    run = _measure(options.only, dict(options.set), is_quick=options.quick)
    table.show(run["figures"])
    print(f"The floor. {' '.join(floor.STATEMENT.split())}")
    if options.quick:
        print("Quick: everything ran, but too briefly for the figures to mean much.")
    if options.json is not None:
        options.json.write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"wrote {options.json}")
    return 1 if options.strict and table.missed(run["figures"]) else 0


def _measure(names: Sequence[str], settings: dict[str, str], *, is_quick: bool) -> dict[str, Any]:
    started_at, started = utc_now(), time.monotonic()
    findings = Findings()
    with (
        tempfile.TemporaryDirectory(prefix="flow-bench-") as folder,
        EmbeddedMongod(Path(folder) / "mongod", cache_gb=CACHE_GB) as mongod,
    ):
        ground = Ground(mongod, Path(folder), is_quick, settings)
        circumstances = describe(ground)
        for name in names:
            print(f"{time.monotonic() - started:5.0f} s  {name} …", file=sys.stderr, flush=True)
            findings.add(SECTIONS[name](ground))
    return {
        "started_at": started_at.isoformat(timespec="seconds"),
        "took_seconds": round(time.monotonic() - started, 1),
        "is_quick": is_quick,
        **circumstances,
        "figures": {key: round(value, 4) for key, value in findings.figures.items()},
        "missed": table.missed(findings.figures),
        "samples": findings.samples,
    }


def _sections(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in SECTIONS]
    if unknown or not names:
        raise argparse.ArgumentTypeError(f"name some of: {', '.join(SECTIONS)}")
    return [name for name in SECTIONS if name in names]


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.isupper():
        raise argparse.ArgumentTypeError("a setting is given as NAME=value")
    return name, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench/run", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="a smoke test, under a minute")
    add("--only", type=_sections, default=list(SECTIONS), help=f"some of: {', '.join(SECTIONS)}")
    add("--set", type=_setting, action="append", default=[], metavar="NAME=VALUE", help="a product setting")
    add("--json", type=Path, metavar="FILE", help="write everything that was measured")
    add("--strict", action="store_true", help="exit status 1 where a goal is missed")
    commands = parser.add_subparsers(metavar="report FILE")
    reporting = commands.add_parser("report", help="write docs/performance.md from a JSON file")
    reporting.add_argument("report", type=Path, metavar="FILE")
    parser.set_defaults(report=None)
    return parser


if __name__ == "__main__":
    sys.exit(main())
