"""The parts of an address, each with its own way of taking in a value."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import quote, unquote, urlsplit

from common.flow.references import Chain
from common.flow.text_template import FillError, Piece, TemplateError
from common.flow.variables import Scope, to_text

if TYPE_CHECKING:
    from collections.abc import Callable

Part: TypeAlias = "Callable[[Scope], str]"

# What RFC 3986 lets stand unencoded in each part, for the constants; % is seen to in `_encode_constant`.
_PATH_SAFE: Final = "!$&'()*+,;=:@~%"
_QUERY_SAFE: Final = "!$'()*+,;:@/?=~%"
_FRAGMENT_SAFE: Final = _PATH_SAFE + "/?"
_USER_SAFE: Final = "!$&'()*+,;=:~%"

_LONE_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::[0-9]{1,5})?")
_BASE: Final = re.compile(
    r"(?P<scheme>https?)://(?:(?P<user>[^\s/?#@\\]*)@)?(?P<host>[^\s/?#@\\]+)(?P<path>/[^\s?#\\]*)?(?P<tail>[?#][^\s\\]*)?",
    re.IGNORECASE,
)


def split_first(pieces: list[Piece], separators: str) -> tuple[list[Piece], str, list[Piece]]:
    """The pieces before and after the first constant separator; "" and nothing where there is none."""
    for index, piece in enumerate(pieces):
        if isinstance(piece, str):
            found = min((at for char in separators if (at := piece.find(char)) >= 0), default=-1)
            if found >= 0:
                before = [*pieces[:index], piece[:found]]
                return before, piece[found], [piece[found + 1 :], *pieces[index + 1 :]]
    return pieces, "", []


def split_all(pieces: list[Piece], separator: str) -> list[list[Piece]]:
    """The pieces between the constant separators."""
    parts: list[list[Piece]] = [[]]
    for piece in pieces:
        if isinstance(piece, Chain):
            parts[-1].append(piece)
            continue
        first, *others = piece.split(separator)
        parts[-1].append(first)
        parts.extend([other] for other in others)
    return parts


def authority(pieces: list[Piece]) -> Part:
    """User information, host and port, looked up among trusted variables."""
    user, at_sign, host = split_first(pieces, "@")
    if not at_sign:
        user, host = [], pieces
    if any(isinstance(piece, str) and "@" in piece for piece in host):
        raise TemplateError("The address has two @ before its path; write %40 for an @ in a password.", 0)
    if not any(isinstance(piece, Chain) or piece for piece in host):
        raise TemplateError("The address has no host, as in https://example.com.", 0)
    fill_user = _encoded(user, _USER_SAFE, _trusted_text)
    fill_host = _joined([piece if isinstance(piece, str) else _trusted_text(piece) for piece in host])
    return lambda trusted: f"{fill_user(trusted)}{at_sign}{_require_host(fill_host(trusted))}"


def base(chain: Chain, rest: list[Piece]) -> Part:
    """An address that a trusted variable holds; a path after it continues its path."""
    text = _trusted_text(chain)
    continued = next((piece[0] for piece in rest if isinstance(piece, str) and piece), "")

    def fill(trusted: Scope) -> str:
        found = _BASE.fullmatch(text(trusted).strip())
        if not found or (found["tail"] and rest):
            raise FillError(
                "fill.url_base",
                f"The bot variable {chain.label} does not hold an address that begins with https://.",
            )
        path = _encode_constant(found["path"] or "", _PATH_SAFE + "/")
        if continued == "/":
            path = path.rstrip("/")
        user = "" if found["user"] is None else _encode_constant(found["user"], _USER_SAFE) + "@"
        tail = _encode_constant(found["tail"] or "", _FRAGMENT_SAFE + "#")
        return f"{found['scheme'].lower()}://{user}{_require_host(found['host'])}{path}{tail}"

    return fill


def segment(pieces: list[Piece], before: str) -> Part:
    """One segment of the path, behind its slash: with a placeholder in it, never empty, never a dot segment."""
    fill = _encoded(pieces, _PATH_SAFE, _text)
    chains = [piece for piece in pieces if isinstance(piece, Chain)]
    if not chains:
        return _prefixed(before, fill)
    label = chains[0].label

    def fill_checked(scope: Scope) -> str:
        filled = fill(scope)
        if not filled:
            raise FillError("fill.url_segment_empty", f"{label} is empty, so the address would lose a part.")
        if any(step.split(";")[0] in (".", "..") for step in re.split(r"[/\\]", unquote(filled))):
            raise FillError(
                "fill.url_path_dots", f"{label} holds . or .., which would change the address's path."
            )
        return before + filled

    return fill_checked


def parameter(pieces: list[Piece], before: str) -> Part:
    """One parameter of the query, behind its ? or &; a name that comes from a variable is never empty."""
    name, equals, value = split_first(pieces, "=")
    fill_name = _encoded(name, _QUERY_SAFE, _text)
    fill_value = _encoded(value, _QUERY_SAFE, _text)
    chains = [piece for piece in name if isinstance(piece, Chain)]

    def fill(scope: Scope) -> str:
        filled = fill_name(scope)
        if chains and not filled:
            raise FillError("fill.url_parameter_empty", f"{chains[0].label} is empty, but names a parameter.")
        return f"{before}{filled}{equals}{fill_value(scope)}"

    return fill


def fragment(pieces: list[Piece]) -> Part:
    """What follows the #."""
    return _prefixed("#", _encoded(pieces, _FRAGMENT_SAFE, _text))


def _text(chain: Chain) -> Part:
    return chain.text_resolver()


def _trusted_text(chain: Chain) -> Part:
    resolve = chain.resolver()

    def fill(trusted: Scope) -> str:
        text = to_text(resolve(trusted))
        if not text:
            raise FillError(
                "fill.url_host_untrusted",
                f"{chain.label} is not set as a bot variable. Only bot variables can say where a request goes.",
            )
        return text

    return fill


def _encoded(pieces: list[Piece], safe: str, text_of: Callable[[Chain], Part]) -> Part:
    return _joined(
        [
            _encode_constant(piece, safe) if isinstance(piece, str) else _encoded_value(text_of(piece))
            for piece in pieces
        ]
    )


def _encoded_value(text: Part) -> Part:
    return lambda scope: quote(text(scope), safe="", errors="replace")


def _joined(parts: list[str | Part]) -> Part:
    if all(isinstance(part, str) for part in parts):
        constant = "".join(part for part in parts if isinstance(part, str))
        return lambda _scope: constant
    return lambda scope: "".join([part if isinstance(part, str) else part(scope) for part in parts])


def _prefixed(prefix: str, part: Part) -> Part:
    return lambda scope: prefix + part(scope)


def _encode_constant(text: str, safe: str) -> str:
    return quote(_LONE_PERCENT.sub("%25", text), safe=safe)


def _require_host(host: str) -> str:
    try:
        if _HOST.fullmatch(host) and urlsplit(f"//{host}").port != 0:
            return host
    except ValueError:  # a port beyond 65535, half an IPv6 address, letters that stand for a slash
        pass
    raise FillError("fill.url_host", "The host of the address is not valid; it looks like api.example.com.")
