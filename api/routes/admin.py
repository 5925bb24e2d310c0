"""What administrators watch. Nothing here changes anything, or shows a secret or a word of a conversation."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from flask import Response

from api.periods import asked_period
from api.presence import SILENT_SECONDS, missing_kinds
from api.rest.access import Access
from api.rest.call import Call, invalid
from api.rest.routes import Routes
from api.rest.schemas import page_of
from api.routes.analytics import series_answer, series_csv, summary_of
from api.schemas.admin import (
    AdminBotView,
    AdminUserView,
    AuditQuery,
    AuditView,
    BotQuery,
    PlatformCountsView,
    QueueView,
    UserQuery,
)
from api.schemas.analytics import AnalyticsView, PeriodQuery, SeriesQuery, SeriesView
from common.model.outbox import MessageStatus
from common.store.analytics import OF_PLATFORM
from common.store.database import Document

routes = Routes("admin", "/api/admin", "For administrators: the platform as a whole. Read only.")


@routes.get("/overview", access=Access.ADMIN, answer=PlatformCountsView)
def platform_counts(call: Call) -> Document:
    """How much of everything there is."""
    return call.store.overview.counts() | {"activeSessions": call.store.analytics.active()}


@routes.get("/users", access=Access.ADMIN, query=UserQuery, answer=page_of(AdminUserView))
def list_users(call: Call) -> Document:
    """The users, the newest first."""
    return call.store.overview.users(**call.query).as_document()


@routes.get("/bots", access=Access.ADMIN, query=BotQuery, answer=page_of(AdminBotView))
def list_all_bots(call: Call) -> Document:
    """The bots of all users, the newest first."""
    return call.store.overview.bots(**call.query).as_document()


@routes.get("/analytics", access=Access.ADMIN, query=PeriodQuery, answer=AnalyticsView)
def platform_analytics(call: Call) -> Document:
    """The figures of all bots together, those of deleted ones included."""
    return summary_of(call.store.analytics, OF_PLATFORM, asked_period(call.query))


@routes.get("/analytics/series", access=Access.ADMIN, query=SeriesQuery, answer=SeriesView)
def platform_analytics_series(call: Call) -> Document:
    """The figures of all bots together, hour by hour or day by day."""
    return series_answer(call, OF_PLATFORM)


@routes.get("/analytics/series.csv", access=Access.ADMIN, query=SeriesQuery, media="text/csv")
def platform_analytics_csv(call: Call) -> Response:
    """The figures of all bots together as a table for spreadsheets."""
    return series_csv("analytics-platform", series_answer(call, OF_PLATFORM))


@routes.get("/queue", access=Access.ADMIN, answer=QueueView)
def queue_health(call: Call) -> Document:
    """How the work stands: what waits, for how long, for what, and which processes are there to do it."""
    look = call.store.queue_state.look()
    processes = call.store.queue_state.heartbeats()
    counts = {
        "pendingJobs": look.pending_jobs,
        "deadJobs": look.dead_jobs,
        "unroutedJobs": look.unrouted_jobs,
        "dueLanes": look.due_lanes,
        "leasedLanes": look.leased_lanes,
        "oldestDueSeconds": look.oldest_due_seconds,
        "lateTimers": look.late_timers,
        "latestTimerSeconds": look.latest_timer_seconds,
    }
    return {
        **counts,
        "parkedLanes": _counts(look.parked_lanes),
        "unsentMessages": _counts(look.unsent_messages),
        "unknownSends": look.unsent_messages.get(MessageStatus.UNKNOWN.value, 0),
        "processes": [
            {**_camel(asdict(process)), "isAlive": process.age_seconds < SILENT_SECONDS}
            for process in processes
        ],
        "missing": missing_kinds(call.store.heartbeats.seconds_since()),
    }


@routes.get("/audit-log", access=Access.ADMIN, query=AuditQuery, answer=page_of(AuditView))
def list_audit_log(call: Call) -> Document:
    """Who did what, the newest first."""
    query = dict(call.query)
    since, until = query.pop("from_"), query.pop("to")
    if since is not None and until is not None and since >= until:
        raise invalid({"from": ["This is not before the end."]})
    return call.store.audit.page(**query, since=since, until=until).as_document()


_PROCESS: Final = {"age_seconds": "ageSeconds"}


def _camel(process: Document) -> Document:
    return {_PROCESS.get(name, name): value for name, value in process.items()}


def _counts(by_kind: dict[str, int]) -> list[Document]:
    return [{"kind": kind, "count": count} for kind, count in sorted(by_kind.items())]
