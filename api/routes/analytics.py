"""Figures of one's own bots and flows, and the dashboard."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from flask import Response

from api.csv_answer import Cell, csv_response
from api.figures import errors_of, flows_of, messages_of, nodes_of, series_of, totals_of
from api.periods import asked_bucket, asked_period
from api.rest.access import Access
from api.rest.call import Call, not_found
from api.rest.routes import Routes
from api.schemas.analytics import (
    AnalyticsView,
    DashboardView,
    FlowAnalyticsView,
    FlowPeriodQuery,
    PeriodQuery,
    SeriesQuery,
    SeriesView,
)
from common.clock import utc_now
from common.model.periods import DAY, Bucket, Period, period
from common.store.analytics import Analytics, Subject, of_bot, of_flow, of_user, of_version
from common.store.database import Document

routes = Routes("analytics", "/api", "Figures: what happened, how often, and where people stop.")

_TOP_FLOWS: Final = 10
_SILENT_AFTER: Final = DAY
POINT_COLUMNS: Final = (
    "at", "sessions", "starts", "resumed", "completed", "endedInError", "failed", "closed", "restarted", "turns",
    "visits", "errors", "apiFailures", "aiFailures", "aiCostUsd",
)  # fmt: skip
_NODE_COLUMNS: Final = (
    "nodeId", "nodeType", "label", "visits", "ended", "failed", "closed", "restarted", "jumpedAway", "waiting",
    "silent", "dropOff", "dropOffRate",
)  # fmt: skip


@routes.get("/bots/<bot_id>/analytics", access=Access.READER, query=PeriodQuery, answer=AnalyticsView)
def bot_analytics(call: Call) -> Document:
    """The figures of a bot."""
    return summary_of(call.store.analytics, of_bot(call.bot_id), asked_period(call.query))


@routes.get("/bots/<bot_id>/analytics/series", access=Access.READER, query=SeriesQuery, answer=SeriesView)
def bot_analytics_series(call: Call) -> Document:
    """The figures of a bot, hour by hour or day by day."""
    return series_answer(call, of_bot(call.bot_id))


@routes.get("/bots/<bot_id>/analytics/series.csv", access=Access.READER, query=SeriesQuery, media="text/csv")
def bot_analytics_csv(call: Call) -> Response:
    """The figures of a bot as a table for spreadsheets."""
    return series_csv(f"analytics-{call.bot['name']}", series_answer(call, of_bot(call.bot_id)))


@routes.get(
    "/bots/<bot_id>/flows/<flow_id>/analytics",
    access=Access.READER,
    query=FlowPeriodQuery,
    answer=FlowAnalyticsView,
)
def flow_analytics(call: Call) -> Document:
    """The figures of a flow, node by node.

    With `versionId` those of one version; without it those of all versions, and the nodes of the live one.
    """
    return _flow_answer(call)


@routes.get(
    "/bots/<bot_id>/flows/<flow_id>/analytics/series",
    access=Access.READER,
    query=SeriesQuery,
    answer=SeriesView,
)
def flow_analytics_series(call: Call) -> Document:
    """The figures of a flow, hour by hour or day by day."""
    _flow_name(call)
    return series_answer(call, of_flow(call.bot_id, call.path["flow_id"]))


@routes.get(
    "/bots/<bot_id>/flows/<flow_id>/analytics/nodes.csv",
    access=Access.READER,
    query=FlowPeriodQuery,
    media="text/csv",
)
def flow_analytics_csv(call: Call) -> Response:
    """The figures of a flow's nodes as a table for spreadsheets."""
    answer = _flow_answer(call)
    columns = (*_NODE_COLUMNS, "exits", "errors")
    rows = [(*(node[column] for column in _NODE_COLUMNS), *_lists(node)) for node in answer["nodes"]]
    return csv_response(f"nodes-{_flow_name(call)}", columns, rows)


@routes.get("/dashboard", access=Access.USER, query=PeriodQuery, answer=DashboardView)
def dashboard(call: Call) -> Document:
    """Your bots at a glance.

    Sums of all of them, over the last 30 days where nothing else is asked for.
    """
    bots = call.store.overview.bots_of(call.user_id)
    mine, span, now = of_user(call.user_id, list(bots)), asked_period(call.query, "30d"), utc_now()
    figures = call.store.analytics
    amounts = figures.totals(mine, span, in_detail=True)
    last_day = figures.totals(mine, period(now - timedelta(hours=24), now, now))
    bucket, days = asked_bucket({"bucket": Bucket.DAY}, span)
    totals = totals_of(amounts)
    return {
        "period": span,
        "totalBots": len(bots),
        "totalFlows": call.store.overview.count_flows(list(bots)),
        "activeSessions": figures.active(list(bots)),
        "messagesSent24h": messages_of(last_day)["accepted"],
        "completionRate": totals["completionRate"],
        "totals": totals,
        "topFlows": _top_flows(call, bots, flows_of(amounts)),
        "points": series_of(figures.series(mine, days, bucket)),
    }


def summary_of(figures: Analytics, subject: Subject, span: Period) -> Document:
    """The sums of a period, as `AnalyticsView` shows them."""
    amounts = figures.totals(subject, span)
    return {
        "period": span,
        "activeSessions": figures.active(subject.bot_ids),
        "totals": totals_of(amounts),
        "errors": errors_of(amounts),
    }


def series_answer(call: Call, subject: Subject) -> Document:
    """A series, as `SeriesView` shows it. Raises AppError 422 for a bad period."""
    bucket, span = asked_bucket(call.query, asked_period(call.query))
    points = series_of(call.store.analytics.series(subject, span, bucket))
    return {"period": span, "bucket": bucket.value, "points": points}


def series_csv(name: str, answer: Document) -> Response:
    """A series as a table."""
    messages = list(messages_of({}))
    rows = [
        (*(point[column] for column in POINT_COLUMNS), *(point["messages"][each] for each in messages))
        for point in answer["points"]
    ]
    return csv_response(name, (*POINT_COLUMNS, *(f"messages.{each}" for each in messages)), rows)


def _flow_name(call: Call) -> str:
    """The name of the path's flow. Raises AppError 404 where the bot has no such flow."""
    flow_id = call.path["flow_id"]
    bot_id, name = call.store.overview.flow_names([flow_id]).get(flow_id, ("", ""))
    if bot_id != call.bot_id:
        raise not_found("flow")
    return name


def _flow_answer(call: Call) -> Document:
    _flow_name(call)
    flow_id, version_id = call.path["flow_id"], call.query["version_id"]
    figures, span = call.store.analytics, asked_period(call.query)
    version = _version(call, flow_id, version_id)
    amounts: dict[str, int] = {}
    standing = {}
    if version is not None:
        silent_since = utc_now() - _SILENT_AFTER
        amounts = figures.totals(of_version(call.bot_id, version["_id"]), span, in_detail=True)
        standing = figures.standing(call.bot_id, version["_id"], span, silent_since)
    versions = [version_id] if version_id else list(call.store.overview.deployed_versions(flow_id))
    totals = amounts if version_id else figures.totals(of_flow(call.bot_id, flow_id), span)
    return {
        "period": span,
        "flowId": flow_id,
        "versionId": version["_id"] if version else None,
        "versionNumber": version["versionNumber"] if version else None,
        "activeSessions": sum(figures.active_in(call.bot_id, versions).values()),
        "totals": totals_of(totals),
        "errors": errors_of(totals),
        "nodes": nodes_of(amounts, standing, _nodes(version)),
    }


def _version(call: Call, flow_id: str, version_id: str | None) -> Document | None:
    """The version whose nodes are asked for. Raises AppError 404 where it is not this flow's."""
    versions = call.store.flow_versions
    if version_id is None:
        return versions.live_one(call.bot_id, flow_id)
    version = versions.find(call.bot_id, flow_id, version_id)
    if version is None:
        raise not_found("version")
    return version


def _nodes(version: Document | None) -> dict[str, Document]:
    """The nodes of a version as it is stored, by id, each with its type and its label."""
    nodes = (version or {}).get("flowData", {}).get("nodes", [])
    return {
        str(node.get("nodeId")): {"nodeType": node.get("nodeType"), "label": _label(node)}
        for node in nodes
        if isinstance(node, dict)
    }


def _label(node: Document) -> str | None:
    config = node.get("config")
    label: Any = node.get("label") or (config.get("label") if isinstance(config, dict) else None)
    return label if isinstance(label, str) else None


def _top_flows(call: Call, bots: dict[str, str], counted: list[tuple[str, int, int]]) -> list[Document]:
    """The flows that are still there, the most started first."""
    rows = [row for row in counted if row[1]][: _TOP_FLOWS * 2]
    names = call.store.overview.flow_names([flow_id for flow_id, _, _ in rows])
    return [
        {
            "flowId": flow_id,
            "botId": names[flow_id][0],
            "name": names[flow_id][1],
            "botName": bots[names[flow_id][0]],
            "starts": starts,
            "completed": completed,
        }
        for flow_id, starts, completed in rows
        if flow_id in names and names[flow_id][0] in bots
    ][:_TOP_FLOWS]


def _lists(node: Document) -> tuple[Cell, Cell]:
    exits = "; ".join(f"{each['handle']}: {each['count']}" for each in node["exits"])
    return exits, "; ".join(f"{each['code']}: {each['count']}" for each in node["errors"])
