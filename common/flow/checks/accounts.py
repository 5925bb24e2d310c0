"""What the flow needs outside of itself is connected: the OpenAI account, WhatsApp."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from common.flow.validation.check import Check, error, warning

if TYPE_CHECKING:
    from common.flow.validation.view import FlowView
    from common.model.issues import Issue


class Accounts(Check):
    name = "accounts"
    title = "Accounts are connected"
    rank = 190
    codes = (
        error(
            "account.no_openai",
            "The flow asks an AI model, but you have not saved an OpenAI key: every such step would fail.",
            "Save your OpenAI key under Settings, or remove the AI nodes.",
        ),
        warning(
            "account.unknown_model",
            "The model is none of those that your OpenAI account is known to have.",
            "Check how it is spelled, or choose one from the list.",
        ),
        warning(
            "account.no_whatsapp",
            "The bot is not connected to WhatsApp. The flow can be tried in the simulator, but not go live.",
            "Connect WhatsApp in the bot's settings.",
        ),
    )

    def find(self, view: FlowView) -> Iterator[Issue]:
        context = view.context
        if context.is_whatsapp_connected is False:
            message = (
                "This bot is not connected to WhatsApp yet. Connect it in the bot's settings to go live."
            )
            yield self.issue("account.no_whatsapp", message)
        for node in view.flow.nodes.values():
            model = None if node.settings is None else node.type.asks_model(node.settings)
            if model is None:
                continue
            if context.has_openai_account is False:
                message = (
                    f'"{node.label}" asks an AI model, but there is no OpenAI key. Save yours under Settings.'
                )
                yield self.issue("account.no_openai", message, node.node_id)
            if context.models is not None and model not in context.models:
                message = (
                    f'"{node.label}" asks the model "{model}", which is not known. Check how it is spelled.'
                )
                yield self.issue("account.unknown_model", message, node.node_id, "model")
