"""Bots: make, describe, copy, export, import and delete them."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from flask import Response

from api.attachment import attachment
from api.rest.access import Access
from api.rest.call import Call, conflict, invalid, not_found
from api.rest.routes import Routes
from api.rest.schemas import NAME_MOST, page_of
from api.schemas.bots import (
    BotChange,
    BotDuplicate,
    BotFileView,
    BotImport,
    BotsQuery,
    BotView,
    NewBot,
)
from api.stale_save import stale_save
from common.errors import AppError, ErrorCode
from common.flow.bot_files import bot_file, read_bot_file
from common.flow.files import BadFile
from common.model.bot_parts import MOST_FLOWS, BotParts
from common.model.retention import KeptDays, kept_days
from common.store.bot_copies import NotMade, TooLarge
from common.store.bot_records import KEEPS_LIKE_THE_INSTALLATION
from common.store.database import Document

routes = Routes("bots", "/api/bots", "Bots: make, describe, copy, export, import and delete them.")

# What is exported can be imported; written in ASCII, text can take more room.
MOST_FILE_BYTES: Final = 8 * 1024 * 1024
_MOST_IMPORT_BYTES: Final = 2 * MOST_FILE_BYTES


@routes.get("", access=Access.USER, query=BotsQuery, answer=page_of(BotView))
def list_bots(call: Call) -> Document:
    """List your bots."""
    sort = call.query["sort"]
    page = call.store.bot_records.page(
        call.user_id,
        limit=call.query["limit"],
        cursor=call.query["cursor"],
        sort=sort.lstrip("-"),
        is_descending=sort.startswith("-"),
        text=call.query["name"],
    )
    return {"items": _shown(call, page.items), "nextCursor": page.next_cursor}


@routes.post("", access=Access.USER, body=NewBot, answer=BotView, status=201, idempotent=True)
def create_bot(call: Call) -> Document:
    """Create a bot.

    It has no flows yet, and no WhatsApp number.
    """
    bot = call.store.bot_records.create(
        call.new_id, call.user_id, call.body["name"], call.body["description"]
    )
    _audit(call, "bot.created", bot)
    return _shown_one(call, bot)


@routes.get("/<bot_id>", access=Access.READER, answer=BotView)
def get_bot(call: Call) -> Document:
    """Show a bot."""
    return _shown_one(call, call.bot)


@routes.patch("/<bot_id>", access=Access.OWNER, body=BotChange, answer=BotView)
def change_bot(call: Call) -> Document:
    """Change a bot's name, description or settings.

    What is kept for less time from now on, and is older already, is deleted within minutes. 409 `revision_conflict`
    where the bot was changed meanwhile.
    """
    retention = _retention(call)
    changed = call.store.bot_records.change(
        call.bot_id,
        call.user_id,
        revision=call.body["revision"],
        name=call.body.get("name"),
        description=call.body.get("description"),
        retention=retention,
    )
    if changed is None:
        raise _stale(call)
    if retention is not None:
        detail = {"before": (call.bot.get("settings") or {}).get("retention"), "after": retention}
        call.audit("bot.retention_changed", target_type="bot", target_id=call.bot_id, detail=detail)
    return _shown_one(call, changed)


@routes.delete("/<bot_id>", access=Access.OWNER)
def delete_bot(call: Call) -> None:
    """Delete a bot, with everything under it.

    Its number is free at once, and nothing is answered any more. Conversations, messages, logs, flows and figures
    are deleted in the background, also those of conversations that are under way.
    """
    detail = {"name": call.bot["name"]}
    entry = call.audit_entry("bot.deleted", target_type="bot", target_id=call.bot_id, detail=detail)
    if not call.store.deletions.ask_for_bot(call.bot_id, entry):
        raise not_found("bot")


@routes.post(
    "/<bot_id>/duplicate",
    access=Access.OWNER,
    body=BotDuplicate,
    answer=BotView,
    status=201,
    idempotent=True,
)
def duplicate_bot(call: Call) -> Document:
    """Copy a bot: its variables, settings and flows with their drafts.

    Not its number, its customers, its history, nor what is live: deploy the flows of the copy when they are ready.
    409 `too_large` where it has too many flows, or too much in them, to be copied at once.
    """
    parts = _taken_apart(call)
    end = " (copy)"
    name = call.body["name"] or parts.name[: NAME_MOST - len(end)] + end
    bot = _make(call, parts, name)
    call.audit(
        "bot.duplicated", target_type="bot", target_id=bot["_id"], detail={"from": call.bot_id, "name": name}
    )
    return _shown_one(call, bot)


@routes.get(
    "/<bot_id>/export", access=Access.OWNER, answer=BotFileView, refusals=(HTTPStatus.CONFLICT.value,)
)
def export_bot(call: Call) -> Response:
    """Export a bot as a file: variables with their values, settings, and flows with their drafts.

    No customers, no history, and no keys of its connections to WhatsApp and OpenAI. But what somebody wrote into a bot
    variable, or into a header of an API node, is in the file as it stands there, also where that is a secret: look
    through it before you pass it on. Without ids and times: what is imported from it exports to the same file again.
    409 `too_large` where it has too many flows, or too much in them, for one file.
    """
    file = bot_file(_taken_apart(call))
    response = attachment(BotFileView().dump(file), f"bot-{call.bot['name']}")
    if len(response.get_data()) > MOST_FILE_BYTES:
        raise _too_large()
    _audit(call, "bot.exported", call.bot)
    return response


@routes.post(
    "/import",
    access=Access.USER,
    body=BotImport,
    answer=BotView,
    status=201,
    idempotent=True,
    most_bytes=_MOST_IMPORT_BYTES,
)
def import_bot(call: Call) -> Document:
    """Import a bot from a file.

    It becomes a new bot, of which nothing is live yet. 422 says what is wrong with the file, and where.
    """
    try:
        parts = read_bot_file(call.body["file"])
    except BadFile as bad:
        raise invalid({f"file.{at}" if at else "file": why for at, why in bad.problems.items()}) from None
    bot = _make(call, parts, call.body["name"] or parts.name)
    _audit(call, "bot.imported", bot)
    return _shown_one(call, bot)


def _taken_apart(call: Call) -> BotParts:
    try:
        return call.store.bot_copies.take_apart(call.bot, most_bytes=MOST_FILE_BYTES)
    except TooLarge:
        raise _too_large() from None


def _too_large() -> AppError:
    return conflict(
        ErrorCode.TOO_LARGE,
        f"This bot has more than {MOST_FILE_BYTES // 1024**2} MiB in its flows, or more than {MOST_FLOWS} of them: too "
        "much to copy or export at once. Export its flows one by one.",
    )


def _make(call: Call, parts: BotParts, name: str) -> Document:
    named = BotParts(
        name, parts.description, parts.retention, parts.variables, parts.flows, parts.default_flow
    )
    try:
        return call.store.bot_copies.make(call.new_id, call.user_id, named)
    except NotMade:
        raise AppError(
            ErrorCode.DATABASE_UNAVAILABLE,
            HTTPStatus.SERVICE_UNAVAILABLE,
            "This took too long. Nothing is left of it; try again.",
        ) from None


def _retention(call: Call) -> dict[str, Any] | None:
    """The times that the body sets; None where it says nothing of them. Raises AppError 422."""
    given = call.body.get("settings", {}).get("retention")
    if given is None:
        return None
    most = _most(call)
    wanted = {"messageDays": given["message_days"], "executionLogDays": given["execution_log_days"]}
    bounds = {"messageDays": most.messages, "executionLogDays": most.execution_logs}
    wrong = {
        f"settings.retention.{name}": [f"This installation keeps them for {bounds[name]} days at most."]
        for name, days in wanted.items()
        if days is not None and days > bounds[name]
    }
    if wrong:
        raise invalid(wrong)
    return wanted


def _most(call: Call) -> KeptDays:
    return KeptDays(call.settings.message_days, call.settings.execution_log_days)


def _shown_one(call: Call, bot: Document) -> Document:
    return _shown(call, [bot])[0]


def _shown(call: Call, bots: Sequence[Document]) -> list[Document]:
    overviews = call.store.bot_records.overviews([bot["_id"] for bot in bots])
    return [{**_complete(bot, _most(call)), **overviews[bot["_id"]]} for bot in bots]


def _complete(bot: Document, most: KeptDays) -> Document:
    retention = (bot.get("settings") or {}).get("retention") or KEEPS_LIKE_THE_INSTALLATION
    kept = kept_days(retention, most)
    return {
        **bot,
        "description": bot.get("description") or "",
        "revision": bot.get("revision", 0),
        "settings": {"retention": retention},
        "keptDays": {"messageDays": kept.messages, "executionLogDays": kept.execution_logs},
    }


def _stale(call: Call) -> AppError:
    """409: somebody saved meanwhile, with who and when; 404 where it was deleted."""
    now = call.store.bot_records.find(call.bot_id, owner_id=call.user_id)
    if now is None:
        return not_found("bot")
    return stale_save(call, now.get("revision", 0), now.get("updatedBy"), now.get("updatedAt"))


def _audit(call: Call, action: str, bot: Document) -> None:
    call.audit(action, target_type="bot", target_id=bot["_id"], detail={"name": bot["name"]})
