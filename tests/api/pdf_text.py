"""Reads the text out of a PDF of ours, as somebody who selects and copies it would get it."""

from __future__ import annotations

import re
import zlib

_OBJECT = re.compile(rb"(\d+) 0 obj\n(.*?)\nendobj", re.DOTALL)
_STREAM = re.compile(rb"stream\n(.*)\nendstream", re.DOTALL)
_SHOWN = re.compile(rb"/F(\d+) [\d.]+ Tf|\(((?:[^\\()]|\\.)*)\)|\b(BT)\b", re.DOTALL)
_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def text_of(pdf: bytes) -> str:
    """All text in the order in which it is drawn; a new line where it begins somewhere else."""
    objects = {int(found[1]): found[2] for found in _OBJECT.finditer(pdf)}
    fonts = {
        int(name): _characters(objects, int(number))
        for body in objects.values()
        for name, number in re.findall(rb"/F(\d+) (\d+) 0 R", body)
    }
    pages = [
        int(found[1]) for body in objects.values() if (found := re.search(rb"/Contents (\d+) 0 R", body))
    ]
    return "\n".join(_page(_stream(objects[number]), fonts) for number in sorted(pages))


def _page(content: bytes, fonts: dict[int, dict[int, str]]) -> str:
    text, font = "", next(iter(fonts.values()), {})
    for found in _SHOWN.finditer(content):
        if found[1] is not None:
            font = fonts[int(found[1])]
        elif found[3] is not None:
            text += "\n"
        else:
            raw = re.sub(
                rb"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), found[2], flags=re.DOTALL
            )
            codes = [int.from_bytes(raw[place : place + 2]) for place in range(0, len(raw), 2)]
            text += "".join(font.get(code, "\N{REPLACEMENT CHARACTER}") for code in codes)
    return text


def _stream(body: bytes) -> bytes:
    found = _STREAM.search(body)
    assert found is not None
    return zlib.decompress(found[1]) if b"/FlateDecode" in body else found[1]


def _characters(objects: dict[int, bytes], number: int) -> dict[int, str]:
    """A font's /ToUnicode: what each code means to whoever copies it."""
    found = re.search(rb"/ToUnicode (\d+) 0 R", objects[number])
    if found is None:
        return {}
    pairs = re.findall(rb"<([0-9A-Fa-f]+)>\s*<([0-9A-Fa-f]+)>\s*\n", _stream(objects[int(found[1])]))
    return {
        int(code, 16): bytes.fromhex(meaning.decode()).decode("utf-16-be", "replace")
        for code, meaning in pairs
    }
