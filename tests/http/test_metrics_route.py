"""Who may see the metrics of the web process, and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from tests.http.meta_webhooks import message, post, value
from tests.http.web_setup import deliver, settings_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask
    from pymongo.database import Database

TOKEN = "a token of the operator's"


def samples(app: Flask, **headers: str) -> dict[str, float]:
    """Every sample by its name and labels."""
    answer = app.test_client().get("/metrics", headers=headers)
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.get_data(as_text=True))
    return {
        sample.name
        + ",".join(f" {name}={text}" for name, text in sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture
def app_with(mongo_uri: str, database: Database[dict[str, Any]]) -> Iterator[Callable[..., Flask]]:
    """Makes applications with these settings."""
    made: list[Flask] = []

    def make(**settings: Any) -> Flask:
        made.append(create_app(settings_for(mongo_uri, database.name, **settings)))
        return made[-1]

    yield make
    for app in made:
        app.extensions["web"].store.close()


@pytest.mark.parametrize(
    ("settings", "address", "authorization", "status"),
    [
        ({"metrics_token": TOKEN}, "203.0.113.9", f"Bearer {TOKEN}", 200),
        ({"metrics_token": TOKEN, "app_env": "production"}, "203.0.113.9", f"Bearer {TOKEN}", 200),
        ({"metrics_token": TOKEN}, "127.0.0.1", "", 404),
        ({"metrics_token": TOKEN}, "127.0.0.1", "Bearer ", 404),
        ({"metrics_token": TOKEN}, "127.0.0.1", f"bearer {TOKEN}", 404),
        ({"metrics_token": TOKEN}, "127.0.0.1", f"Bearer {TOKEN}x", 404),
        ({"metrics_token": TOKEN}, "127.0.0.1", "Bearer é", 404),
        ({}, "127.0.0.1", "", 200),
        ({}, "::1", "", 200),
        ({}, "10.0.0.1", "", 404),
        ({}, "203.0.113.9", "Bearer ", 404),
        ({"app_env": "production"}, "127.0.0.1", "", 404),
        ({"app_env": "production"}, "127.0.0.1", "Bearer ", 404),
    ],
)
def test_only_whoever_has_the_token_or_this_machine_outside_of_production(
    app_with: Callable[..., Flask], settings: dict[str, Any], address: str, authorization: str, status: int
) -> None:
    app = app_with(**settings)
    headers = {"Authorization": authorization} if authorization else {}
    answer = app.test_client().get("/metrics", headers=headers, environ_base={"REMOTE_ADDR": address})
    assert answer.status_code == status
    if status == 404:
        assert "flowbuilder" not in answer.get_data(as_text=True)


def test_deliveries_are_counted_by_what_became_of_them(app: Flask) -> None:
    before = samples(app)
    body = post(value(messages=[message("wamid.m1"), message("wamid.m2")]))
    assert [deliver(app, body).status_code for _ in range(2)] == [200, 200]
    assert deliver(app, body, secret="somebody else's").status_code == 401
    app.test_client().get("/health/live")
    app.test_client().get("/nowhere/at/all")
    after = samples(app)
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert grown["flowbuilder_webhook_requests_total result=accepted"] == 2
    assert grown["flowbuilder_webhook_requests_total result=bad_signature"] == 1
    assert grown["flowbuilder_webhook_seconds_count"] == 3
    assert grown["flowbuilder_webhook_jobs_total kind=new"] == 2
    assert grown["flowbuilder_webhook_jobs_total kind=duplicate"] == 2
    assert grown["flowbuilder_http_requests_total resource=health, status=2xx"] == 1
    assert grown["flowbuilder_http_requests_total resource=none, status=4xx"] == 1


def test_the_queue_is_in_them_as_it_stands(app: Flask) -> None:
    deliver(app, post(value(messages=[message("wamid.m1")])))
    app.extensions["web"].store.heartbeats.beat("w1", "worker", {})
    found = samples(app)
    assert found["flowbuilder_database_up"] == 1
    assert found["flowbuilder_jobs state=pending"] == 1
    assert found["flowbuilder_lanes state=due"] == 1
    assert found["flowbuilder_heartbeat_age_seconds kind=worker"] < 10
    assert found["flowbuilder_processes kind=worker"] == 1
    assert found["flowbuilder_processes kind=timer"] == 0


def test_nothing_of_a_bot_or_a_person_is_a_label(app: Flask) -> None:
    deliver(app, post(value(messages=[message("wamid.m1", sender="491701234567")])))
    text = app.test_client().get("/metrics").get_data(as_text=True)
    for word in ("491701234567", "wamid", "/api/"):
        assert word not in text
