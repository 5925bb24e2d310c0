"""A turn's entries in `execution_logs`: one a step, the first one with the turn's cause.

The cause is all that the turn was told (`common.flow.replay.LoggedTurn`): from it and the flow version alone the
engine can run the conversation again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from common.flow.replay import LoggedTurn
from common.json_text import write_json
from common.model.session import Session
from common.model.turn_records import Step
from common.redaction import place_of


@dataclass(frozen=True, slots=True)
class TurnOrigin:
    """Where a turn comes from: what all of its steps share."""

    bot_id: str
    lane: str
    fence: int
    job_id: str | None
    request_id: str
    now: datetime


def step_documents(
    steps: Sequence[Step],
    session: Session,
    cause: LoggedTurn,
    origin: TurnOrigin,
    *,
    keeps_variables: bool,
) -> list[dict[str, Any]]:
    """The documents of a turn. Values that a customer or an API brought stand as JSON text, safe to store."""
    documents = [
        _document(place, step, session, origin, keeps_variables=keeps_variables)
        for place, step in enumerate(steps)
    ]
    documents[0]["cause"] = write_json(cause.to_json())
    documents[0]["jobId"] = origin.job_id
    return documents


def _document(
    place: int, step: Step, session: Session, origin: TurnOrigin, *, keeps_variables: bool
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "_id": f"{session.session_id}:{session.turn}:{place}",
        "sessionId": session.session_id,
        "botId": origin.bot_id,
        "lane": origin.lane,
        "flowVersionId": session.flow_version_id,
        "turn": session.turn,
        "place": place,
        "fence": origin.fence,
        "requestId": origin.request_id,
        "nodeId": step.node_id,
        "nodeType": step.node_type,
        "handle": step.handle,
        "nextNodeId": step.next_node_id,
        "executionDuration": round(step.duration_ms, 3),
        "executedAt": origin.now,
    }
    detail = step.detail if keeps_variables else without_values(step.detail)
    if detail:
        document["detail"] = write_json(detail)
    if step.sent:
        document["sent"] = step.sent
    if step.notes:
        document["notes"] = list(step.notes)
    if step.error is not None:
        document["error"] = step.error
        document["errorMessage"] = step.message
    if keeps_variables and (step.changes or step.deleted):
        document["outputVariables"] = write_json(step.changes)
        document["deletedVariables"] = list(step.deleted)
    return document


def without_values(detail: dict[str, Any]) -> dict[str, Any]:
    """What may be kept of a real customer's step: the branch and not the values it saw, no query of an address.

    Whoever needs them runs the turn again from its cause.
    """
    kept = {key: value for key, value in detail.items() if key != "saw"}
    request = kept.get("request")
    if isinstance(request, dict) and isinstance(request.get("url"), str):
        kept["request"] = {**request, "url": place_of(request["url"])}
    return kept
