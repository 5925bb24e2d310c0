"""Run the Procfile's processes side by side, with honcho, until one ends or somebody says stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from pathlib import Path

from honcho import manager as honcho
from honcho.environ import parse_procfile

_TOLD_TO_END = (130, 143)  # what honcho returns after Ctrl+C and SIGTERM


class ProcfileProcesses(honcho.Manager):  # type: ignore[misc] # honcho has no types
    """The processes of a Procfile; their output goes to ours, with their names in front.

    `look` is called about ten times a second once all are started.
    """

    def __init__(
        self, procfile: Path, environment: Mapping[str, str], stop_seconds: float, look: Callable[[], None]
    ) -> None:
        super().__init__()
        # honcho kills after 5 s; our worker may take longer to finish its turns.
        honcho.KILL_WAIT = stop_seconds
        self._look = look
        for name, command in parse_procfile(procfile.read_text()).processes.items():
            self.add_process(name, command, env=dict(environment))

    def run(self) -> int:
        """Run until all have ended. 0 if somebody told them to, 1 if one ended by itself."""
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [signal.getsignal(number) for number in numbers]
        try:
            self.loop()
        finally:
            for number, handler in zip(numbers, before, strict=True):
                signal.signal(number, handler)
        return 0 if self.returncode in _TOLD_TO_END else 1

    def pids(self) -> list[int]:
        """The process groups that were started."""
        return [process["pid"] for process in self._processes.values() if process.get("pid")]

    def _all_started(self) -> bool:
        """Honcho asks this once a round, so it is also where we look around."""
        is_all: bool = super()._all_started()
        if is_all and not self._terminating:
            self._look()
        return is_all
