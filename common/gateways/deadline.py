"""One moment by which a call must be over, however many steps it takes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def seconds_left(deadline_at: float) -> float:
    """Seconds until the deadline (`time.monotonic`); raises TimeoutError when there are none."""
    left = deadline_at - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline has passed")
    return left


def finish_before(deadline_at: float, task: Callable[[], T]) -> T:
    """The task's result or exception; TimeoutError at the deadline, when it is left to end by itself.

    For what cannot be interrupted: the system's resolver may take half a minute for a name.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(task())
        except BaseException as error:  # noqa: BLE001 - handed to the caller
            errors.append(error)

    thread = threading.Thread(target=run, name="deadline", daemon=True)
    thread.start()
    thread.join(max(0.0, deadline_at - time.monotonic()))
    if results:
        return results[0]
    if errors:
        raise errors[0]
    raise TimeoutError("not finished at the deadline")
