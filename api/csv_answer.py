"""Tables as CSV that a spreadsheet shows and never runs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from flask import Response

# What a spreadsheet takes for the beginning of a formula, also behind blanks and in its full-width forms.
_FORMULA = re.compile(r"[\s\x00]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
_BAD_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")
# Spreadsheets take a file without it for one in the machine's old encoding.
_UTF8_MARK = "\ufeff"

Cell = str | int | float | datetime | None


def csv_response(name: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Response:
    """A download. `name` without its ending; anything odd in it is replaced."""
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    file_name = _BAD_IN_NAMES.sub("-", name).strip("-.") or "export"
    return Response(
        _UTF8_MARK + text.getvalue(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{file_name[:100]}.csv"'},
    )


def _cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return f"{cell:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(cell, str):
        return f"'{cell}" if _FORMULA.match(cell) else cell.replace("\x00", "")
    return str(cell)
