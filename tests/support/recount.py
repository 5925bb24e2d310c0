"""Counts again, from what a bot's conversations left behind, what the product counted on the way.

Blind to how it counts: the log is walked turn by turn with a rule of its own for each figure.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import datetime
from itertools import groupby
from typing import Any

Json = dict[str, Any]
Figures = dict[str | None, Counter[str]]  # by version; None: messages outside of any conversation

_BOUNDS = (10, 30, 60, 120, 300, 600, 1800, 3600, 21_600, 86_400, 259_200, 604_800)
_FUNNEL = ("accepted", "sent", "delivered", "read")


def recounted(database: dict[str, list[Json]]) -> Figures:
    """What the figures of these sessions, log entries and messages must be."""
    figures: Figures = defaultdict(Counter)
    tests = {session["_id"] for session in database["sessions"] if session["isTest"]}
    entries: dict[str, list[Json]] = defaultdict(list)
    for entry in database["execution_logs"]:
        entries[entry["sessionId"]].append(entry)
    for session in database["sessions"]:
        if session["_id"] not in tests:
            _Walk(session, figures).through(entries[session["_id"]])
    versions = {
        entry["jobId"]: entry["flowVersionId"] for entry in database["execution_logs"] if entry.get("jobId")
    }
    current = {session["_id"]: session["flowVersionId"] for session in database["sessions"]}
    for message in database["messages"]:
        if message["lane"].startswith("wa:"):
            _message(message, figures, versions, current)
    return {version: +counts for version, counts in figures.items() if +counts}


class _Walk:
    """One session, turn by turn: where it stands, and whether a run is under way."""

    def __init__(self, session: Json, figures: Figures) -> None:
        self.session = session
        self.figures = figures
        self.version: str | None = None
        self.standing: str | None = None
        self.begun_at: datetime | None = None

    def through(self, entries: list[Json]) -> None:
        entries.sort(key=lambda entry: (entry["turn"], entry["place"]))
        turns = [list(steps) for _, steps in groupby(entries, key=lambda entry: entry["turn"])]
        for number, steps in enumerate(turns):
            self._turn(steps, is_first=number == 0, is_last=number == len(turns) - 1)

    def _turn(self, steps: list[Json], *, is_first: bool, is_last: bool) -> None:
        version = steps[0]["flowVersionId"]
        counts = self.figures[version]
        counts["n.turns"] += 1
        counts["n.sessions"] += is_first
        details = [json.loads(step.get("detail", "{}")) for step in steps]
        if is_first or steps[0]["nodeType"] == "START":
            if self.standing is not None:
                self.figures[self.version]["n.restarted"] += 1
                self.figures[self.version][f"nodes.{self.standing}.r"] += 1
            counts["n.starts"] += 1
            self.standing, self.begun_at = None, steps[0]["executedAt"]
        elif self.standing is None:
            if "recordedAs" in details[0] or json.loads(steps[0]["cause"])["event"]["kind"] == "control":
                return
            counts["n.resumed"] += 1
        elif steps[0]["nodeId"] != self.standing:
            counts[f"nodes.{self.standing}.j"] += 1
        self.version = version
        self._steps(counts, steps, details)
        self._call(counts, steps[0])
        self.standing = steps[-1]["nodeId"]
        self._end(counts, steps[-1], details[-1], is_last=is_last)

    def _steps(self, counts: Counter[str], steps: list[Json], details: list[Json]) -> None:
        came_from = self.standing
        for step, detail, following in zip(steps, details, [*steps[1:], None], strict=True):
            node = step["nodeId"]
            if (step is not steps[0] or node != came_from) and step["nodeType"] not in ("", "NONE"):
                counts["n.visits"] += 1
                counts[f"nodes.{node}.v"] += 1
            if following is not None:
                assert step["nextNodeId"] == following["nodeId"]
                counts[f"nodes.{node}.x.{step['handle']}"] += 1
            code = step.get("error") or ("input.refused" if "refused" in detail else None)
            if code:
                code = code.replace(".", "%2E")
                counts.update({"n.errors": 1, f"e.{code}": 1})
                if node:
                    counts[f"nodes.{node}.e.{code}"] += 1

    def _call(self, counts: Counter[str], step: Json) -> None:
        event = json.loads(step["cause"])["event"]
        if event["kind"] != "answer":
            return
        answer = event["answer"]
        kind = "ai" if step["nodeType"] == "AI" or answer.get("code", "").startswith("ai.") else "api"
        counts[f"n.{kind}Calls"] += 1
        counts[f"n.{kind}Failures"] += answer["kind"] == "failed"
        if answer["kind"] == "chatAnswer":
            counts["n.promptTokens"] += answer["prompt_tokens"]
            counts["n.completionTokens"] += answer["completion_tokens"]
            cost = answer["cost_usd"]
            counts["n.unpriced"] += cost is None
            counts["n.costNanoUsd"] += round((cost or 0) * 1e9)

    def _end(self, counts: Counter[str], step: Json, detail: Json, *, is_last: bool) -> None:
        node = step["nodeId"]
        how, mark = None, ""
        if "endType" in detail:
            how, mark = ("completed" if detail["endType"] == "NORMAL" else "endedInError"), "d"
            assert self.begun_at is not None
            seconds = (step["executedAt"] - self.begun_at).total_seconds()
            counts["n.durations"] += 1
            counts["n.durationMs"] += round(seconds * 1000)
            counts[f"h.{sum(seconds > bound for bound in _BOUNDS)}"] += 1
        elif is_last and self.session["status"] in ("FAILED", "CLOSED"):
            how, mark = self.session["status"].lower(), self.session["status"][0].lower()
        if how:
            counts[f"n.{how}"] += 1
            self.standing = None
            if node:
                counts[f"nodes.{node}.{mark}"] += 1


def _message(message: Json, figures: Figures, versions: Json, current: Json) -> None:
    if message["direction"] == "IN":
        version = versions.get(message["_id"]) or current.get(message["sessionId"])
        figures[version]["n.messagesIn"] += 1
        return
    counts = figures[message["flowVersionId"]]
    counts["n.queued"] += 1
    reached = set(message.get("reachedAt", {}))
    furthest = 1 if "acceptedAt" in message or reached else 0
    for stage, status in enumerate(("SENT", "DELIVERED", "READ"), 2):
        furthest = stage if status in reached else furthest
    for name in _FUNNEL[:furthest]:
        counts[f"n.{name}"] += 1
    counts["n.sendFailed"] += message["status"] == "FAILED"
    counts["n.sendUnknown"] += message["status"] == "UNKNOWN" and not message.get("open")


def counted(pending: Iterable[Json], folded: Iterable[Json] = ()) -> Figures:
    """The sums of a bot's counter documents, by version; failures that were put right are taken off.

    `folded` are days of the bot: one document for each version, and one for all of it with what belongs to none.
    """
    figures: Figures = defaultdict(Counter)
    for document in pending:
        figures[document["versionId"]].update(_amounts(document))
    for document in folded:
        kind, _, version = document["scope"].partition(":")
        if kind == "v":
            figures[version].update(_amounts(document))
        if kind in ("v", "b"):
            share = Counter(
                {name: n for name, n in _amounts(document).items() if not name.startswith("nodes.")}
            )
            (figures[None].update if kind == "b" else figures[None].subtract)(share)
    for counts in figures.values():
        for name, corrected in (("sendFailed", "failedCorrected"), ("sendUnknown", "unknownCorrected")):
            counts[f"n.{name}"] -= counts.pop(f"n.{corrected}", 0)
    return {version: +counts for version, counts in figures.items() if +counts}


def _amounts(document: Json) -> Counter[str]:
    return Counter(
        {name: n for part in ("n", "h", "e", "nodes") for name, n in _leaves(part, document.get(part, {}))}
    )


def _leaves(path: str, value: Any) -> Iterable[tuple[str, int]]:
    if not isinstance(value, dict):
        return [(path, value)]
    return [leaf for name, inner in value.items() for leaf in _leaves(f"{path}.{name}", inner)]


def differences(
    database: dict[str, list[Json]], pending: Iterable[Json], folded: Iterable[Json] = ()
) -> list[str]:
    """Every figure that the product counted otherwise."""
    wanted, found = recounted(database), counted(pending, folded)
    return [
        f"{version} {name}: counted {found.get(version, {}).get(name, 0)}, happened {wanted.get(version, {}).get(name, 0)}"
        for version in sorted({*wanted, *found}, key=str)
        for name in sorted({*wanted.get(version, {}), *found.get(version, {})})
        if found.get(version, {}).get(name, 0) != wanted.get(version, {}).get(name, 0)
    ]
