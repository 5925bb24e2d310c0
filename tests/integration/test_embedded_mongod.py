"""The local MongoDB: it keeps data over restarts, crashes and moves, and shares its folder with nobody."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from scripts.local.mongod import EmbeddedMongod, MongodError, ReplicaSet
from scripts.local.mongod_process import MongodProcess


def count(uri: str) -> int:
    client: MongoClient[dict[str, Any]] = MongoClient(uri, serverSelectionTimeoutMS=10_000)
    with client:
        return client.kept.things.count_documents({})


def insert(uri: str) -> None:
    client: MongoClient[dict[str, Any]] = MongoClient(uri, w="majority", serverSelectionTimeoutMS=10_000)
    with client:
        client.kept.things.insert_one({"kept": True})


def test_it_is_a_replica_set_without_javascript(tmp_path: Path) -> None:
    with EmbeddedMongod(tmp_path) as mongod:
        client: MongoClient[dict[str, Any]] = MongoClient(mongod.uri)
        with client:
            assert client.admin.command("hello")["setName"] == "rs0"
            with client.start_session() as session, session.start_transaction():
                client.kept.things.insert_one({"kept": True}, session=session)
            with pytest.raises(Exception, match=r"no globalScriptEngine|[Ss]cripting|JavaScript"):
                list(client.kept.things.find({"$where": "true"}))
        pid = mongod.pid
        assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_data_and_port_stay_over_restart_and_crash(tmp_path: Path) -> None:
    mongod = EmbeddedMongod(tmp_path)
    with mongod:
        insert(mongod.uri)
        port = mongod.port
    again = EmbeddedMongod(tmp_path)
    with again:
        assert again.port == port
        insert(again.uri)
        again.kill()
    with EmbeddedMongod(tmp_path) as last:
        assert count(last.uri) == 2


def test_a_taken_port_moves_it_and_keeps_the_data(tmp_path: Path) -> None:
    with EmbeddedMongod(tmp_path) as mongod:
        insert(mongod.uri)
    with socket.socket() as somebody:
        somebody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        somebody.bind(("127.0.0.1", mongod.port))
        somebody.listen()
        with pytest.raises(MongodError, match="already in use"):
            EmbeddedMongod(tmp_path, port=mongod.port).start()
        with EmbeddedMongod(tmp_path) as moved:
            assert moved.port != mongod.port
            assert count(moved.uri) == 1


def test_a_copied_folder_starts_as_its_own(tmp_path: Path) -> None:
    original = EmbeddedMongod(tmp_path / "original")
    with original:
        insert(original.uri)
    shutil.copytree(tmp_path / "original", tmp_path / "copy")
    (tmp_path / "copy" / "instance.json").unlink()
    with original, EmbeddedMongod(tmp_path / "copy") as copy:
        insert(copy.uri)
        assert (count(original.uri), count(copy.uri)) == (1, 2)


def test_a_running_one_is_adopted_and_ended(tmp_path: Path) -> None:
    first = EmbeddedMongod(tmp_path)
    first.start()
    second = EmbeddedMongod(tmp_path)
    second.start()
    assert (second.pid, second.uri) == (first.pid, first.uri)
    second.stop()
    assert not second.process.is_running()
    first.stop()  # its child has ended or is about to
    with EmbeddedMongod(tmp_path) as third:
        assert third.pid != first.pid


def test_a_folder_in_use_by_somebody_else_is_refused(tmp_path: Path) -> None:
    first = EmbeddedMongod(tmp_path)
    with first:
        (tmp_path / "instance.json").write_text('{"pid": 1, "port": 1}')
        with pytest.raises(MongodError, match=f"in use by process {first.pid}"):
            EmbeddedMongod(tmp_path).start()
        assert first.process.is_running()


def test_leftovers_of_a_crash_do_not_count(tmp_path: Path) -> None:
    mongod = EmbeddedMongod(tmp_path)
    mongod.start()
    mongod.kill()
    assert (tmp_path / "db" / "mongod.lock").read_text().strip()  # the crash left it
    (tmp_path / "instance.json").write_text("not json")
    with EmbeddedMongod(tmp_path):
        pass


def test_a_broken_folder_is_reported_with_the_reason_and_nothing_left_running(tmp_path: Path) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "WiredTiger").write_text("garbage")
    (tmp_path / "db" / "WiredTiger.turtle").write_text("garbage")
    mongod = EmbeddedMongod(tmp_path)
    with pytest.raises(MongodError, match=r"mongod ended with code .*mongod\.log"):
        mongod.start()
    assert not mongod.process.is_running()


def test_stopping_twice_does_nothing(tmp_path: Path) -> None:
    mongod = EmbeddedMongod(tmp_path)
    mongod.stop()
    mongod.start()
    mongod.stop()
    mongod.stop()


def test_without_any_mongod_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    broken = tmp_path / "mongod"
    broken.write_text("#!/bin/sh\necho 'libcrypto.so.3 is missing' >&2; exit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    with pytest.raises(MongodError) as caught:
        MongodProcess(tmp_path / "data").start()
    for words in ("docker run", "rs.initiate", "Atlas", "libcrypto.so.3 is missing"):
        assert words in str(caught.value)


def test_ctrl_c_in_the_terminal_does_not_reach_it(tmp_path: Path) -> None:
    with EmbeddedMongod(tmp_path) as mongod:
        assert mongod.pid is not None
        assert os.getpgid(mongod.pid) != os.getpgid(0)


def test_three_members_elect_again_after_step_down_and_crash(tmp_path: Path) -> None:
    with ReplicaSet(tmp_path) as members:
        insert(members.uri)
        first = members.wait_for_primary()
        assert members.step_down() != first
        killed = members.kill_primary()
        assert members.wait_for_primary() != killed
        assert count(members.uri) == 1
        members.restart(killed)
        os.kill(members.members[killed].pid or 0, signal.SIGCONT)  # it lives
        insert(members.uri)
        assert count(members.uri) == 2
    running = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False)
    assert running.stdout == b""
