"""Meta's webhook and the health routes in the OpenAPI document: they stand outside the API's conventions."""

from __future__ import annotations

from typing import Any


def webhook_paths() -> dict[str, Any]:
    """The paths that are not made of `Routes`."""
    return {
        "/api/webhook/whatsapp": {
            "get": _outside(
                "verifyWebhook",
                "webhook",
                "Answer Meta's verification request",
                {"200": "The challenge, as plain text", "403": "Another verify token than ours"},
            ),
            "post": _outside(
                "receiveWebhook",
                "webhook",
                "Store what Meta delivers",
                {
                    "200": "Everything in it is stored, or was before",
                    "401": "The signature is missing or does not fit; nothing was stored",
                    "413": "Larger than MAX_BODY_BYTES",
                    "503": "The database is away; Meta delivers it again",
                },
            ),
        },
        "/health/live": {
            "get": _outside("live", "health", "Is the process alive?", {"200": "It is"}),
        },
        "/health/ready": {
            "get": _outside(
                "ready",
                "health",
                "Can it do its work?",
                {"200": "It can", "503": "It cannot; the body says why"},
            ),
        },
    }


def _outside(operation_id: str, tag: str, summary: str, answers: dict[str, str]) -> dict[str, Any]:
    return {
        "operationId": operation_id,
        "tags": [tag],
        "summary": summary,
        "x-access": "OUTSIDE",
        "security": [],
        "responses": {status: {"description": words} for status, words in answers.items()},
    }
