"""The figures as a table: value, goal, by how much it is kept or missed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from scripts.bench.catalogue import FIGURES, SECTIONS, Figure
from scripts.bench.goals import GOALS, Goal

_WIDTH = 110


def section_of(figure: Figure) -> str:
    """The section that a figure stands in."""
    name = figure.key.partition(".")[0]
    return "accept" if name == "inserts" else name


def shown(value: float) -> str:
    """A figure with as many digits as it deserves."""
    if abs(value) >= 100:  # noqa: PLR2004 - three digits are enough for anything measured here
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"  # noqa: PLR2004 - as above


def goal_text(goal: Goal | None) -> str:
    return f"{'≥' if goal.is_least else '≤'} {shown(goal.limit)}" if goal else ""


def verdict(value: float, goal: Goal | None) -> str:
    """Whether the goal is met, and value by goal."""
    if goal is None:
        return ""
    return f"{'met' if goal.is_met_by(value) else 'MISSED'} ({shown(value / goal.limit)} ×)"


def rows(figures: Mapping[str, float]) -> Iterator[tuple[Figure, float, Goal | None]]:
    """The figures that were measured, in their order."""
    for figure in FIGURES:
        if figure.key in figures:
            yield figure, figures[figure.key], GOALS.get(figure.key)


def missed(figures: Mapping[str, float]) -> list[str]:
    """The figures whose goals were missed."""
    return [
        figure.key for figure, value, goal in rows(figures) if goal is not None and not goal.is_met_by(value)
    ]


def show(figures: Mapping[str, float]) -> None:
    """Print the table."""
    table = Table(box=box.SIMPLE)
    table.add_column("figure", overflow="fold")
    for title in ("value", "goal"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("unit")
    table.add_column("goal met? (value ÷ goal)")
    section = ""
    for figure, value, goal in rows(figures):
        if section_of(figure) != section:
            section = section_of(figure)
            table.add_section()
            table.add_row(f"[bold]{SECTIONS[section]}[/bold]", "", "", "", "")
        table.add_row(f"  {figure.title}", shown(value), goal_text(goal), figure.unit, verdict(value, goal))
    console = Console()
    Console(width=max(_WIDTH, console.width if console.is_terminal else 0)).print(table)
