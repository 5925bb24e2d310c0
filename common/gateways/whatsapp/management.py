"""The management side of the Graph API: what can be asked about a number, its account, its token, its webhooks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from common.gateways.json_api import JsonAnswer, JsonApi, Unreachable
from common.gateways.scrub import scrub
from common.gateways.whatsapp.error_table import Action, action_for

if TYPE_CHECKING:
    import ssl

# A person waits for the answer: shorter than for a send, each call and all of them together.
CALL_SECONDS = 8.0
TOTAL_SECONDS = 25.0
MAX_CALLBACK = 200  # characters of a callback URL that Meta takes
PAGE_SIZE, MAX_PAGES = 100, 20
HEALTH = "health_status"
# Graph's own trouble, or too much haste: nothing was found out, so it counts as no answer.
_PASSING = frozenset(
    {Action.RETRY_NUMBER, Action.RETRY_APP, Action.RETRY_MAINTENANCE, Action.RETRY_TRANSIENT}
)


class GraphRefused(Exception):  # noqa: N818 - what happened
    """Graph said no. `words` are its own, without secrets."""

    def __init__(self, code: int, subcode: int | None, words: str) -> None:
        super().__init__(f"{code}: {words}")
        self.code = code
        self.subcode = subcode
        self.words = words

    @property
    def is_bad_token(self) -> bool:
        return self.code in {0, 190}

    @property
    def is_forbidden(self) -> bool:
        """The token is good, but does not have this permission."""
        return not self.is_bad_token and action_for(self.code) is Action.STOP_BOT_AUTH


@dataclass(frozen=True, slots=True)
class Callback:
    """Where Meta shall deliver webhooks, and the token by which our web process knows its question."""

    uri: str
    verify_token: str = field(repr=False)


class GraphManagement:
    """The API at one base URL and version. Thread-safe; make one for each process."""

    def __init__(
        self, base_url: str, version: str, *, timeout_seconds: float, tls: ssl.SSLContext | None = None
    ) -> None:
        self._api = JsonApi(base_url, timeout_seconds=min(CALL_SECONDS, timeout_seconds), tls=tls)
        self._version = version

    def as_holder_of(self, token: str, *other_secrets: str) -> GraphAccess:
        """What the holder of this token may ask, within TOTAL_SECONDS from now.

        `other_secrets` are taken out of Graph's words as the token is.
        """
        secrets = tuple(secret for secret in (token, *other_secrets) if secret)
        return GraphAccess(self._api, self._version, token, secrets, time.monotonic() + TOTAL_SECONDS)

    def close(self) -> None:
        """Close idle connections."""
        self._api.close()


@dataclass(frozen=True, slots=True)
class GraphAccess:
    """One person's errand. Every method raises GraphRefused or Unreachable; ids must be digits."""

    _api: JsonApi
    _version: str
    _token: str = field(repr=False)
    _secrets: tuple[str, ...] = field(repr=False)
    _deadline_at: float

    def number(self, phone_number_id: str, *fields: str) -> dict[str, Any]:
        """These fields of a number. One that Graph does not know makes the whole call fail."""
        return self._ask("GET", phone_number_id, query={"fields": ",".join(fields)})

    def numbers_of(self, business_account_id: str) -> Iterator[dict[str, Any]]:
        """The numbers of an account: `id`, `display_phone_number`, `verified_name`.

        Pages are asked for by cursor: the address of the next page, which Graph also gives, holds the token and
        is not ours to follow.
        """
        query = {"fields": "id,display_phone_number,verified_name", "limit": str(PAGE_SIZE)}
        for _ in range(MAX_PAGES):
            page = self._ask("GET", f"{business_account_id}/phone_numbers", query=query)
            rows = page.get("data")
            yield from (row for row in rows if isinstance(row, dict)) if isinstance(rows, list) else ()
            paging = page.get("paging")
            cursors = paging.get("cursors") if isinstance(paging, dict) else None
            after = cursors.get("after") if isinstance(cursors, dict) else None
            if not isinstance(paging, dict) or "next" not in paging or not isinstance(after, str):
                return
            query = {**query, "after": after}

    def inspect(self, token: str, *, as_app: tuple[str, str] | None = None) -> dict[str, Any]:
        """What Graph knows about a token: asked as an app (id, secret), else with the token itself."""
        asking = f"{as_app[0]}|{as_app[1]}" if as_app else token
        answer = self._ask("GET", "debug_token", query={"input_token": token}, token=asking)
        data = answer.get("data")
        return data if isinstance(data, dict) else {}

    def health(self, phone_number_id: str) -> dict[str, Any]:
        """`health_status` of a number."""
        answer = self.number(phone_number_id, HEALTH).get(HEALTH)
        return answer if isinstance(answer, dict) else {}

    def subscribed_app_ids(self, business_account_id: str) -> set[str]:
        """The apps that get this account's webhooks."""
        rows = self._ask("GET", f"{business_account_id}/subscribed_apps").get("data")
        apps = [
            row.get("whatsapp_business_api_data")
            for row in (rows if isinstance(rows, list) else [])
            if isinstance(row, dict)
        ]
        return {str(app["id"]) for app in apps if isinstance(app, dict) and "id" in app}

    def subscribe(self, business_account_id: str, callback: Callback | None = None) -> None:
        """Have this account's webhooks delivered to the token's app; with a callback, to that address.

        Graph asks the callback's web process at once whether it knows the verify token.
        """
        body = (
            {"override_callback_uri": callback.uri, "verify_token": callback.verify_token} if callback else {}
        )
        self._ask("POST", f"{business_account_id}/subscribed_apps", body=body)

    def unsubscribe(self, business_account_id: str) -> None:
        """No more webhooks of this account for the token's app."""
        self._ask("DELETE", f"{business_account_id}/subscribed_apps")

    def _ask(
        self, method: str, path: str, *, query: dict[str, str] | None = None,
        body: dict[str, Any] | None = None, token: str | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        answer = self._api.call(
            method,
            f"{self._version}/{path}",
            token=token or self._token,
            query=query,
            body=body,
            deadline_at=self._deadline_at,
        )
        error = answer.data.get("error")
        if isinstance(error, dict) and _is_code(error.get("code")):
            raise self._refusal(answer, error)
        if not answer.is_success:
            raise Unreachable(f"HTTP {answer.status} without a Graph error")
        return answer.data

    def _refusal(self, answer: JsonAnswer, error: dict[str, Any]) -> GraphRefused | Unreachable:
        code, subcode, data = error["code"], error.get("error_subcode"), error.get("error_data")
        details = data.get("details") if isinstance(data, dict) else None
        parts = [scrub(part, self._secrets) for part in (error.get("message"), details)]
        words = " ".join(dict.fromkeys(part for part in parts if part))
        is_transient = error.get("is_transient") is True or answer.status >= 500  # noqa: PLR2004 - HTTP's own line
        if is_transient or action_for(code, details=words) in _PASSING:
            return Unreachable(f"WhatsApp has trouble: {words}")
        return GraphRefused(code, subcode if _is_code(subcode) else None, words)


def _is_code(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31
