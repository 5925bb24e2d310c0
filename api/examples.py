"""The flows of docs/examples, to begin with."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

EXAMPLES: Final = Path(__file__).parents[1] / "docs" / "examples"


@cache
def example_names() -> tuple[str, ...]:
    """What the examples are called, in the order of the alphabet."""
    return tuple(sorted(path.stem for path in EXAMPLES.glob("*.json")))


@cache
def _text(name: str) -> str:
    return (EXAMPLES / f"{name}.json").read_text(encoding="utf-8")


def read_example(name: str) -> dict[str, Any] | None:
    """The flow JSON of an example, a fresh copy; None where there is no such example."""
    if name not in example_names():
        return None
    data: dict[str, Any] = json.loads(_text(name))
    return data
