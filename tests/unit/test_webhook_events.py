"""Reading a webhook: each element for itself, whatever stands beside it; no body raises anything."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.webhook_events import read_events, to_jobs
from common.model.contacts import is_status_lane
from common.model.jobs import JobKind, NewJob
from tests.http.meta_webhooks import (
    BSUID,
    NUMBER,
    OTHER_NUMBER,
    WA_ID,
    change,
    envelope,
    message,
    post,
    status,
    to_wire,
    value,
)

MIB = 1024 * 1024
BOTS = {NUMBER: "bot-1", OTHER_NUMBER: "bot-2"}
# MongoDB takes documents of 16 MB; what goes with a payload in one needs a few kilobytes.
STORABLE_CHARACTERS = 16 * MIB - 64 * 1024


def jobs_of(body: object, refused: dict[str, str] | None = None) -> list[NewJob]:
    raw = body if isinstance(body, bytes) else to_wire(body)
    return to_jobs(read_events(raw), BOTS, refused or {}, "request-1")


def only_job(body: object) -> NewJob:
    (job,) = jobs_of(body)
    return job


MEDIA = {
    "id": "1003383421387256",
    "mime_type": "image/jpeg",
    "sha256": "aGk=",
    "url": "https://x.test/?mid=1",
}
CONTEXT = {"from": "15550783881", "id": "wamid.ours"}
TYPE_ERROR = {"code": 131051, "title": "Message type unknown", "error_data": {"details": "unsupported"}}
SHAPES: list[dict[str, Any]] = [
    {"type": "text", "text": {"body": "héllo 👋 \u2028"}},
    {"type": "text", "text": {"body": ""}},
    {"type": "text", "text": {"body": "x" * 10_000}},
    {"type": "text", "text": {"body": "fwd"}, "context": {"forwarded": True}},
    {"type": "text", "text": {"body": "how much?"}, "context": {**CONTEXT, "referred_product": {"catalog_id": "1"}}},
    {"type": "text", "text": {"body": "ad"}, "referral": {"source_url": "https://fb.me/x", "source_type": "ad"}},
    {"type": "text", "text": {"body": "in a group"}, "group_id": "Y2FwaV9ncm91cA"},
    {
        "type": "interactive",
        "context": CONTEXT,
        "interactive": {"type": "button_reply", "button_reply": {"id": "b", "title": "B"}},
    },
    {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"id": "b", "title": "B"}}},
    {
        "type": "interactive",
        "interactive": {"type": "list_reply", "list_reply": {"id": "x", "title": "X", "description": "d"}},
    },
    {
        "type": "interactive",
        "interactive": {"type": "nfm_reply", "nfm_reply": {"name": "flow", "response_json": "{broken"}},
    },
    {"type": "interactive", "interactive": {"type": "call_permission_reply"}},
    {"type": "button", "button": {"payload": "Unsubscribe", "text": "Unsubscribe"}, "context": CONTEXT},
    {"type": "image", "image": {**MEDIA, "caption": "look"}},
    {"type": "video", "video": MEDIA},
    {"type": "document", "document": {**MEDIA, "filename": "receipt.pdf"}},
    {"type": "sticker", "sticker": {**MEDIA, "animated": False}},
    {"type": "audio", "audio": {**MEDIA, "voice": True}},
    {"type": "location", "location": {"latitude": 37.44, "longitude": -122.16}},
    {"type": "contacts", "contacts": [{"name": {"formatted_name": "Ada"}, "phones": [{"phone": "+1 (983) 555"}]}]},
    {"type": "reaction", "reaction": {"message_id": "wamid.x", "emoji": "👍"}},
    {"type": "reaction", "reaction": {"message_id": "wamid.x"}},
    {"type": "order", "order": {"catalog_id": "1", "product_items": [{"quantity": 2, "item_price": 7.99}]}},
    {"type": "system", "system": {"type": "user_changed_number", "wa_id": "16505559999", "user_id": "US.9"}},
    {"type": "unsupported", "errors": [TYPE_ERROR], "unsupported": {"type": "poll"}},
    {"type": "unknown", "errors": [TYPE_ERROR]},
    {"type": "edit", "edit": {"message_id": "wamid.x"}},
    {"type": "revoke", "revoke": {"message_id": "wamid.x"}},
    {"type": "hologram", "hologram": {"anything": [1, None, {}]}},
    {"type": None},
    {"type": 7, "text": "not an object", "timestamp": None},
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape["type"]))
def test_every_kind_of_message_is_taken_as_it_came(shape: dict[str, Any]) -> None:
    element = message("wamid.1", **shape)
    job = only_job(post(value(messages=[element])))
    assert (job.job_id, job.kind, job.reason) == (f"{NUMBER}:wamid.1", JobKind.MESSAGE, None)
    assert (job.bot_id, job.phone_number_id, job.request_id) == ("bot-1", NUMBER, "request-1")
    assert job.lane is not None
    assert not is_status_lane(job.lane)
    assert json.loads(job.payload) == {"message": element, "profile": {}}


FAILURE = {
    "code": 131049,
    "title": "t",
    "message": "m",
    "error_data": {"details": "d"},
    "href": "https://x.test",
}


@pytest.mark.parametrize(
    "element",
    [
        *(status("wamid.1", name) for name in ("sent", "delivered", "read", "played", "deleted", "warning")),
        status("wamid.1", "failed", errors=[FAILURE]),
        status("wamid.1", "sent", biz_opaque_callback_data="01ABC", pricing={"billable": True}),
        status("wamid.1", "sent", conversation={"id": "c", "origin": {"type": "service"}}),
        {"id": "wamid.1", "status": "read", "recipient_user_id": BSUID},
    ],
    ids=lambda element: element["status"],
)
def test_every_kind_of_status_is_taken_as_it_came(element: dict[str, Any]) -> None:
    job = only_job(post(value(statuses=[element])))
    assert job.job_id == f"{NUMBER}:wamid.1:{element['status']}"
    assert (job.kind, job.reason) == (JobKind.STATUS, None)
    assert job.lane is not None
    assert is_status_lane(job.lane)
    assert json.loads(job.payload) == element


@pytest.mark.parametrize(
    "field",
    ["account_update", "message_template_status_update", "calls", "history", "smb_message_echoes", "standby",
     None, 7, "", {"$ne": 1}, "\ud800", "x" * 10_000],
)  # fmt: skip
def test_other_fields_are_kept_with_the_field_as_the_reason(field: object) -> None:
    job = only_job(envelope({"id": "1", "changes": [change(value(messages=[message("wamid.1")]), field)]}))
    assert job.lane is None
    assert job.reason is not None
    assert job.reason.startswith("field ")
    assert len(job.reason) < 300
    job.reason.encode()  # can be stored


GOOD = message("wamid.good")
# What is wrong with it, the body, and how the reason begins.
MALFORMED: list[tuple[str, object, str]] = [
    ("no object", {"entry": []}, "not a whatsapp"),
    ("other object", {"object": "page", "entry": []}, "not a whatsapp"),
    ("null", None, "not a whatsapp"),
    ("number", 7, "not a whatsapp"),
    ("text", "hi", "not a whatsapp"),
    ("list", [post()], "not a whatsapp"),
    ("no entry", {"object": "whatsapp_business_account"}, "entry is not a list"),
    ("entry null", {"object": "whatsapp_business_account", "entry": None}, "entry is not a list"),
    ("entry object", {"object": "whatsapp_business_account", "entry": {}}, "entry is not a list"),
    ("element null", envelope(None), "entry has no list"),
    ("element text", envelope("x"), "entry has no list"),
    ("no changes", envelope({"id": "1"}), "entry has no list"),
    ("changes object", envelope({"changes": {}}), "entry has no list"),
    ("change null", envelope({"changes": [None]}), "change has no value"),
    ("value null", envelope({"changes": [change(None)]}), "change has no value"),
    ("value list", envelope({"changes": [change([GOOD])]}), "change has no value"),
    ("no metadata", envelope({"changes": [change({"messages": [GOOD]})]}), "no phone_number_id"),
    ("metadata text", envelope({"changes": [change({"metadata": "x", "messages": [GOOD]})]}), "no phone_number_id"),
    ("number null", post(value(None, messages=[GOOD])), "no phone_number_id"),  # type: ignore[arg-type]
    ("number int", post(value(106540352242922, messages=[GOOD])), "no phone_number_id"),  # type: ignore[arg-type]
    ("number empty", post(value("", messages=[GOOD])), "no phone_number_id"),
    ("number object", post(value({"$ne": ""}, messages=[GOOD])), "no phone_number_id"),  # type: ignore[arg-type]
    ("nothing in it", post(value()), "neither messages nor statuses"),
    ("both null", post(value(messages=None, statuses=None)), "neither messages nor statuses"),
    ("both empty", post(value(messages=[], statuses=[])), "neither messages nor statuses"),
    ("messages object", post(value(messages={"0": GOOD})), "messages is not a list"),
    ("messages text", post(value(messages="x")), "messages is not a list"),
    ("statuses number", post(value(statuses=1)), "statuses is not a list"),
    ("message null", post(value(messages=[None])), "message is not an object"),
    ("message list", post(value(messages=[[GOOD]])), "message is not an object"),
    ("message id missing", post(value(messages=[{"from": WA_ID, "type": "text"}])), "message has no usable id"),
    ("message id null", post(value(messages=[message("x", id=None)])), "message has no usable id"),
    ("message id number", post(value(messages=[message("x", id=12)])), "message has no usable id"),
    ("message id list", post(value(messages=[message("x", id=["a"])])), "message has no usable id"),
    ("message id operator", post(value(messages=[message("x", id={"$gt": ""})])), "message has no usable id"),
    ("message id empty", post(value(messages=[message("")])), "message has no usable id"),
    ("message id blank", post(value(messages=[message("wamid 1")])), "message has no usable id"),
    ("message id NUL", post(value(messages=[message("wamid\0")])), "message has no usable id"),
    ("message id surrogate", post(value(messages=[message("\ud800")])), "message has no usable id"),
    ("message id newline", post(value(messages=[message("wamid.1\n")])), "message has no usable id"),
    ("message id endless", post(value(messages=[message("w" * 513)])), "message has no usable id"),
    ("sender missing", post(value(messages=[message("wamid.1", sender=None)])), "message has no usable sender"),
    ("sender number", post(value(messages=[message("wamid.1", sender=49171)])), "message has no usable sender"),
    ("sender empty", post(value(messages=[message("wamid.1", sender="")])), "message has no usable sender"),
    ("status text", post(value(statuses=["sent"])), "status is not an object"),
    ("status id missing", post(value(statuses=[{"status": "sent"}])), "status has no usable id"),
    ("status id number", post(value(statuses=[status("x", id=1)])), "status has no usable id"),
    ("status name null", post(value(statuses=[status("wamid.1", status=None)])), "status has no usable id"),
    ("status name object", post(value(statuses=[status("wamid.1", status={})])), "status has no usable id"),
    ("account error", post(value(errors=[{"code": 130429}])), "errors of the account"),
    ("errors object", post(value(errors={"code": 130429})), "errors of the account"),
    ("empty body", b"", "unreadable body"),
    ("broken JSON", b'{"object":', "unreadable body"),
    ("two values", b"{}{}", "unreadable body"),
    ("not UTF-8", b'{"object":"\xff"}', "unreadable body"),
    ("NaN", b'{"object":NaN}', "unreadable body"),
    ("Infinity", b'{"object":-Infinity}', "unreadable body"),
    ("too deep", b"[" * 100_000, "unreadable body"),
    ("deep but whole", b"[" * 100_000 + b"]" * 100_000, "unreadable body"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "reason"), [row[1:] for row in MALFORMED], ids=[row[0] for row in MALFORMED]
)
def test_what_is_malformed_is_kept_with_a_reason(body: object, reason: str) -> None:
    job = only_job(body)
    assert job.lane is None
    assert job.bot_id is None or job.reason is not None
    assert job.reason is not None
    assert job.reason.startswith(reason)
    assert job.payload
    assert jobs_of(body)[0].job_id == job.job_id  # the same again is known again


@pytest.mark.parametrize("bad", [None, 7, "x", [], {}, {"id": 1}, {"id": "a b"}, {"id": "wamid.x"}], ids=str)
@pytest.mark.parametrize("place", ["entry", "change", "element"])
def test_a_bad_one_costs_none_beside_it(bad: object, place: str) -> None:
    good = [change(value(messages=[message(f"wamid.{n}")])) for n in range(3)]
    bodies = {
        "entry": envelope({"changes": good[:1]}, bad, {"changes": good[1:]}),
        "change": envelope({"changes": [good[0], bad, *good[1:]]}),
        "element": post(value(messages=[message("wamid.0"), bad, message("wamid.1"), message("wamid.2")])),
    }
    jobs = jobs_of(bodies[place])
    assert [job.job_id for job in jobs if job.reason is None] == [f"{NUMBER}:wamid.{n}" for n in range(3)]
    assert [number for number, job in enumerate(jobs) if job.reason] == [1]


def test_messages_that_are_no_list_cost_the_statuses_nothing() -> None:
    jobs = jobs_of(post(value(messages=7, statuses=[status("wamid.1")])))
    assert [(job.job_id, job.kind) for job in jobs if job.reason is None] == [
        (f"{NUMBER}:wamid.1:sent", JobKind.STATUS)
    ]
    assert len(jobs) == 2


def test_messages_statuses_and_errors_of_one_value_are_all_taken() -> None:
    unsupported = message("wamid.2", type="unsupported", errors=[TYPE_ERROR])
    body = post(
        value(
            messages=[message("wamid.1"), unsupported],
            statuses=[status("wamid.3"), status("wamid.3", "failed", errors=[FAILURE])],
            errors=[{"code": 130429, "title": "Rate limit hit"}],
            contacts=[{"wa_id": WA_ID, "profile": {"name": "Ada"}}],
        )
    )
    assert [(job.job_id.removeprefix(NUMBER), job.reason) for job in jobs_of(body)[:4]] == [
        (":wamid.1", None), (":wamid.2", None), (":wamid.3:sent", None), (":wamid.3:failed", None),
    ]  # fmt: skip
    last = jobs_of(body)[4]
    assert last.reason == "errors of the account"
    assert "130429" in last.payload


def test_entries_of_several_numbers_go_to_their_bots_in_their_order() -> None:
    body = post(
        value(OTHER_NUMBER, messages=[message("wamid.1")]),
        value(NUMBER, messages=[message("wamid.1"), message("wamid.2")]),
        value("999", messages=[message("wamid.3")]),
    )
    jobs = jobs_of(body)
    assert [(job.job_id, job.bot_id) for job in jobs] == [
        (f"{OTHER_NUMBER}:wamid.1", "bot-2"),
        (f"{NUMBER}:wamid.1", "bot-1"),
        (f"{NUMBER}:wamid.2", "bot-1"),
        ("999:wamid.3", None),
    ]
    assert [job.reason for job in jobs] == [None, None, None, "unknown phone number id"]
    assert jobs[0].lane != jobs[1].lane  # one person, two bots: two conversations
    assert jobs[1].lane == jobs[2].lane


def test_a_status_and_the_message_of_its_conversation_never_share_a_lane() -> None:
    jobs = jobs_of(post(value(messages=[message("wamid.1")], statuses=[status("wamid.1")])))
    assert len({job.lane for job in jobs}) == 2
    names = ("sent", "delivered", "read", "failed")
    statuses = jobs_of(post(value(statuses=[status("wamid.1", name) for name in names])))
    assert len({job.lane for job in statuses}) == 1  # all of one message, in their order
    assert len({job.job_id for job in statuses}) == 4


def test_people_are_known_by_their_lasting_id_first() -> None:
    def lane(**fields: Any) -> str | None:
        return only_job(post(value(messages=[message("wamid.1", **fields)]))).lane

    by_bsuid = lane(sender=None, from_user_id=BSUID)
    assert by_bsuid is not None
    assert lane(from_user_id=BSUID) == by_bsuid
    assert (
        lane(sender="491701234567", from_user_id=BSUID) == by_bsuid
    )  # the number changed, the person did not
    assert lane() not in (None, by_bsuid)
    assert lane(from_user_id=None) == lane(from_user_id=17) == lane(from_user_id="") == lane()
    # A phone number that looks like a business-scoped id is still another person.
    assert lane(sender=BSUID) != by_bsuid


PERSON = {"wa_id": WA_ID, "user_id": BSUID, "profile": {"name": "Sheena"}}
STRANGER = {"wa_id": "4917", "user_id": "DE.1", "profile": {"name": "Karl"}}


@pytest.mark.parametrize(
    ("contacts", "name"),
    [
        ([PERSON], "Sheena"),
        ([STRANGER, PERSON], "Sheena"),
        ([STRANGER, {**PERSON, "wa_id": "other"}], None),
        ([STRANGER], "Karl"),  # the only one, though its wa_id differs (Brazil's ninth digit, say)
        ([None, "x", 7, PERSON], "Sheena"),
        ([{**PERSON, "profile": None}], None),
        ([{**PERSON, "profile": {"name": 7}}], None),
        ([{**PERSON, "profile": {"name": None}}], None),
        ([{"wa_id": [WA_ID], "profile": {"name": "x"}}, PERSON], "Sheena"),
        ([], None),
        (None, None),
        ({"0": PERSON}, None),
        ("x", None),
    ],
)
def test_the_profile_is_the_senders(contacts: object, name: str | None) -> None:
    job = only_job(post(value(messages=[message("wamid.1")], contacts=contacts)))
    assert json.loads(job.payload)["profile"].get("name") == name


def test_a_sender_without_a_phone_number_has_a_profile_too() -> None:
    element = message("wamid.1", sender=None, from_user_id=BSUID)
    job = only_job(
        post(value(messages=[element], contacts=[STRANGER, {"user_id": BSUID, "profile": {"name": "S"}}]))
    )
    assert json.loads(job.payload)["profile"]["name"] == "S"


def test_what_is_refused_never_takes_the_place_of_the_real_one() -> None:
    body = post(value(messages=[message("wamid.1")], statuses=[status("wamid.2")]))
    real = {job.job_id for job in jobs_of(body)}
    refused = jobs_of(body, {NUMBER: "signed with another app's secret"})
    assert [(job.lane, job.reason) for job in refused] == [(None, "signed with another app's secret")] * 2
    # Two apps may be subscribed: the delivery of the wrong one must not make the right one's a duplicate.
    assert not real & {job.job_id for job in refused}
    assert len({job.job_id for job in refused}) == 2


@pytest.mark.parametrize(
    "literal",
    ["9" * 5_000, "-" + "9" * 5_000, "1e999", "-1e999", "0." + "9" * 5_000, "1" + "0" * 4_299],
    ids=["huge", "huge negative", "infinite", "infinite negative", "long fraction", "just readable"],
)
def test_a_strange_number_costs_nobody(literal: str) -> None:
    body = to_wire(
        post(value(messages=[message("wamid.1"), message("wamid.2", x="HERE"), message("wamid.3")]))
    )
    jobs = jobs_of(body.replace(b'"HERE"', literal.encode()))
    assert [job.job_id for job in jobs] == [f"{NUMBER}:wamid.{n}" for n in (1, 2, 3)]
    assert all(job.reason is None for job in jobs)
    for job in jobs:
        json.loads(job.payload, parse_constant=pytest.fail)  # what was JSON stays JSON


def test_surrogates_nul_and_operators_are_kept_as_they_came() -> None:
    strange = {"$where": "1", "a.b": {"$gt": ""}, "": None, "__proto__": {}, "t": "\ud800 \x00 \uffff"}
    job = only_job(post(value(messages=[message("wamid.1", text=strange)])))
    assert job.payload.isascii()
    assert json.loads(job.payload)["message"]["text"] == strange


def test_nesting_at_every_depth_is_read_or_refused() -> None:
    """Around the interpreter's limit, reading may succeed where writing does not, and the other way round."""
    template = to_wire(post(value(messages=[message("wamid.1"), message("wamid.2", x="HERE")])))
    outcomes = set()
    for depth in [*range(0, 1_100, 50), *range(880, 1_010)]:
        jobs = jobs_of(template.replace(b'"HERE"', b"[" * depth + b"]" * depth))
        outcomes.add(len(jobs))
        if len(jobs) == 2:  # read: then the shallow one is taken, in any case
            assert jobs[0].job_id == f"{NUMBER}:wamid.1"
            assert jobs[1].reason is None or "deep" in jobs[1].reason
    assert outcomes == {1, 2}


@pytest.mark.parametrize("place", ["field", "value", "statuses", "errors", "contacts", "entry"])
def test_nesting_in_the_envelope_is_read_or_refused(place: str) -> None:
    change_ = change(value(messages=[message("wamid.1")]))
    body: Any = envelope({"changes": [change_]})
    match place:
        case "entry":
            body["entry"].append("HERE")
        case "field" | "value":
            change_[place] = "HERE"
        case _:
            change_["value"] = value(messages=[message("wamid.1")], **{place: "HERE"})
    template = to_wire(body)
    for depth in range(900, 1_010):
        jobs = jobs_of(template.replace(b'"HERE"', b"[" * depth + b"]" * depth))
        assert len(jobs) in (1, 2)
        assert all(job.reason is None or len(job.reason) < 400 for job in jobs)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00" * (4 * MIB),
        b"\xff" * (4 * MIB),
        b'"' + "é".encode() * (2 * MIB - 1) + b'"',
        to_wire(post(value(messages=[message("wamid.1", text="HERE")]))).replace(b"HERE", b"\x7f" * 3 * MIB),
        b"[" + b"1e15," * (MIB * 4 // 5 - 1) + b"1]",
        to_wire(post(value(messages=[message("wamid.1", text="HERE")]))).replace(
            b'"HERE"', b"[" + b"1e15," * (MIB * 4 // 5 - 100) + b"1]"
        ),
    ],
    ids=["NUL", "not UTF-8", "two-byte letters", "DEL", "numbers", "numbers in a message"],
)  # fmt: skip
def test_every_body_up_to_the_limit_can_be_stored(raw: bytes) -> None:
    assert len(raw) <= 4 * MIB
    assert len(only_job(raw).payload) < STORABLE_CHARACTERS


def test_the_work_grows_with_the_body_not_with_its_square() -> None:
    """Many messages beside many contacts, each with a long profile, in one signed POST."""
    contacts = [{"wa_id": str(n), "profile": {"name": "n", "about": "x" * 1_000}} for n in range(1_000)]
    messages = [message(f"wamid.{n}", sender="4917") for n in range(999)]
    # The same profile for all of them would be written once a message.
    contacts.append({"wa_id": "4917", "profile": {"name": "N" * 500_000, "about": "x" * 500_000}})
    jobs = jobs_of(post(value(messages=messages, contacts=contacts)))
    assert len(jobs) == 999
    assert sum(len(job.payload) for job in jobs) < 4 * MIB


# Properties


NAMES = st.sampled_from(
    ["object", "entry", "changes", "field", "value", "metadata", "phone_number_id", "messages", "statuses",
     "contacts", "errors", "id", "from", "from_user_id", "status", "type", "text", "profile", "wa_id", "$gt", "a.b"]
)  # fmt: skip
TEXTS = st.one_of(
    st.text(st.characters(), max_size=12),
    st.sampled_from(
        ["messages", "sent", NUMBER, WA_ID, "wamid.1", "whatsapp_business_account", "\ud800", "\0"]
    ),
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
JSON_VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | TEXTS, inner, max_size=5),
    max_leaves=25,
)


def check_jobs(jobs: list[NewJob]) -> None:
    for job in jobs:
        assert job.job_id.isascii()
        assert job.payload.isascii()
        assert (job.lane is None) == (job.reason is not None)
        (job.reason or "").encode()


@given(JSON_VALUES)
def test_no_json_raises(body: Any) -> None:
    jobs = jobs_of(json.dumps(body).encode())
    check_jobs(jobs)


@given(
    JSON_VALUES,
    st.sampled_from(["entry", "changes", "value", "metadata", "messages", "statuses", "contacts"]),
)
def test_no_json_anywhere_in_the_envelope_raises(strange: Any, place: str) -> None:
    inner: Any = value(messages=[message("wamid.1")], statuses=[status("wamid.2")])
    if place in ("metadata", "messages", "statuses", "contacts"):
        inner[place] = strange
    entry: Any = {
        "changes": strange if place == "changes" else [change(strange if place == "value" else inner)]
    }
    body: Any = {"object": "whatsapp_business_account", "entry": strange if place == "entry" else [entry]}
    jobs = jobs_of(json.dumps(body).encode())
    check_jobs(jobs)
    if place == "contacts":
        assert [job.reason for job in jobs] == [None, None]
    elif place == "messages":
        assert [job.job_id for job in jobs if job.kind is JobKind.STATUS] == [f"{NUMBER}:wamid.2:sent"]
    elif place == "statuses":
        assert jobs[0].job_id == f"{NUMBER}:wamid.1"


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf{}")
@example(b"\xff\xfe{\x00}\x00")
@example("{}".encode("utf-32"))
@example(b"\x00\x00\x00\x00")
def test_no_bytes_raise(raw: bytes) -> None:
    jobs = jobs_of(raw)
    assert len(jobs) == 1
    check_jobs(jobs)


@given(st.binary(max_size=20), st.integers(0, 400), st.integers(0, 40))
def test_no_damage_to_a_real_body_raises(noise: bytes, at: int, cut: int) -> None:
    whole = to_wire(post(value(messages=[message("wamid.1")], statuses=[status("wamid.2")])))
    check_jobs(jobs_of(whole[:at] + noise + whole[at + cut :]))


GOOD_ELEMENTS = st.builds(
    lambda n, text: ("good", n, text), st.integers(0, 99), st.text(st.characters(), max_size=8)
)
ELEMENTS = st.lists(GOOD_ELEMENTS | JSON_VALUES.map(lambda bad: ("bad", -1, bad)), max_size=8)


@given(st.lists(ELEMENTS, max_size=3), st.lists(ELEMENTS, max_size=3))
def test_every_good_element_is_exactly_one_job_in_its_place(messages: Any, statuses: Any) -> None:
    """Values with messages, then values with statuses; strange elements in between."""
    expected: list[str] = []
    count = 0
    values = []
    for kind, groups in (("messages", messages), ("statuses", statuses)):
        for group in groups:
            elements = []
            for sort, number, content in group:
                count += 1
                if sort == "bad":
                    elements.append(content)
                elif kind == "messages":
                    elements.append(message(f"wamid.good{number}", text={"body": content}))
                    expected.append(f"{NUMBER}:wamid.good{number}")
                else:
                    elements.append(status(f"wamid.good{number}", note=content))
                    expected.append(f"{NUMBER}:wamid.good{number}:sent")
            if elements:
                values.append(value(**{kind: elements}))
    raw = json.dumps(post(*values)).encode()
    jobs = jobs_of(raw)
    assert len(jobs) == count
    assert [job.job_id for job in jobs if "wamid.good" in job.job_id] == expected
    assert all(job.reason is None for job in jobs if "wamid.good" in job.job_id)
    assert jobs_of(raw) == jobs
