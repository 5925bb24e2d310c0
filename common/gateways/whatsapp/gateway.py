"""Sending to WhatsApp: one call, and a result that says for certain, or says that it is not certain."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from common.errors import ConfigurationError
from common.gateways.deadline_socket import tls_context
from common.gateways.keep_alive import KeepAlivePool, NoAnswer, NotDelivered
from common.gateways.whatsapp.answer import read_answer
from common.gateways.whatsapp.error_table import Action
from common.gateways.whatsapp.payload import IllegalMessage, messages_payload, read_payload
from common.gateways.whatsapp.results import NotSent, Recipient, Refused, SenderAccount, SendResult, Unknown
from common.model.phone_numbers import alternative

if TYPE_CHECKING:
    import ssl

    from common.model.turn_records import OutboundMessage

READ_SECONDS = 5.0  # marking as read is a courtesy; nothing waits longer for it
_PHONE_NUMBER_ID = re.compile(r"[0-9]{1,32}")  # it becomes part of the path
_TOKEN = re.compile(r"[\x21-\x7e]{1,4096}")  # it becomes a header: no spaces, no line ends
_REQUEST_ID = re.compile(r"[\w:.\-]{1,128}", re.ASCII)
_BASE_URL = re.compile(
    r"https?://(?:[\w.\-]+|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,4}|:[1-6][0-9]{4})?(?:/[\w.\-/]*)?", re.ASCII
)
_VERSION = re.compile(r"v[0-9]{1,3}\.[0-9]{1,3}")


class WhatsAppGateway:
    """The Cloud API at one base URL and version. Thread-safe; make one for each process."""

    def __init__(
        self,
        base_url: str,
        version: str,
        *,
        timeout_seconds: float,
        pool_size: int,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`tls` (from `tls_context`) replaces the system's certificates, for tests and private gateways.

        Raises ConfigurationError when the URL or the version is none.
        """
        if not _BASE_URL.fullmatch(base_url) or not _VERSION.fullmatch(version):
            raise ConfigurationError("GRAPH_BASE_URL must be an http(s) URL, GRAPH_VERSION like v24.0")
        parts = urlsplit(base_url)
        self._timeout_seconds = timeout_seconds
        self._pool = KeepAlivePool(base_url, size=pool_size, tls=tls or tls_context())
        self._path = f"{parts.path.rstrip('/')}/{version}/"
        self._fixed_headers = (
            f"Host: {parts.netloc}\r\n"
            "User-Agent: whatsapp-flow-builder\r\n"
            "Accept-Encoding: identity\r\n"
            "Content-Type: application/json\r\n"
        )

    def send(
        self,
        account: SenderAccount,
        recipient: Recipient,
        message: OutboundMessage,
        attempt_id: str,
        request_id: str | None = None,
    ) -> SendResult:
        """Send one message, once. Never raises; takes at most the time-out and a name look-up.

        `attempt_id` must be stored before: a status webhook echoes it when the result is Unknown.
        """
        if (fault := _account_fault(account)) is not None:
            return fault
        try:
            body = messages_payload(recipient, message, attempt_id)
        except IllegalMessage as illegal:
            return Refused(None, None, str(illegal), Action.FAIL_PAYLOAD)
        request = self._request(account, body, request_id)
        try:
            answer = self._pool.exchange(request, time.monotonic() + self._timeout_seconds)
        except NotDelivered as error:
            return NotSent(str(error))
        except NoAnswer as error:
            return Unknown(str(error))
        return _with_alternative(read_answer(answer, account.access_token), recipient)

    def mark_read(
        self, account: SenderAccount, wamid: str, *, typing: bool = False, request_id: str | None = None
    ) -> bool:
        """Show the contact that we read the message, and are typing. Best effort: False if it did not work."""
        if _account_fault(account) is not None:
            return False
        try:
            request = self._request(account, read_payload(wamid, typing=typing), request_id)
            deadline_at = time.monotonic() + min(READ_SECONDS, self._timeout_seconds)
            return self._pool.exchange(request, deadline_at).status == HTTPStatus.OK
        except (IllegalMessage, NotDelivered, NoAnswer):
            return False

    def close(self) -> None:
        """Close idle connections."""
        self._pool.close()

    def _request(self, account: SenderAccount, body: bytes, request_id: str | None) -> bytes:
        """The whole request in one piece: one write, one packet, and half of it is never a request."""
        tracing = (
            f"X-Request-Id: {request_id}\r\n" if request_id and _REQUEST_ID.fullmatch(request_id) else ""
        )
        head = (
            f"POST {self._path}{account.phone_number_id}/messages HTTP/1.1\r\n"
            f"{self._fixed_headers}{tracing}"
            f"Authorization: Bearer {account.access_token}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode("ascii") + body


def _account_fault(account: SenderAccount) -> Refused | None:
    """Credentials that cannot even be written into a request."""
    if not _PHONE_NUMBER_ID.fullmatch(account.phone_number_id):
        return Refused(None, None, "the phone number id is not a number", Action.STOP_BOT_AUTH)
    if not _TOKEN.fullmatch(account.access_token):
        return Refused(None, None, "the access token is empty or malformed", Action.STOP_BOT_AUTH)
    return None


def _with_alternative(result: SendResult, recipient: Recipient) -> SendResult:
    """Not being on the allow-list is worth one more try only where the number has another spelling."""
    if not isinstance(result, Refused) or result.action is not Action.RETRY_ALTERNATIVE_NUMBER:
        return result
    other = alternative(recipient.wa_id) if recipient.wa_id else None
    if other is None:
        return replace(result, action=Action.FAIL_RECIPIENT)
    return replace(result, alternative_wa_id=other)
