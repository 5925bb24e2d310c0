"""Local MongoDB replica sets: one member for development, several for tests of failover."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pymongo.errors import PyMongoError

from scripts.local.mongod_binary import MongodError, find_mongod
from scripts.local.mongod_process import MongodProcess

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from pymongo import MongoClient

__all__ = ["EmbeddedMongod", "MongodError", "ReplicaSet", "find_mongod"]

PRIMARY_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.02


class _Startable:
    """What starts and stops can stand in a `with` statement."""

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class EmbeddedMongod(_Startable):
    """A one-member replica set in a data folder, which survives restarts, crashes and a changed port."""

    def __init__(
        self, data_dir: Path | str, port: int = 0, *, cache_gb: float = 0.25, extra: Sequence[str] = ()
    ) -> None:
        self.process = MongodProcess(data_dir, port, cache_gb=cache_gb, extra=extra)

    @property
    def uri(self) -> str:
        return f"mongodb://{self.process.address}/?replicaSet={self.process.replica_set}"

    @property
    def pid(self) -> int | None:
        return self.process.pid

    @property
    def port(self) -> int:
        return self.process.port

    def start(self) -> None:
        """Start it (or adopt the one that runs on this folder) and wait until it takes writes."""
        self.process.start()
        try:
            self._become_primary()
        except BaseException:  # also Ctrl+C: nobody would know of the process that runs
            self.process.kill()
            raise

    def stop(self) -> None:
        """End it cleanly and wait; nothing happens if it is not running."""
        self.process.stop()

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.kill()

    def _become_primary(self) -> None:
        with self.process.client() as client:
            config = _config_of(client)
            if config is None:
                _initiate(client, self.process.replica_set, [self.process.address], {})
        if config and [member["host"] for member in config["members"]] != [self.process.address]:
            _move(self.process, config)
        _wait_for_primary([self.process])


class ReplicaSet(_Startable):
    """Several members on loopback, which elect within about two seconds."""

    def __init__(
        self,
        data_dir: Path | str,
        members: int = 3,
        *,
        cache_gb: float = 0.25,
        election_timeout_ms: int = 2000,
        heartbeat_ms: int = 500,
        extra: Sequence[str] = (),
    ) -> None:
        self.members = [
            MongodProcess(Path(data_dir) / f"member{number}", cache_gb=cache_gb, extra=extra)
            for number in range(members)
        ]
        self._times = {"electionTimeoutMillis": election_timeout_ms, "heartbeatIntervalMillis": heartbeat_ms}

    @property
    def uri(self) -> str:
        hosts = ",".join(member.address for member in self.members)
        return f"mongodb://{hosts}/?replicaSet={self.members[0].replica_set}"

    def start(self) -> None:
        """Start all members on fresh folders, initiate the set and wait for its primary."""
        for member in self.members:
            member.start()
        with self.members[0].client() as client:
            if _config_of(client) is None:
                hosts = [member.address for member in self.members]
                _initiate(client, self.members[0].replica_set, hosts, self._times)
        self.wait_for_primary()

    def stop(self) -> None:
        """End all members cleanly, the primary last, so that nobody elects meanwhile."""
        primary = self._find_primary()
        for number in sorted(range(len(self.members)), key=lambda number: number == primary):
            self.members[number].stop()

    def wait_for_primary(self) -> int:
        """The number of the member that takes writes, as soon as there is one."""
        return _wait_for_primary(self.members)

    def step_down(self, seconds: int = 10) -> int:
        """Make the primary give up its place for that long; the number of the new one."""
        old = self.wait_for_primary()
        with self.members[old].client() as client:
            client.admin.command("replSetStepDown", seconds, secondaryCatchUpPeriodSecs=seconds - 1)
        return self.wait_for_primary()

    def kill_primary(self) -> int:
        """Crash the primary (SIGKILL); its number, for `restart`."""
        primary = self.wait_for_primary()
        self.members[primary].kill()
        return primary

    def restart(self, member: int) -> None:
        """Start a member again on its port and data."""
        self.members[member].start()

    def _find_primary(self) -> int | None:
        return _find_primary(self.members)


def _config_of(client: MongoClient[dict[str, Any]]) -> dict[str, Any] | None:
    """The set's configuration as it stands on the disk; None on a fresh folder.

    Not `replSetGetConfig`: while a member still starts, that says "not initiated" of one that is, too.
    """
    return client.local["system.replset"].find_one()


def _initiate(
    client: MongoClient[dict[str, Any]], name: str, hosts: list[str], settings: dict[str, int]
) -> None:
    members = [{"_id": number, "host": host} for number, host in enumerate(hosts)]
    config = {"_id": name, "members": members, "settings": settings}
    client.admin.command("replSetInitiate", config)


def _move(process: MongodProcess, config: dict[str, Any]) -> None:
    """The port changed since the last start: write the new address into the set's configuration.

    Done while the member runs outside its set. `replSetReconfig` would do it, too, but only after the member
    has looked for itself at its old address, for half a minute if somebody else listens there now.
    """
    if len(config["members"]) != 1:
        raise MongodError("The data folder belongs to a replica set of several members.")
    process.kill()
    process.start(is_alone=True)
    with process.client() as client:
        moved = {"members.0.host": process.address, "version": config["version"] + 1}
        client.local["system.replset"].update_one({}, {"$set": moved})
    process.stop()
    process.start()


def _find_primary(members: Sequence[MongodProcess]) -> int | None:
    for number, member in enumerate(members):
        if not member.is_running():
            continue
        with member.client(timeout_seconds=1) as client:
            try:
                if client.admin.command("hello")["isWritablePrimary"]:
                    return number
            except PyMongoError:
                continue
    return None


def _wait_for_primary(members: Sequence[MongodProcess]) -> int:
    end = time.monotonic() + PRIMARY_SECONDS
    while time.monotonic() < end:
        primary = _find_primary(members)
        if primary is not None:
            return primary
        time.sleep(_LOOK_SECONDS)
    logs = ", ".join(str(member.log_path) for member in members)
    raise MongodError(f"No primary after {PRIMARY_SECONDS:.0f} s; see {logs}")
