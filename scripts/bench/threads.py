"""N client threads that do the same thing over and over for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Rate:
    """What N threads got done."""

    clients: int
    done: int
    took_seconds: float
    seconds_each: list[float] = field(default_factory=list)

    @property
    def per_second(self) -> float:
        return self.done / self.took_seconds


def repeat(clients: int, seconds: float, work: Callable[[int], None]) -> Rate:
    """Let so many threads call `work(thread number)` until the time is over. Raises what one of them raised."""
    times: list[list[float]] = [[] for _ in range(clients)]
    failures: list[Exception] = []
    ready = threading.Barrier(clients + 1)
    end = 0.0

    def run(number: int) -> None:
        ready.wait()
        try:
            while (started := time.perf_counter()) < end and not failures:
                work(number)
                times[number].append(time.perf_counter() - started)
        except Exception as error:  # noqa: BLE001 - raised in the caller's thread
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(clients)]
    for thread in threads:
        thread.start()
    started = time.perf_counter()
    end = started + seconds
    ready.wait()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - started
    if failures:
        raise failures[0]
    each = [one for several in times for one in several]
    return Rate(clients, len(each), took, each)
