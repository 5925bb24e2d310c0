"""A session's timeline to take away: as JSON, and as a PDF with text that can be searched and copied."""

from __future__ import annotations

import json
import threading
import time
from http import HTTPStatus
from typing import Any, Final

from flask import Response
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from api.history.pdf_fonts import Fonts, close_fonts, find_fonts
from api.history.record import SessionRecord
from api.history.timeline import timeline_page
from api.history.timeline_words import line_of
from api.history.why_words import clock
from api.schemas.sessions import SessionView
from api.schemas.transcripts import TimelineEntryView
from common.clock import utc_now
from common.errors import AppError, ErrorCode
from common.store.database import Document

MOST_TURNS: Final = 500
MOST_BYTES: Final = 10_000_000
MOST_PRINTED: Final = 500
_TURNS_AT_ONCE: Final = 50
_TONES: Final = {
    "Event": (71, 85, 105),
    "Customer": (21, 128, 61),
    "Bot": (29, 78, 216),
    "Step": (82, 82, 91),
    "Call": (13, 116, 124),
}
_CUT: Final = (
    "The rest is left out: this document holds the first {} entries. Download the timeline as JSON for more."
)
_SHORTENED: Final = (
    "Long texts in some scripts are cut off here. Download the timeline as JSON for all of them."
)
# Joining letters costs milliseconds a line, and while a document is printed, the whole process goes slowly.
_PRINT_SECONDS: Final = 2.0
_MOST_SHAPED: Final = 150  # characters
_printing: Final = threading.BoundedSemaphore(1)


def timeline_json(record: SessionRecord) -> Response:
    """The session and its entries, up to MOST_TURNS turns or MOST_BYTES."""
    shown = TimelineEntryView(many=True)
    entries: list[Any] = []
    size, turns, cursor = 0, 0, None
    while turns < MOST_TURNS and size < MOST_BYTES:
        page = timeline_page(record, turns=_TURNS_AT_ONCE, cursor=cursor)
        dumped = shown.dump(page.items)
        entries += dumped
        size += len(json.dumps(dumped))
        turns, cursor = turns + _TURNS_AT_ONCE, page.next_cursor
        if cursor is None:
            break
    body = {
        "session": SessionView().dump(record.session),
        "entries": entries,
        "isComplete": cursor is None,
    }
    text = json.dumps(body, ensure_ascii=False, indent=1)
    return _attachment(record, text.encode("utf-8", "replace"), "application/json", "json")


def timeline_pdf(record: SessionRecord) -> Response:
    """The first MOST_PRINTED entries. Raises AppError 429 while another one is printed."""
    if not _printing.acquire(blocking=False):
        raise AppError(
            ErrorCode.TOO_MANY_STREAMS,
            HTTPStatus.TOO_MANY_REQUESTS,
            "Another PDF is being written. Try again in a few seconds.",
        )
    try:
        return _timeline_pdf(record)
    finally:
        _printing.release()


def _timeline_pdf(record: SessionRecord) -> Response:
    entries: list[Document] = []
    cursor = None
    while len(entries) < MOST_PRINTED:
        page = timeline_page(record, turns=_TURNS_AT_ONCE, cursor=cursor)
        entries, cursor = entries + page.items, page.next_cursor
        if cursor is None:
            break
    is_complete = cursor is None and len(entries) <= MOST_PRINTED
    printed = print_entries(record.session, entries[:MOST_PRINTED], is_complete=is_complete)
    return _attachment(record, printed, "application/pdf", "pdf")


def _attachment(record: SessionRecord, content: bytes, media: str, extension: str) -> Response:
    response = Response(content, mimetype=media)
    name = f"conversation-{record.session_id}.{extension}"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def print_entries(session: Document, entries: list[Document], *, is_complete: bool) -> bytes:
    """A PDF of these entries, as far as there is time. Whatever customers wrote, it raises nothing."""
    fonts = find_fonts()
    pdf = _Timeline(fonts, f"Conversation {session['_id']}")
    pdf.head(session)
    give_up_at = time.thread_time() + _PRINT_SECONDS
    printed_entries = 0
    for entry in entries:
        if time.thread_time() > give_up_at:
            break
        kind, text = line_of(entry)
        pdf.add_line(clock(entry["at"]), kind, text)
        printed_entries += 1
    if not entries:
        pdf.add_line(
            clock(session["createdAt"]), "Event", "The log of this conversation is not kept any more."
        )
    if pdf.has_shortened:
        pdf.add_line("", "Event", _SHORTENED)
    if not is_complete or printed_entries < len(entries):
        pdf.add_line("", "Event", _CUT.format(printed_entries))
    printed = bytes(pdf.output())
    close_fonts(pdf)
    return printed


class _Timeline(FPDF):
    """A page of lines: time, kind, what it was."""

    _LINE, _TIME, _KIND = 4.6, 38.0, 19.0

    def __init__(self, fonts: Fonts, title: str) -> None:
        super().__init__(format="A4")
        self._fonts = fonts
        self._title = title
        self.has_shortened = False
        self.set_auto_page_break(auto=True, margin=16)
        self.set_title(title)
        self.set_creation_date(utc_now())
        self._family = fonts.install(self)
        self.set_font(self._family, size=9)
        self.add_page()

    def head(self, session: Document) -> None:
        """What the document is about."""
        self.set_font(self._family, size=14)
        self._write(0, self._title)
        self.set_font(self._family, size=9)
        test = "a test" if session["isTest"] else session.get("userPhoneNumber") or "a customer"
        self._write(0, f"With {test}, begun {clock(session['createdAt'])}, {session['status'].lower()}.")
        self._write(0, f"Written {clock(utc_now())}. All times are UTC.")
        self.ln(3)

    def add_line(self, at: str, kind: str, text: str) -> None:
        """One entry."""
        if self.will_page_break(self._LINE):
            self.add_page()
        self.set_text_color(120, 120, 120)
        self.cell(self._TIME, self._LINE, at.removesuffix(" UTC"))
        self.set_text_color(*_TONES[kind])
        self.cell(self._KIND, self._LINE, kind)
        self.set_left_margin(self.get_x())
        self._write(0, text)
        self.set_left_margin(10)
        self.set_x(10)
        self.set_text_color(0, 0, 0)

    def _write(self, width: float, text: str) -> None:
        drawn = self._fonts.drawable(text)
        if self._fonts.shapes:
            is_shaped = self._fonts.needs_shaping(drawn)
            self.set_text_shaping(is_shaped)
            if is_shaped and len(drawn) > _MOST_SHAPED:
                drawn = drawn[:_MOST_SHAPED] + "..."
                self.has_shortened = True
        self.multi_cell(width, self._LINE, drawn, new_x=XPos.LMARGIN, new_y=YPos.NEXT, align="L")

    def footer(self) -> None:
        """The number of the page."""
        if self._fonts.shapes:
            self.set_text_shaping(use_shaping_engine=False)
        self.set_y(-12)
        self.set_text_color(120, 120, 120)
        self.cell(0, 6, f"{self._title} - {self.page_no()}", align="C")
