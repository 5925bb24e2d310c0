"""The people with phones: who they are, how they are known, and when they last wrote to which number."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Person:
    """Somebody with WhatsApp, known by phone (`wa_id`), by business-scoped id (`bsuid`), or by both."""

    wa_id: str | None
    bsuid: str | None = None
    name: str = "Ada Local"
    username: str | None = None
    is_on_whatsapp: bool = True
    wrote_at: dict[str, float] = field(default_factory=dict)

    def contact(self) -> dict[str, Any]:
        """The person as an element of a webhook's `contacts`; what is unknown is left out, as Meta does."""
        profile = {"name": self.name} | ({"username": self.username} if self.username else {})
        return {"profile": profile} | self.ids("wa_id", "user_id")

    def ids(self, phone_field: str, bsuid_field: str) -> dict[str, str]:
        """Those of the two ids that the person has, under the names that this place of a webhook uses."""
        phone = {phone_field: self.wa_id} if self.wa_id else {}
        return phone | ({bsuid_field: self.bsuid} if self.bsuid else {})


class People:
    """Everybody the peer has heard of."""

    def __init__(self) -> None:
        self._known: dict[str, Person] = {}

    def find(self, alias: str) -> Person | None:
        """By wa_id or by business-scoped id."""
        return self._known.get(alias)

    def meet(self, alias: str, bsuid: str | None = None) -> Person:
        """The person of that id, created when new; `bsuid` adds the second id to a person known by phone."""
        person = self._known.get(alias)
        if person is None:
            person = Person(alias, bsuid) if alias.isdigit() else Person(None, alias)
            self._known[alias] = person
        if bsuid is not None:
            person.bsuid = bsuid
            self._known[bsuid] = person
        return person

    def aliases(self, alias: str) -> frozenset[str]:
        """All ids of the person with that id, known or not."""
        person = self._known.get(alias)
        return frozenset({alias} if person is None else {alias, *filter(None, (person.wa_id, person.bsuid))})

    def everybody(self) -> list[Person]:
        """Each person once."""
        return list({id(person): person for person in self._known.values()}.values())

    def clear(self) -> None:
        """Forget them all."""
        self._known.clear()
