"""Bots and all that belongs to them, read as one. Every change adds one to the bot's `configRevision`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from pymongo import UpdateOne
from pymongo.database import Database

from common.clock import utc_now
from common.ids import new_ulid
from common.model.bots import BotConfig, FlowVersion, LiveFlow, WhatsAppAccount
from common.model.encrypted_fields import ACCESS_TOKEN, APP_SECRET, OPENAI_KEY
from common.model.flow_settings import Trigger
from common.model.text_matching import folded
from common.model.values import Value, type_of
from common.store.bot_records import new_bot
from common.store.database import Document
from common.store.flow_settings import settings_of, trigger_document, triggers_of

_MADE_BY_ENSURE = frozenset({"_id", "userId", "name", "createdAt", "updatedAt"})
# (plain text, context that binds it to its record) -> ciphertext
Encrypt: TypeAlias = Callable[[str, str], str]


class Bots:
    """Bots, their numbers, flows, versions and variables."""

    def __init__(self, database: Database[Document]) -> None:
        self._db = database

    def revisions(self, bot_ids: Sequence[str]) -> dict[str, int]:
        """The current revision of each of these bots; deleted ones are missing."""
        found = self._db["bots"].find({"_id": {"$in": list(bot_ids)}}, {"configRevision": 1})
        return {document["_id"]: document.get("configRevision", 0) for document in found}

    def changed(self, bot_id: str) -> None:
        """Tell every process that something about this bot is different now."""
        self._db["bots"].update_one({"_id": bot_id}, {"$inc": {"configRevision": 1}})

    def load(self, bot_id: str) -> BotConfig | None:
        """A bot with everything that running its conversations needs."""
        bot = self._db["bots"].find_one({"_id": bot_id})
        if bot is None:
            return None
        openai = self._db["openai_accounts"].find_one({"userId": bot["userId"]})
        flows = list(self._db["flows"].find({"botId": bot_id}).sort("_id", 1))
        versions = {
            version["flowId"]: version
            for version in self._db["flow_versions"].find(
                {"flowId": {"$in": [flow["_id"] for flow in flows]}, "isProduction": True},
                {"flowId": 1, "versionNumber": 1},
            )
        }
        variables = self._db["bot_variables"].find({"botId": bot_id})
        return BotConfig(
            bot_id=bot_id,
            user_id=bot["userId"],
            revision=bot.get("configRevision", 0),
            active_flow_id=bot.get("activeFlowId"),
            flows=tuple(
                LiveFlow(
                    flow_id=flow["_id"],
                    version_id=versions[flow["_id"]]["_id"],
                    triggers=triggers_of(flow),
                    name=flow.get("name", ""),
                    number=versions[flow["_id"]]["versionNumber"],
                    restart_up_to=flow.get("restartUpTo", 0),
                )
                for flow in flows
                if flow["_id"] in versions
            ),
            flow_settings={
                flow["_id"]: settings for flow in flows if (settings := settings_of(flow)) is not None
            },
            account=self.account_of(bot_id),
            openai_key=openai["apiKey"] if openai else None,
            openai_account_id=openai["_id"] if openai else None,
            variables={variable["variableName"]: variable["variableValue"] for variable in variables},
        )

    def account_of(self, bot_id: str) -> WhatsAppAccount | None:
        """The number that a bot is connected to."""
        document = self._db["whatsapp_accounts"].find_one({"botId": bot_id})
        return _account(document) if document else None

    def connected(self) -> list[WhatsAppAccount]:
        """Every connected number."""
        return [_account(document) for document in self._db["whatsapp_accounts"].find().sort("_id", 1)]

    def accounts(self, phone_number_ids: Sequence[str]) -> dict[str, WhatsAppAccount]:
        """The connected ones among these numbers, by phone number id."""
        query = {"phoneNumberId": {"$in": list(phone_number_ids)}}
        return {
            document["phoneNumberId"]: _account(document)
            for document in self._db["whatsapp_accounts"].find(query)
        }

    def stop_sending(self, bot_id: str, reason: str, *, used: WhatsAppAccount | None = None) -> bool:
        """Stop a bot's sends and flag its connection; its messages stay queued.

        `used` is the account that Meta refused: a bot that was connected anew meanwhile is not stopped for what its
        old credentials did. Returns whether the bot is stopped.
        """
        accounts, account = self._db["whatsapp_accounts"], {"botId": bot_id}
        if used is not None:
            account |= {"accessToken": used.access_token, "phoneNumberId": used.phone_number_id}
        result = accounts.update_one(
            {**account, "stoppedFor": None},
            {"$set": {"stoppedFor": reason}, "$currentDate": {"stoppedAt": True}},
        )
        if result.modified_count:
            self.changed(bot_id)
            return True
        return accounts.find_one(account, {"_id": 1}) is not None

    def resume_sending(self, bot_id: str) -> None:
        """The connection works again."""
        self._db["whatsapp_accounts"].update_one(
            {"botId": bot_id}, {"$set": {"stoppedFor": None}, "$unset": {"stoppedAt": ""}}
        )
        self.changed(bot_id)

    def heard_statuses(self, newest: Mapping[str, datetime]) -> None:
        """Remember of when the newest status for each number is: it makes another one's silence evidence.

        Of when it is, not when it came: old ones that are delivered again say nothing about today.
        """
        if newest:
            self._db["whatsapp_accounts"].bulk_write(
                [
                    UpdateOne({"phoneNumberId": number}, {"$max": {"lastStatusAt": at}})
                    for number, at in newest.items()
                ],
                ordered=False,
            )

    def last_status_at(self, phone_number_id: str) -> Any:
        """When a status for this number last arrived (datetime), or None."""
        document = self._db["whatsapp_accounts"].find_one(
            {"phoneNumberId": phone_number_id}, {"lastStatusAt": 1}
        )
        return document.get("lastStatusAt") if document else None

    def version(self, version_id: str) -> FlowVersion | None:
        """A flow version."""
        document = self._db["flow_versions"].find_one(
            {"_id": version_id}, {"flowId": 1, "flowData": 1, "versionNumber": 1}
        )
        if document is None:
            return None
        return FlowVersion(
            document["_id"], document["flowId"], document["flowData"], document["versionNumber"]
        )

    def ensure_bot(self, user_id: str, name: str, description: str) -> tuple[str, bool]:
        """A user's bot of this name, made if there is none; returns its id and whether it is new."""
        bot = new_bot("", user_id, name, description)
        fields = {key: value for key, value in bot.items() if key not in _MADE_BY_ENSURE}
        return self._ensure("bots", {"userId": user_id, "name": name}, fields)

    def ensure_variable(self, bot_id: str, name: str, value: Value) -> bool:
        """A bot variable, made if there is none; True where it is new."""
        key = {"botId": bot_id, "variableName": name}
        return self._ensure(
            "bot_variables", key, {"variableValue": value, "variableType": type_of(value).value}
        )[1]

    def ensure_flow(
        self, bot_id: str, name: str, description: str, triggers: Sequence[Trigger]
    ) -> tuple[str, bool]:
        """A bot's flow of this name, made if there is none; returns its id and whether it is new."""
        fields = {
            "nameFolded": folded(name),
            "description": description,
            "triggers": [trigger_document(trigger) for trigger in triggers],
        }
        return self._ensure("flows", {"botId": bot_id, "name": name}, fields)

    def ensure_account(
        self, bot_id: str, account: dict[str, Any], secrets: dict[str, str], encrypt: Encrypt
    ) -> bool:
        """Connect a bot to a number unless it is connected; True where it is now. Secrets are stored encrypted."""
        account_id = new_ulid()
        fields = {field.name: field for field in (ACCESS_TOKEN, APP_SECRET)}
        sealed = {name: encrypt(value, fields[name].context(account_id)) for name, value in secrets.items()}
        return self._ensure("whatsapp_accounts", {"botId": bot_id}, {**account, **sealed}, account_id)[1]

    def ensure_openai(self, user_id: str, api_key: str, encrypt: Encrypt) -> bool:
        """Give a user an OpenAI key unless they have one; True where it is new."""
        account_id = new_ulid()
        sealed = encrypt(api_key, OPENAI_KEY.context(account_id))
        return self._ensure("openai_accounts", {"userId": user_id}, {"apiKey": sealed}, account_id)[1]

    def set_active_flow(self, bot_id: str, flow_id: str) -> None:
        """The flow that conversations start with when no trigger fits."""
        self._db["bots"].update_one(
            {"_id": bot_id}, {"$set": {"activeFlowId": flow_id}, "$inc": {"configRevision": 1}}
        )

    def ensure_active_flow(self, bot_id: str, flow_id: str) -> None:
        """Make this the flow that conversations start with, unless the bot has one."""
        self._db["bots"].update_one(
            {"_id": bot_id, "activeFlowId": {"$exists": False}},
            {"$set": {"activeFlowId": flow_id}, "$inc": {"configRevision": 1}},
        )

    def has_live_version(self, flow_id: str) -> bool:
        """Whether a flow was ever put live and still is."""
        return (
            self._db["flow_versions"].find_one({"flowId": flow_id, "isProduction": True}, {"_id": 1})
            is not None
        )

    def _ensure(
        self, collection: str, key: dict[str, Any], fields: dict[str, Any], new_id: str | None = None
    ) -> tuple[str, bool]:
        new_id = new_id or new_ulid()
        now = utc_now()
        result = self._db[collection].update_one(
            key, {"$setOnInsert": {"_id": new_id, **fields, "createdAt": now, "updatedAt": now}}, upsert=True
        )
        if result.upserted_id is not None:
            return new_id, True
        known = self._db[collection].find_one(key, {"_id": 1})
        return (known["_id"] if known else new_id), False


def _account(document: Document) -> WhatsAppAccount:
    return WhatsAppAccount(
        account_id=document["_id"],
        bot_id=document["botId"],
        phone_number_id=document["phoneNumberId"],
        phone_number=document["phoneNumber"],
        business_account_id=document["businessAccountId"],
        access_token=document["accessToken"],
        app_secret=document.get("appSecret"),
        stopped_for=document.get("stoppedFor"),
    )
