"""What WhatsApp says about whether a number may send, and who is in the way: number, account, business or app."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from common.gateways.answer_body import clean_text

AVAILABLE, LIMITED, BLOCKED, UNKNOWN = "AVAILABLE", "LIMITED", "BLOCKED", "UNKNOWN"
_STATES = (AVAILABLE, LIMITED, BLOCKED)
_SENTENCES = {
    AVAILABLE: "The number may send messages.",
    LIMITED: "The number may send, but WhatsApp limits it.",
    BLOCKED: "WhatsApp lets this number send nothing.",
    UNKNOWN: "WhatsApp does not say whether the number may send.",
}
_MOST = 10  # entities, and problems of each


@dataclass(frozen=True, slots=True)
class Health:
    """`entities` as answers show them: type, id, canSendMessage, problems."""

    can_send: str
    entities: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_fine(self) -> bool:
        return self.can_send == AVAILABLE

    @property
    def sentence(self) -> str:
        return _SENTENCES[self.can_send]

    @property
    def first_problem(self) -> str | None:
        """The first explanation that WhatsApp gives."""
        problems = [problem for entity in self.entities for problem in entity["problems"]]
        return " ".join(part for part in problems[0].values() if isinstance(part, str)) if problems else None

    def as_document(self) -> dict[str, Any]:
        return {"canSendMessage": self.can_send, "sentence": self.sentence, "entities": self.entities}


def read_health(status: dict[str, Any]) -> Health:
    """A `health_status`; what cannot be read in it is left out."""
    state = status.get("can_send_message")
    entities = status.get("entities")
    return Health(
        state if state in _STATES else UNKNOWN,
        [_entity(each) for each in entities[:_MOST] if isinstance(each, dict)]
        if isinstance(entities, list)
        else [],
    )


def _entity(entity: dict[str, Any]) -> dict[str, Any]:
    state, errors = entity.get("can_send_message"), entity.get("errors")
    return {
        "type": _text(entity.get("entity_type")) or UNKNOWN,
        "id": _text(entity.get("id")),
        "canSendMessage": state if state in _STATES else UNKNOWN,
        "problems": [
            {
                "code": error["error_code"] if isinstance(error.get("error_code"), int) else None,
                "description": _text(error.get("error_description")),
                "solution": _text(error.get("possible_solution")),
            }
            for error in (errors[:_MOST] if isinstance(errors, list) else [])
            if isinstance(error, dict)
        ],
    }


def _text(value: object) -> str | None:
    return clean_text(value[:500]) if isinstance(value, str) and value else None
