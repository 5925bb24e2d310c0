"""What one run has found: named figures for the table, and samples for whoever wants to look closer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Findings:
    """Figures by name (`accept.per_second`), and per section everything else that is worth keeping."""

    figures: dict[str, float] = field(default_factory=dict)
    samples: dict[str, Any] = field(default_factory=dict)

    def add(self, other: Findings) -> None:
        self.figures |= other.figures
        self.samples |= other.samples


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent of all values do not exceed; NaN of none."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Percentiles of times, in milliseconds."""
    return {
        "count": len(seconds),
        **{
            f"p{percent:g}_ms": round(percentile(seconds, percent) * 1000, 3)
            for percent in (50, 90, 95, 99, 100)
        },
    }
