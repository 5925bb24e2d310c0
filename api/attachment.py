"""Answers that a browser saves as a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from flask import Response, stream_with_context

from api.downloads import Download

_NOT_IN_A_FILE_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_MOST_CHARACTERS = 80


def attachment(value: Any, name: str) -> Response:
    """A JSON file."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    return Response(text, mimetype="application/json", headers=_headers(name))


def streamed_attachment(pieces: Iterable[str], name: str, place: Download) -> Response:
    """A JSON file whose text comes piece by piece. It holds its place until the client has it all, or is gone."""
    text = _begun(iter(pieces), place)
    response = Response(stream_with_context(text), mimetype="application/json", headers=_headers(name))
    response.call_on_close(place.close)
    return response


def _begun(pieces: Iterator[str], place: Download) -> Iterator[str]:
    """The same; what goes wrong with the first piece is still an error answer, not a file that breaks off."""
    try:
        first = next(pieces, "")
    except BaseException:
        place.close()
        raise

    def rest() -> Iterator[str]:
        try:
            yield first
            yield from pieces
        finally:
            place.close()

    return rest()


def _headers(name: str) -> dict[str, str]:
    plain = _NOT_IN_A_FILE_NAME.sub("-", name).strip("-.")[:_MOST_CHARACTERS] or "file"
    return {"Content-Disposition": f'attachment; filename="{plain}.json"'}
