"""What workers know of bots is believed for so long that every change is followed within a second, and no longer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

from worker.directory import Directory

if TYPE_CHECKING:
    import pytest

    from common.store.store import Store


def test_a_change_is_followed_with_time_to_spare(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    bot_id, _ = store.bots.ensure_bot("ann", "Bakery", "")
    account = {"phoneNumberId": "1", "phoneNumber": "1", "businessAccountId": "1"}
    store.bots.ensure_account(bot_id, account, {"accessToken": "x"}, lambda text, _: text)
    directory = Directory(store)
    now = 100.0
    monkeypatch.setattr("worker.directory.time", SimpleNamespace(monotonic=lambda: now))
    assert directory.bots([bot_id])[bot_id].variables == {}
    store.bots.ensure_variable(bot_id, "a", "x")
    store.bots.changed(bot_id)
    now = 100.5
    assert directory.bots([bot_id])[bot_id].variables == {}, "it does not ask each time"
    now = 100.75  # the rest of the second is for loading it and beginning the turn
    assert directory.bots([bot_id])[bot_id].variables == {"a": "x"}
