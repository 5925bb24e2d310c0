"""Fonts for documents that hold whatever customers write. None is part of this repository: those found are used.

First those of the package `pymupdf-fonts` (FiraGO: Latin, Greek, Cyrillic, Arabic, Hebrew, Thai, Devanagari, Georgian;
Noto's symbols), then DejaVu where the machine has it. Without any, PDF's own Helvetica writes Western European.
"""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from fpdf import FPDF
from fpdf.fonts import TTFFont

_PACKAGE: Final = "pymupdf_fonts"
_PACKAGED: Final = ("FiraGO_Regular", "NotoSansSymbols2_Regular")
_ON_MACHINES: Final = (
    Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    Path("/usr/share/fonts/dejavu/DejaVuSans.ttf"),
    Path("/usr/share/fonts/TTF/DejaVuSans.ttf"),
    Path("/Library/Fonts/Arial Unicode.ttf"),
)
_CORE: Final = "helvetica"
# Invisible characters that only say how neighbours are drawn; and what stands for a character no font has.
_JOINERS: Final = frozenset({0x200B, 0x200C, 0x200D, 0x2060, 0xFE0E, 0xFE0F, 0xFEFF})
_REPLACEMENTS: Final = ("□", "\N{REPLACEMENT CHARACTER}", "?")
_RIGHT_TO_LEFT_FROM, _COMPLEX_UNTIL = 0x0590, 0x0E00  # Hebrew to Sinhala: letters that join or change places


@dataclass(frozen=True, slots=True)
class Fonts:
    """Font files, the first one for all that it has, and the characters that they have between them."""

    files: tuple[Path, ...]
    known: frozenset[int]
    shapes: bool  # letters can be joined and put in order

    def install(self, pdf: FPDF) -> str:
        """Add the fonts to a document; the name of the first."""
        for place, file in enumerate(self.files):
            pdf.add_font(f"text{place}", fname=file)
        if not self.files:
            return _CORE
        pdf.set_fallback_fonts([f"text{place}" for place in range(1, len(self.files))], exact_match=False)
        return "text0"

    def drawable(self, text: str) -> str:
        """The text with a replacement for each character that no font has; control characters become blanks."""
        replacement = next((each for each in _REPLACEMENTS if ord(each) in self.known), "?")
        return "".join(
            each
            if ord(each) in self.known
            else " "
            if each.isspace() or ord(each) < ord(" ")
            else replacement
            for each in text
            if ord(each) not in _JOINERS
        )

    def needs_shaping(self, text: str) -> bool:
        """Whether letters must be joined or put in another order, and can be."""
        return self.shapes and any(_RIGHT_TO_LEFT_FROM <= ord(each) < _COMPLEX_UNTIL for each in text)


@cache
def find_fonts() -> Fonts:
    """The fonts of this machine, found once a process."""
    files = [*_packaged(), *(path for path in _ON_MACHINES if path.is_file())][:3]
    known = frozenset[int]().union(*(_characters(path) for path in files)) if files else _latin1()
    return Fonts(tuple(files), known, shapes=importlib.util.find_spec("uharfbuzz") is not None)


def _packaged() -> list[Path]:
    """The package holds its fonts as bytes; the library that writes PDF wants files."""
    if importlib.util.find_spec(_PACKAGE) is None:
        return []
    folder = Path(tempfile.mkdtemp(prefix="flow-builder-fonts-"))
    files = []
    for name in _PACKAGED:
        file = folder / f"{name}.ttf"
        file.write_bytes(importlib.import_module(f"{_PACKAGE}.{name}").fontbuffer)
        files.append(file)
    return files


def _characters(path: Path) -> frozenset[int]:
    probe = FPDF()
    probe.add_font("probe", fname=path)
    font = probe.fonts["probe"]
    known = frozenset(font.cmap) if isinstance(font, TTFFont) else frozenset[int]()
    close_fonts(probe)
    return known


def close_fonts(pdf: FPDF) -> None:
    """Let go of the font files that a document had open; it cannot be written to afterwards."""
    for font in pdf.fonts.values():
        if isinstance(font, TTFFont):
            font.ttfont.close()


def _latin1() -> frozenset[int]:
    return frozenset({*range(0x20, 0x7F), *range(0xA0, 0x100)})
