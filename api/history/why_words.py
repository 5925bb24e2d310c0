"""The reasons of a message in sentences that its owner can read out to a customer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from common.store.database import Document

_MOST_CHARACTERS: Final = 120
_CONTROLS: Final = {
    "STEP": "A person let the test take one more step",
    "CONTINUE": "A person let the test go on",
}
_STAGES: Final = {"SENT": "sent it on", "DELIVERED": "delivered it", "READ": "saw that it was read"}


def sentences_of(why: Document) -> list[str]:
    """From what happened to what became of the message."""
    sentences = [*_event(why)]
    for step in why["steps"]:
        sentences += _step(step)
    sentences += _made(why)
    sentences += _sent(why["send"])
    if why["missing"]:
        sentences.append(why["missing"])
    return sentences


def quoted(text: Any) -> str:
    """A text within a sentence; a long one by its beginning."""
    line = " ".join(str(text).split())
    return f"“{line if len(line) <= _MOST_CHARACTERS else line[: _MOST_CHARACTERS - 1] + '…'}”"


def clock(at: datetime) -> str:
    """A time as sentences give it."""
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _event(why: Document) -> Iterator[str]:
    heard, event = why["heard"], why["event"]
    if heard is not None:
        yield f"At {clock(heard['at'])} the customer {_said(heard)}."
    if event is None:
        return
    at, node = clock(event["at"]), quoted(event["waitingNode"])
    match event["kind"]:
        case "MESSAGE":
            yield f"At {at} the customer {_said(event)}."
        case "TIMER":
            yield f"At {at} the time that {node} waited for was over."
        case "ANSWER":
            yield f"At {at} the call that {node} had made {_answered(event['call'])}."
        case "CONTROL":
            yield f"At {at}: {_CONTROLS.get(event['action'], 'A person intervened')}."


def _said(event: Document) -> str:
    if event["buttonId"] is not None:
        return f"tapped {quoted(event['text'])}"
    return f"wrote {quoted(event['text'])}" if event["text"] else "sent something without a text"


def _answered(call: Document | None) -> str:
    if call is None:
        return "was answered"
    if call["error"] is not None:
        return f"failed: {call['error']['message'] or call['error']['code']}"
    if call["http"] is not None:
        return f"was answered with status {call['http']['status']}"
    return "was answered"


def _step(step: Document) -> Iterator[str]:
    node = quoted(step["nodeLabel"])
    if step["saw"]:
        seen = ", ".join(f"{each['place']} = {_value(each['value'])}" for each in step["saw"])
        yield f"{node} looked at {seen}."
    elif step["saw"] is None and step["conditions"]:
        yield f"{node} chose between its exits; what it saw is not known any more."
    for condition in step["conditions"]:
        if condition["held"] is not None:
            verb = "held" if condition["held"] else "did not hold"
            yield f"{node}: {quoted(condition['label'])} ({condition['text']}) {verb}."
    if step["error"] is not None:
        yield f"{node} failed: {step['error']['message'] or step['error']['code']}"
    if step["handle"] is not None:
        yield f"{node} was left by {quoted(step['exitLabel'])}."
    for note in step["notes"]:
        yield f"{node}: {note}"


def _value(value: Any) -> str:
    if value is None:
        return "nothing"
    return quoted(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _made(why: Document) -> Iterator[str]:
    node, flow = why["node"], why["flow"]
    text = quoted(why["message"]["messageContent"])
    if flow["versionNumber"] is not None:
        version = f"version {flow['versionNumber']}"
    else:
        version = "a draft" if flow["isTest"] else "a version that is not kept any more"
    yield f"{quoted(node['nodeLabel'])} of the flow {quoted(flow['name'] or 'deleted')} ({version}) said {text}."
    templates = [each for each in node["templates"] if each["template"]]
    if len(templates) == 1:
        yield f"It comes from its text {quoted(templates[0]['template'])}."


def _sent(send: Document) -> Iterator[str]:
    if send["isSimulated"]:
        if send["status"] != "FAILED":
            yield "It was shown in the simulator and not sent to WhatsApp."
    elif send["attempts"] == 0:
        yield "It waits to be sent." if send["isWaiting"] else "It was never sent."
    else:
        yield from _attempts(send)
    for stage in send["stages"]:
        if stage["status"] in _STAGES:
            yield f"WhatsApp {_STAGES[stage['status']]} at {clock(stage['at'])}."
    if send["error"] is not None:
        yield f"It failed: {send['error']['message'] or 'no reason was given'} ({send['error']['code']})."
    elif send["status"] == "FAILED":
        yield "It failed."


def _attempts(send: Document) -> Iterator[str]:
    times = "once" if send["attempts"] == 1 else f"{send['attempts']} times"
    last = f", last at {clock(send['lastAttemptAt'])}" if send["lastAttemptAt"] else ""
    yield f"It was given to WhatsApp {times}{last}."
    if send["attempts"] > 1 and send["lastError"]:
        yield f"An earlier try did not count: {send['lastError']}"
    if send["acceptedAt"] is not None:
        yield f"WhatsApp accepted it at {clock(send['acceptedAt'])}."
    elif send["status"] == "UNKNOWN":
        waits = (
            "a status may still tell"
            if send["isWaiting"]
            else "it was not sent again, so that it cannot arrive twice"
        )
        yield f"Whether WhatsApp took it is not known; {waits}."
    elif send["isWaiting"]:
        yield "It waits to be sent again." if send["status"] == "QUEUED" else "It is being sent."
