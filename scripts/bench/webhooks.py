"""Inbound messages as Meta sends them: real shape, Meta's escaping, signed, each with an id of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time

PATH = "/api/webhook/whatsapp"
_WABA_ID = "102290129340398"


def phone_of(customer: int) -> str:
    """The wa_id of a customer by number."""
    return str(491_500_000_000 + customer)


def body(phone_number_id: str, customer: int, text: str) -> bytes:
    """The body of the webhook about one text message."""
    phone = phone_of(customer)
    message = {
        "from": phone,
        "id": "wamid." + base64.b64encode(b"\x1d\x00\x18" + secrets.token_bytes(27)).decode(),
        "timestamp": str(int(time.time())),
        "text": {"body": text},
        "type": "text",
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": phone_number_id[-11:], "phone_number_id": phone_number_id},
        "contacts": [{"profile": {"name": f"Zoë {customer}"}, "wa_id": phone}],
        "messages": [message],
    }
    payload = {
        "object": "whatsapp_business_account",
        "entry": [{"id": _WABA_ID, "changes": [{"value": value, "field": "messages"}]}],
    }
    return json.dumps(payload, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def request(port: int, app_secret: str, content: bytes, request_id: str) -> bytes:
    """The whole signed HTTP request, ready to be written to a socket."""
    signature = hmac.new(app_secret.encode(), content, hashlib.sha256).hexdigest()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: facebookexternalua\r\n"
        f"Content-Type: application/json\r\nX-Hub-Signature-256: sha256={signature}\r\n"
        f"X-Request-Id: {request_id}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode("ascii") + content
