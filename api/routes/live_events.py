"""Conversations as they happen, as Server-Sent Events."""

from __future__ import annotations

from flask import Response

from api.live.happenings import read_place
from api.live.streams import SessionSource, Source, TestSource, stream
from api.rest.access import Access
from api.rest.call import Call, invalid, not_found
from api.rest.routes import Routes
from api.schemas.simulator import ConversationView, EventsQuery, SessionStateView
from common.store.changes import Watched

_EVENTS = "text/event-stream"
_TEST_STATE = ConversationView()
_SESSION_STATE = SessionStateView()

routes = Routes("live_events", "/api/bots/<bot_id>", "Conversations as they happen.")


@routes.get(
    "/simulator/conversations/<conversation_id>/events", access=Access.OWNER, query=EventsQuery, media=_EVENTS
)
def watch_test_conversation(call: Call) -> Response:
    """Watch a test conversation: `message`, `step`, `variables`, `log`, `waiting`, `state`.

    Each event has an id, `turn:place`; whoever connects again with the last one (`Last-Event-ID`, or `after`) goes
    on behind it. Without one the stream begins with `waiting` and `state`. `end` says why it ends. 429
    `too_many_streams` where too many are open.
    """
    conversation = call.store.test_conversations.find(call.bot_id, call.path["conversation_id"])
    if conversation is None:
        raise not_found("test conversation")
    source = TestSource(call.store, conversation, _TEST_STATE)
    return _watch(call, Watched("contacts", conversation["_id"]), source)


@routes.get("/sessions/<session_id>/events", access=Access.OWNER, query=EventsQuery, media=_EVENTS)
def watch_session(call: Call) -> Response:
    """Watch a session: the path that it takes (`step`), what it waits for (`waiting`) and how it stands (`state`).

    Nothing that the customer says is in it. Ids as in a test conversation's events.
    """
    session_id = call.path["session_id"]
    sight = call.store.live.session(session_id, after=None)
    if sight.session is None or sight.session["botId"] != call.bot_id:
        raise not_found("session")
    return _watch(
        call, Watched("sessions", session_id), SessionSource(call.store, session_id, _SESSION_STATE)
    )


def _watch(call: Call, watched: Watched, source: Source) -> Response:
    after = call.query["after"]
    if after is not None and read_place(after) is None:
        raise invalid({"after": ["This is no event's id."]})
    hub = call.web.live
    return stream(hub, call.store, hub.watch(call.user_id, watched), source, after)
