"""Webhook bodies as Meta sends them: elements, envelopes, wire form and signature."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

NUMBER = "106540352242922"
OTHER_NUMBER = "206540352242922"
WA_ID = "16505551234"
BSUID = "US.13491208655302741918"

Json = dict[str, Any]


def message(wamid: str, /, **fields: Any) -> Json:
    """A text message; `fields` replace or add (`sender=None` leaves the phone number out)."""
    sender = fields.pop("sender", WA_ID)
    element: Json = {"from": sender, "id": wamid, "timestamp": "1750030073", "type": "text"}
    if sender is None:
        del element["from"]
    element |= fields
    if element["type"] == "text":
        element.setdefault("text", {"body": "hi"})
    return element


def status(wamid: str, name: str = "sent", /, **fields: Any) -> Json:
    """What became of a message of ours."""
    return {"id": wamid, "status": name, "timestamp": "1750030073", "recipient_id": WA_ID, **fields}


def value(number: str = NUMBER, /, **fields: Any) -> Json:
    """The value of a change: `messages`, `statuses`, `contacts`, `errors` as given."""
    metadata = {"display_phone_number": "15550783881", "phone_number_id": number}
    return {"messaging_product": "whatsapp", "metadata": metadata, **fields}


def change(of: Any, field: Any = "messages") -> Json:
    return {"field": field, "value": of}


def post(*values: Json) -> Json:
    """A body with one entry for each value."""
    return envelope(*({"id": "102290129340398", "changes": [change(each)]} for each in values))


def envelope(*entries: Any) -> Json:
    return {"object": "whatsapp_business_account", "entry": list(entries)}


def to_wire(body: object) -> bytes:
    r"""Meta's spelling of JSON: `\u` escapes with lower-case hex beyond ASCII, and `\/`."""
    return json.dumps(body, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def sign(secret: str, raw: bytes) -> str:
    """The X-Hub-Signature-256 header that goes with these bytes."""
    return "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
