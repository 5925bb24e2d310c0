"""Judges a run from the outside: what people said, what the peers saw, and how the database ended.

Pure, and blind to how the product works inside: it compares records that the peers wrote with documents that
the product left behind.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

Json = dict[str, Any]

_NOT_SENT_YET = {"QUEUED", "SENDING"}
_ACCEPTED = {"ACCEPTED", "SENT", "DELIVERED", "READ"}


@dataclass(frozen=True, slots=True)
class Said:
    """A message that was put into a person's phone; `job_id` is the key that the product must know it by."""

    person: str
    text: str
    job_id: str


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise: its kind and what shows it."""

    kind: str
    what: str


@dataclass(slots=True)
class History:
    """All records of a run. `said` in the order of each person; `sent` and `calls` as the peers give them."""

    said: list[Said] = field(default_factory=list)
    sent: list[Json] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    database: dict[str, list[Json]] = field(default_factory=dict)

    def documents(self, collection: str) -> list[Json]:
        return self.database.get(collection, [])


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a test means to happen: dead jobs, failed or unknown messages, repeats."""

    dead: bool = False
    unsent: bool = False  # FAILED and finally UNKNOWN messages
    repeats: int = 0  # sends that may be there twice (unknown outcome, and no status told)
    calls_per_key: int = 1


def violations(history: History, allowed: Allowed | None = None) -> list[Violation]:
    """Every broken promise in this history; empty for a good one."""
    allowed = allowed or Allowed()
    return [
        *_lost(history, allowed),
        *_executed_twice(history),
        *_out_of_order(history),
        *_overlapping(history),
        *_sends(history, allowed),
        *_send_order(history),
        *_calls(history, allowed),
        *_unfinished(history),
    ]


def _lost(history: History, allowed: Allowed) -> Iterator[Violation]:
    """Every message that was answered with 200 is done, or visibly dead."""
    jobs = {job["_id"]: job for job in history.documents("jobs")}
    ran = {entry.get("jobId") for entry in history.documents("execution_logs")}
    heard = {message["_id"] for message in history.documents("messages")}
    good = {"DONE", "DEAD"} if allowed.dead else {"DONE"}
    for said in history.said:
        job = jobs.get(said.job_id)
        if job is None:
            yield Violation("lost", f"{said.person} {said.text!r}: no job")
        elif job["state"] not in good:
            yield Violation("lost", f"{said.person} {said.text!r}: {job['state']} {job.get('reason', '')}")
        elif job["state"] == "DONE" and said.job_id not in ran and said.job_id not in heard:
            yield Violation("lost", f"{said.person} {said.text!r}: done, but it left no trace")


def _executed_twice(history: History) -> Iterator[Violation]:
    turns = [entry for entry in history.documents("execution_logs") if entry["place"] == 0]
    runs = Counter(entry["jobId"] for entry in turns if entry.get("jobId"))
    for job_id, count in runs.items():
        if count > 1:
            yield Violation("executed twice", f"{job_id}: {count} times")


def _turns_by_lane(history: History) -> dict[str, list[Json]]:
    """The first log entry of each turn, by lane, in the order in which the turns were committed."""
    begun = {session["_id"]: session["createdAt"] for session in history.documents("sessions")}
    lanes: dict[str, list[Json]] = defaultdict(list)
    for entry in history.documents("execution_logs"):
        if entry["place"] == 0:
            lanes[entry["lane"]].append(entry)
    for entries in lanes.values():
        entries.sort(key=lambda e: (begun.get(e["sessionId"], e["executedAt"]), e["sessionId"], e["turn"]))
    return lanes


def _out_of_order(history: History) -> Iterator[Violation]:
    """A person's messages run in the order in which they were said."""
    place = {said.job_id: number for number, said in enumerate(history.said)}
    for lane, entries in _turns_by_lane(history).items():
        ran = [entry["jobId"] for entry in entries if entry.get("jobId") in place]
        for before, after in pairwise(ran):
            if place[before] > place[after]:
                yield Violation("out of order", f"{lane}: {before} ran before {after}")


def _overlapping(history: History) -> Iterator[Violation]:
    """A turn of an older holder never follows one of a newer holder."""
    fences = {lane["_id"]: lane["fence"] for lane in history.documents("lanes")}
    for lane, entries in _turns_by_lane(history).items():
        for before, after in pairwise(entries):
            if before["fence"] > after["fence"]:
                yield Violation(
                    "overlap", f"{lane}: fence {after['fence']} wrote turn {after['turn']} after {before['fence']}"
                )  # fmt: skip
        if entries and lane in fences and entries[-1]["fence"] > fences[lane]:
            yield Violation("overlap", f"{lane}: a turn has a higher fence than the lane")
        numbers = Counter((entry["sessionId"], entry["turn"]) for entry in entries)
        for (session_id, turn), count in numbers.items():
            if count > 1:
                yield Violation("overlap", f"{session_id}: turn {turn} stands there {count} times")


def _outbound(history: History) -> list[Json]:
    return [message for message in history.documents("messages") if message["direction"] == "OUT"]


def _sends(history: History, allowed: Allowed) -> Iterator[Violation]:
    """What was accepted is what is stored: nothing missing, nothing more, nothing twice."""
    owner = {attempt: m["_id"] for m in _outbound(history) for attempt in m.get("attemptIds", ())}
    accepted = Counter(owner.get(sent["opaque"], "") for sent in history.sent)
    if accepted.pop("", 0):
        yield Violation("stray send", "a send was accepted that no stored message tried")
    repeats = {message_id: count for message_id, count in accepted.items() if count > 1}
    if sum(repeats.values()) - len(repeats) > allowed.repeats:
        yield Violation("sent twice", ", ".join(repeats))
    for message in _outbound(history):
        status, count = message["status"], accepted[message["_id"]]
        if status in _ACCEPTED and count == 0:
            yield Violation("never sent", f"{message['_id']} is {status}, but nobody accepted it")
        elif status in _NOT_SENT_YET or message.get("open"):
            yield Violation("unfinished", f"message {message['_id']} is still {status}")
        elif status in {"FAILED", "UNKNOWN"} and not allowed.unsent:
            yield Violation("never sent", f"{message['_id']} is {status}: {message.get('error')}")


def _send_order(history: History) -> Iterator[Violation]:
    """Messages of a conversation first arrive in the order in which they were written."""
    place = {attempt: m for m in _outbound(history) for attempt in m.get("attemptIds", ())}
    seen: set[str] = set()
    last: dict[str, Json] = {}
    for sent in history.sent:
        message = place.get(sent["opaque"])
        if message is None or message["_id"] in seen:
            continue
        seen.add(message["_id"])
        before = last.get(message["lane"])
        if before is not None and before["seq"] > message["seq"]:
            yield Violation(
                "out of order", f"{message['lane']}: {message['_id']} was sent after {before['_id']}"
            )
        last[message["lane"]] = message


def _calls(history: History, allowed: Allowed) -> Iterator[Violation]:
    keys = Counter(key for call in history.calls if (key := call["headers"].get("idempotency-key")))
    for key, count in keys.items():
        if count > allowed.calls_per_key:
            yield Violation("called twice", f"{key}: {count} times")


def _unfinished(history: History) -> Iterator[Violation]:
    for job in history.documents("jobs"):
        if job["state"] == "PENDING":
            yield Violation("unfinished", f"job {job['_id']}")
    for lane in history.documents("lanes"):
        if lane.get("owner") is not None or lane.get("dueAt") is not None:
            yield Violation("unfinished", f"lane {lane['_id']} (owner {lane.get('owner')})")
    for session in history.documents("sessions"):
        if session["status"] == "ACTIVE":
            yield Violation("unfinished", f"session {session['_id']} stopped in the middle")
