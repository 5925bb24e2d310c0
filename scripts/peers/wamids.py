"""Message ids that look like Meta's: `wamid.` and base64, with `+`, `/` and `=` in them now and then."""

from __future__ import annotations

import base64
import os


def new_wamid() -> str:
    """A fresh id of about 60 characters."""
    return "wamid." + base64.b64encode(b"\x1c\x18\x0b" + os.urandom(24) + b"\x00").decode("ascii")
