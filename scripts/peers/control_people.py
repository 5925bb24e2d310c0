"""The part of the remote control that moves people: who they are, what they write."""

from __future__ import annotations

import re
from typing import Any

from scripts.peers.control_read import ControlError, object_of, text_of
from scripts.peers.people import Person
from scripts.peers.whatsapp import WhatsApp
from scripts.peers.wire import Request

_ALIAS = re.compile(r"[1-9][0-9]{6,14}|[A-Z]{2}\.(ENT\.)?[0-9A-Za-z]{1,128}")
PERSON_FIELDS = {"name", "username", "bsuid", "is_on_whatsapp"}


class PeopleControl:
    """Addresses below /_control/phones."""

    def __init__(self, whatsapp: WhatsApp) -> None:
        self._whatsapp = whatsapp

    def everybody(self, _: Request) -> dict[str, Any]:
        """`GET phones`."""
        return {"phones": [_as_dict(person) for person in self._whatsapp.people.everybody()]}

    def describe(self, alias: str, request: Request) -> dict[str, Any]:
        """`PUT phones/{wa_id or bsuid}`: name, username, second id, whether on WhatsApp at all."""
        alias, wish = _checked(alias), object_of(request)
        if wish.keys() - PERSON_FIELDS:
            raise ControlError(f"A person has: {', '.join(sorted(PERSON_FIELDS))}.")
        is_on_whatsapp = wish.get("is_on_whatsapp", True)
        if not isinstance(is_on_whatsapp, bool):
            raise ControlError("'is_on_whatsapp' must be true or false.")
        name, username, bsuid = (text_of(wish, field) for field in ("name", "username", "bsuid"))
        person = self._whatsapp.people.meet(alias, bsuid)
        person.name, person.username = name or person.name, username or person.username
        person.is_on_whatsapp = is_on_whatsapp
        return _as_dict(person)

    def say(self, alias: str, request: Request) -> dict[str, Any]:
        """`POST phones/{wa_id or bsuid}/say`: text, button or message; the wamid."""
        return {"wamid": self._whatsapp.inbound.say(_checked(alias), object_of(request))}

    def wrote(self, alias: str, request: Request) -> dict[str, Any]:
        """`POST phones/{wa_id or bsuid}/wrote`: opens the window for somebody who sends webhooks without us."""
        alias, wish = _checked(alias), object_of(request)
        at = wish.get("at")
        if at is not None and (not isinstance(at, int | float) or isinstance(at, bool)):
            raise ControlError("'at' must be Unix seconds.")
        return _as_dict(self._whatsapp.inbound.note_written(alias, text_of(wish, "phone_number_id"), at))


def _checked(alias: str) -> str:
    alias = alias.removeprefix("+")
    if not _ALIAS.fullmatch(alias):
        raise ControlError("A person is named by wa_id (7 to 15 digits) or by business-scoped user id.")
    return alias


def _as_dict(person: Person) -> dict[str, Any]:
    return {
        "wa_id": person.wa_id,
        "bsuid": person.bsuid,
        "name": person.name,
        "username": person.username,
        "is_on_whatsapp": person.is_on_whatsapp,
        "wrote_at": dict(person.wrote_at),
    }
