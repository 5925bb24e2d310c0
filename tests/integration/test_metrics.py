"""Metrics of the processes as they run: the web's summed up over its processes, each worker's at a port of its own."""

from __future__ import annotations

import re
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from api.metrics import queue_metrics
from common.metrics import PREFIX
from common.store.queue_state import Heartbeat, QueueLook
from scripts.local.stack import free_port
from tests.support.flows import ask, call, end, flow, wait
from tests.support.waiting import wait_until
from tests.support.world import World
from worker.metrics import TURNS

ROOT = Path(__file__).resolve().parents[2]
Samples = dict[str, float]


def scrape(port: int, token: str | None = None) -> Samples:
    """Every sample at a port, by its name and labels."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers=headers)
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - our own loopback address
        text = answer.read().decode()
    return {
        " ".join(
            [sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))]
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def world(mongo_uri: str, tmp_path: Path) -> Iterator[World]:
    with World(mongo_uri, tmp_path, APP_ENV="production", METRICS_TOKEN="the operator's token") as world:
        yield world


def test_everything_that_happens_is_seen(world: World) -> None:
    """A conversation with a call, a delay and replies, through two web processes, a worker and a timer."""
    ports = free_port(), free_port()
    world.stack.start_worker(WORKER_METRICS_PORT=str(ports[0]))
    world.stack.start_timer(TIMER_METRICS_PORT=str(ports[1]))
    web = world.stack.start_web(WEB_PROCESSES="2")
    nodes = {"call": call(world.crm("echo")), "wait": wait(1), "ask": ask("{{lastMessage}}"), "end": end()}
    edges = "start > call, call.success > wait, call.failure > end, wait > ask, ask.success > call, ask.failure > end"
    bot = world.bot(flow(nodes, edges))
    people = [bot.person() for _ in range(8)]
    for person in people:
        bot.say(person, "hi")
    for person in people:
        bot.wait_for(person, 1)
    bot.check()

    worker = scrape(ports[0])
    assert worker["flowbuilder_turns_total"] >= 24
    assert worker["flowbuilder_lanes_claimed_total"] >= 8
    assert worker["flowbuilder_lanes_held"] == 0
    assert worker["flowbuilder_sends_total result=accepted"] == 8
    assert worker["flowbuilder_send_seconds_count"] == 8
    assert worker["flowbuilder_calls_total kind=api result=answered"] == 8
    assert worker["flowbuilder_node_seconds_count node_type=API"] == 16  # asked, and answered
    assert worker["flowbuilder_statuses_total"] == 16
    assert worker.get("flowbuilder_leases_expired_total") == 0
    timer = scrape(ports[1])
    assert timer["flowbuilder_timers_fired_total"] == 8
    assert timer["flowbuilder_timer_lateness_seconds_count"] == 8
    assert timer["flowbuilder_timer_lateness_seconds_sum"] < 8

    token = "the operator's token"
    received = "flowbuilder_webhook_requests_total result=accepted"
    seen = [scrape(world.stack.port, token)[received] for _ in range(8)]
    assert seen[0] >= 8
    assert len(set(seen)) == 1, "every process tells the same"
    (child, *_) = psutil.Process(web.pid).children()
    child.kill()
    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "a process ends")
    world.stack.wait_until_live(web)
    assert scrape(world.stack.port, token)[received] == seen[0]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        scrape(world.stack.port)


def test_each_worker_process_has_a_port_of_its_own(world: World) -> None:
    port = free_port()
    supervisor = world.stack.start_worker(WORKER_PROCESSES="2", WORKER_METRICS_PORT=str(port))
    for each in (port, port + 1):
        wait_until(lambda each=each: _is_open(each), f"port {each}")  # type: ignore[misc]
        assert "flowbuilder_turns_total" in scrape(each)
    addresses = {
        connection.laddr.ip
        for child in psutil.Process(supervisor.pid).children()
        for connection in child.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_without_a_port_nothing_listens(world: World) -> None:
    worker, timer = world.stack.start_worker(), world.stack.start_timer()
    wait_until(lambda: len(world.store.heartbeats.seconds_since()) == 2, "both are there")
    for process in (worker, timer):
        listening = [
            each
            for each in psutil.Process(process.pid).net_connections("tcp")
            if each.status == psutil.CONN_LISTEN
        ]
        assert listening == []


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


# What exists is documented


def names_in_code() -> set[str]:
    """Every metric that some process shows, by the name that a scrape shows."""
    assert TURNS in REGISTRY._collector_to_names  # of a worker's, too
    ours = {family.name: family.type for family in REGISTRY.collect() if family.name.startswith(PREFIX)}
    look = QueueLook(0, 0, 0, 0, 0, 0.0, 0, 0.0, {"x": 1}, {"x": 1})
    queue = {
        family.name: family.type for family in queue_metrics(look, [Heartbeat("worker", "", "", 1, 1.0)])
    }
    ours |= queue | {f"{PREFIX}database_up": "gauge"}
    return {f"{name}_total" if kind == "counter" else name for name, kind in ours.items()}


def names_in_docs() -> set[str]:
    page = (ROOT / "docs" / "operations.md").read_text()
    return set(re.findall(rf"^\| `({PREFIX}\w+)` \|", page, re.MULTILINE))


def test_every_metric_stands_in_the_documentation_and_no_other() -> None:
    assert names_in_docs() == names_in_code()


def test_alerts_name_metrics_that_exist() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    named = set(re.findall(rf"{PREFIX}\w+", page))
    known = names_in_code()
    histograms = {f"{name}_{part}" for name in known for part in ("bucket", "sum", "count")}
    assert named <= known | histograms
