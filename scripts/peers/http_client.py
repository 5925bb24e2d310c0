"""A keep-alive HTTP/1.1 client on asyncio, just enough to deliver webhooks cheaply."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_ANSWER_BYTES = 1024 * 1024


class DeliveryError(Exception):
    """No HTTP answer came back: refused, reset, timed out, or not HTTP."""


@dataclass(slots=True)
class _Wire:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class HttpClient:
    """Keeps idle connections per origin."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str], list[_Wire]] = {}

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes = b"",
        timeout_seconds: float = 20.0,
    ) -> tuple[int, bytes]:
        """Status and body of the answer; raises DeliveryError when there is none."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._exchange(method, url, headers or {}, body)
        except (OSError, ValueError, EOFError, TimeoutError, asyncio.LimitOverrunError) as error:
            raise DeliveryError(f"{type(error).__name__}: {error}") from error

    async def _exchange(
        self, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes]:
        address = urlsplit(url)
        origin = (address.scheme, address.netloc)
        target = (address.path or "/") + (f"?{address.query}" if address.query else "")
        lines = [f"{method} {target} HTTP/1.1", f"Host: {address.netloc}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        message = "\r\n".join([*lines, "", ""]).encode("latin-1") + body
        wire = self._take_idle(origin) or await _open(address.scheme, address.hostname, address.port)
        try:
            wire.writer.write(message)
            await wire.writer.drain()
            status, content, is_reusable = await _read_answer(wire.reader)
        except BaseException:
            wire.writer.close()
            raise
        if is_reusable:
            self._idle.setdefault(origin, []).append(wire)
        else:
            wire.writer.close()
        return status, content

    def _take_idle(self, origin: tuple[str, str]) -> _Wire | None:
        waiting = self._idle.get(origin, [])
        while waiting:
            wire = waiting.pop()
            if not wire.reader.at_eof() and not wire.writer.is_closing():
                return wire
            wire.writer.close()
        return None

    def close(self) -> None:
        """Drop the idle connections."""
        for waiting in self._idle.values():
            for wire in waiting:
                wire.writer.close()
        self._idle.clear()


async def _open(scheme: str, host: str | None, port: int | None) -> _Wire:
    context = ssl.create_default_context() if scheme == "https" else None
    return _Wire(*await asyncio.open_connection(host, port or (443 if context else 80), ssl=context))


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Status, body, and whether the connection can be used again."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head[:-4].split("\r\n")
    status = int(status_line.split(" ", 2)[1])
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if "content-length" not in headers:
        return status, await reader.read(MAX_ANSWER_BYTES), False
    length = int(headers["content-length"])
    if length > MAX_ANSWER_BYTES:
        return status, b"", False
    return status, await reader.readexactly(length), headers.get("connection", "").lower() != "close"
