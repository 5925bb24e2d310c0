"""Figures that a test measures on its way: shown with `pytest -rA` or `-s`, for instance to compare machines."""

from __future__ import annotations

import sys


def note(name: str, value: float) -> None:
    """Show a figure."""
    sys.stdout.write(f"\nfigure: {name} = {value:.3g}\n")
